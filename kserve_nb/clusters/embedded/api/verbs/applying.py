"""PATCH with application/apply-patch+yaml: server-side apply."""

from __future__ import annotations

import time
from collections.abc import Iterable

import orjson
from aiohttp import web

from kserve_nb.clusters.embedded.api.admission import unsupported
from kserve_nb.clusters.embedded.api.ownership import field_paths, managed_fields
from kserve_nb.clusters.embedded.api.ownership.field_paths import Path
from kserve_nb.clusters.embedded.api.ownership.field_rules import rules_of
from kserve_nb.clusters.embedded.api.ownership.managed_fields import ManagedFieldsEntry, Writer
from kserve_nb.clusters.embedded.api.schema import structural_schemas
from kserve_nb.clusters.embedded.api.store.store import Store
from kserve_nb.clusters.embedded.api.verbs.object_response import object_response
from kserve_nb.clusters.embedded.api.verbs.writing import check_same, store_changed
from kserve_nb.clusters.embedded.api.wire import bodies, request_options
from kserve_nb.clusters.embedded.api.wire.request_paths import RequestTarget
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object, StatusError, utc
from kserve_nb.values.labels import LAST_APPLIED

_JSON = orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE


async def apply(request: web.Request, store: Store, target: RequestTarget) -> web.Response:
    """Apply a configuration: create the object, or set the configuration's fields and remove those it has dropped."""
    kind = target.kind
    if not request.query.get("fieldManager"):
        raise request_options.parameter_error("PatchOptions", "fieldManager", "FieldValueRequired",
                                              "Required value: is required for apply patch")
    dry_run = request_options.dry_run(request, "PatchOptions")
    mode = request_options.field_validation(request, "PatchOptions")
    config, duplicates = await _read_configuration(request, kind)
    check_same(config, target)
    unsupported.refuse_kind(kind, target.name or "")  # before its fields are checked
    checked, warnings = structural_schemas.validate(kind, orjson.loads(orjson.dumps(config)), mode, duplicates)
    writer = Writer(request_options.manager(request), target.subresource or "", "Apply")
    live = store.find(kind, target.namespace, target.name or "")
    if live is None:
        if target.subresource:
            store.get(kind, target.namespace, target.name or "")
        if config["metadata"].get("uid") or config["metadata"].get("resourceVersion"):
            raise _gone(kind, target)
        if kind.has_status:
            checked.pop("status", None)
        checked["metadata"]["managedFields"] = managed_fields.shown(
            [ManagedFieldsEntry(writer, kind.api_version, utc(time.time()), set(field_paths.leaves(kind, checked)))])
        created = store.create(kind, checked, dry_run=dry_run, warnings=warnings)
        return object_response(request, target, created, status=201, warnings=warnings)
    new = applied(kind, live, checked, writer, force=request_options.flag(request, "force"))
    new, more = structural_schemas.validate(kind, new, mode)
    stored = store_changed(store, target, new, dry_run, more)
    return object_response(request, target, stored, warnings=dict.fromkeys([*warnings, *more]))


def applied(kind: Kind, live: Object, config: Object, writer: Writer, *, force: bool) -> Object:
    """The live object with a configuration applied. Raises StatusError 409 if it changes fields of other managers."""
    entries, rules = managed_fields.entries_of(live), rules_of(kind)
    wanted = field_paths.leaves(kind, config, writer.subresource)
    found = managed_fields.conflicts(entries, writer, field_paths.leaves(kind, live, writer.subresource), wanted)
    if not force:
        mine = _from_client_side(kind, live) if writer.name == "kubectl" else set()
        if refused := [(entry, path) for entry, path in found if path not in mine]:
            raise managed_fields.conflict_error(refused)
    for entry, path in found:
        entry.paths.discard(path)
    own = next((entry for entry in entries if entry.writer == writer), None)
    new: Object = field_paths.merge(live, config, rules)
    new["metadata"]["managedFields"] = live["metadata"].get("managedFields") or []
    if own is None:
        own = ManagedFieldsEntry(writer, kind.api_version, None, set())
        entries.append(own)
    if writer.name == "kubectl" and LAST_APPLIED in (live["metadata"].get("annotations") or {}):
        new["metadata"]["annotations"][LAST_APPLIED] = orjson.dumps(config, option=_JSON).decode()
    field_paths.remove(new, _dropped(own, wanted.keys(), entries), rules)
    if own.paths != wanted.keys() or own.time is None or found:
        own.paths, own.time, own.api_version = set(wanted), utc(time.time()), kind.api_version
        new["metadata"]["managedFields"] = managed_fields.shown(entries)
    return new


def _from_client_side(kind: Kind, live: Object) -> set[Path]:
    """The fields that client-side `kubectl apply` set and that are unchanged: server-side apply takes them over."""
    text = (live["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    try:
        last: object = orjson.loads(text) if text else None
    except ValueError:
        last = None
    if not isinstance(last, dict):
        return set()
    now = field_paths.leaves(kind, live)
    return {path for path, value in field_paths.leaves(kind, last).items() if path in now and now[path] == value}


def _dropped(own: ManagedFieldsEntry, wanted: Iterable[Path], entries: list[ManagedFieldsEntry]) -> set[Path]:
    """The fields that the manager applied before, does not apply now, and shares with no other manager."""
    others: set[Path] = set().union(*(entry.paths for entry in entries if entry is not own))
    return own.paths - set(wanted) - others


async def _read_configuration(request: web.Request, kind: Kind) -> bodies.Decoded:
    try:
        value, duplicates = await bodies.parse_yaml(await bodies.read(request))
    except ValueError as error:
        raise StatusError(400, "BadRequest", f"error decoding YAML: {error}") from None
    config = bodies.checked(kind, value)
    if not config.get("apiVersion") or not config.get("kind"):
        raise StatusError(400, "BadRequest", "an apply configuration must name its apiVersion and kind")
    if config["metadata"].get("managedFields"):
        raise StatusError(400, "BadRequest", "metadata.managedFields must be nil")
    return bodies.Decoded(config, duplicates)


def _gone(kind: Kind, target: RequestTarget) -> StatusError:
    return StatusError(409, "Conflict", f'Operation cannot be fulfilled on {kind.resource} "{target.name}": uid '
                       "mismatch: the provided object specified a uid or resourceVersion, and no existing object was "
                       "found",
                       {"name": target.name or "", "group": kind.group, "kind": kind.plural})
