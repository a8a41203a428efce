"""POST, PUT and DELETE: creating, replacing and deleting objects."""

from __future__ import annotations

import orjson
from aiohttp import web

from kserve_nb.clusters.embedded.api.columns import tables
from kserve_nb.clusters.embedded.api.entry import Entry
from kserve_nb.clusters.embedded.api.object_metadata import Cause, invalid
from kserve_nb.clusters.embedded.api.ownership import managed_fields
from kserve_nb.clusters.embedded.api.schema import structural_schemas
from kserve_nb.clusters.embedded.api.store import selectors
from kserve_nb.clusters.embedded.api.store.store import Store
from kserve_nb.clusters.embedded.api.wire import bodies, protobuf, request_options
from kserve_nb.clusters.embedded.api.wire.bodies import decode
from kserve_nb.clusters.embedded.api.wire.content_negotiation import view
from kserve_nb.clusters.embedded.api.wire.request_paths import Target
from kserve_nb.clusters.embedded.api.wire.responses import answer
from kserve_nb.clusters.embedded.kinds import NAMESPACE
from kserve_nb.clusters.embedded.objects import Object, StatusError


async def create(request: web.Request, store: Store, target: Target) -> web.Response:
    """POST to a collection."""
    kind = target.kind
    dry_run = request_options.dry_run(request, "CreateOptions")
    mode, manager = request_options.field_validation(request, "CreateOptions"), request_options.manager(request)
    body = decode(kind, request.headers.get("Content-Type", ""), await bodies.read(request))
    _place(body, target)
    body, warnings = structural_schemas.validate(kind, body, mode)
    if kind.has_status:
        body.pop("status", None)
    body["metadata"]["managedFields"] = managed_fields.after_update(kind, None, body, manager)
    return shown(request, target, store.create(kind, body, dry_run=dry_run), status=201, warnings=warnings)


async def replace(request: web.Request, store: Store, target: Target) -> web.Response:
    """PUT of one object, or of its status."""
    kind, subresource = target.kind, target.subresource or ""
    dry_run = request_options.dry_run(request, "UpdateOptions")
    mode, manager = request_options.field_validation(request, "UpdateOptions"), request_options.manager(request)
    body = decode(kind, request.headers.get("Content-Type", ""), await bodies.read(request))
    check_same(body, target)
    old = store.get(kind, target.namespace, target.name or "")
    if not body["metadata"].get("resourceVersion") and "." in kind.group and not kind.group.endswith("k8s.io"):
        error = invalid(kind, target.name or "", [Cause(
            "metadata.resourceVersion", "FieldValueInvalid", "Invalid value: 0: must be specified for an update")])
        raise StatusError(422, "Invalid", error.message.replace(f"{kind.kind}.{kind.group}", kind.resource, 1),
                          error.details | {"kind": kind.plural})
    body, warnings = structural_schemas.validate(kind, body, mode)
    new = write(store, target, old, body, managed_fields.Writer(manager, subresource), dry_run)
    return shown(request, target, new, warnings=warnings)


def write(
    store: Store, target: Target, old: Object, body: Object, writer: managed_fields.Writer, dry_run: bool
) -> Object:
    """Store a changed object, and who changed what in it."""
    kind = target.kind
    body["metadata"]["managedFields"] = managed_fields.after_update(kind, old, body, writer.name, writer.subresource)
    return store_changed(store, target, body, dry_run)


def store_changed(store: Store, target: Target, body: Object, dry_run: bool) -> Object:
    """Store a changed object, or its status alone where that is the target."""
    kind = target.kind
    if target.subresource == "status":
        structural_schemas.check_values(kind, body, "status")
        return store.update_status(kind, body, dry_run=dry_run)
    return store.update(kind, body, dry_run=dry_run)


async def delete(request: web.Request, store: Store, target: Target) -> web.Response:
    """DELETE of one object: a Status when it is gone, what is left of it when it is not."""
    assert target.name is not None
    wish = await _delete_options(request)
    entry = store.entry(target.kind, target.namespace, target.name)
    left = _delete(request, store, target, entry, wish)
    if left is not None:
        return shown(request, target, left)
    meta, kind = entry.copy()["metadata"], target.kind
    if kind.plural in _ANSWERS_WITH_OBJECT and not kind.group:
        return answer(request, entry.data)
    details = {"name": target.name, "group": kind.group, "kind": kind.plural, "uid": meta["uid"]}
    return answer(request, orjson.dumps({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": {key: value for key, value in details.items() if value}}))


_ANSWERS_WITH_OBJECT = ("pods", "services", "serviceaccounts", "persistentvolumeclaims")


async def delete_collection(request: web.Request, store: Store, target: Target) -> web.Response:
    """DELETE of all that the selectors select."""
    if target.kind == NAMESPACE:
        raise not_allowed()
    wish = await _delete_options(request)
    selector = selectors.parse(
        target.kind, request.query.get("labelSelector", ""), request.query.get("fieldSelector", ""))
    found = [entry for entry in store.entries(target.kind, target.namespace) if selector.matches(entry)]
    for entry in found:
        _delete(request, store, target, entry, wish)
    items = b",".join(entry.data for entry in found)
    return answer(request, b'{"kind":%b,"apiVersion":%b,"metadata":{"resourceVersion":"%d"},"items":[%b]}' % (
        orjson.dumps(f"{target.kind.kind}List"), orjson.dumps(target.kind.api_version), store.version, items))


def shown(request: web.Request, target: Target, obj: Object, *, status: int = 200,
          warnings: list[str] | None = None) -> web.Response:
    """An object as the client asked to see it."""
    wanted = view(request.headers.get("Accept", ""))
    body = orjson.dumps(obj, option=orjson.OPT_SORT_KEYS)
    if wanted != "object":
        version = obj["metadata"].get("resourceVersion", "0")
        entry = Entry.of(obj | {"metadata": obj["metadata"] | {"resourceVersion": version}}, body)
        body = tables.partial(entry)
        if wanted == "table":
            row = tables.row(target.kind, entry, tables.include_of(request))
            body = tables.join(tables.head(target.kind, {"resourceVersion": version}), [row])
    return answer(request, body, status=status, warnings=warnings or ())


def check_same(body: Object, target: Target) -> None:
    """Raises StatusError 400 where a body names another object than the URL; fills in what it leaves out."""
    meta = body["metadata"]
    if meta.setdefault("name", target.name) != target.name:
        raise StatusError(400, "BadRequest", f"the name of the object ({meta['name']}) does not match the name on the "
                                             f"URL ({target.name})")
    _place(body, target)


def not_allowed() -> StatusError:
    """The 405."""
    return StatusError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")


def _place(body: Object, target: Target) -> None:
    if target.kind.namespaced and (body["metadata"].get("namespace") or target.namespace) != target.namespace:
        raise StatusError(400, "BadRequest",
                          "the namespace of the provided object does not match the namespace sent on the request")
    body["metadata"].pop("namespace", None)
    if target.kind.namespaced:
        body["metadata"]["namespace"] = target.namespace


async def _delete_options(request: web.Request) -> Object:
    data = await bodies.read(request)
    value: Object = {}
    if data:
        media = request.headers.get("Content-Type", "")
        try:
            value = (protobuf.decode(data) if "protobuf" in media
                     else bodies.parse_yaml(data) if "yaml" in media else orjson.loads(data))
        except ValueError as error:
            raise StatusError(400, "BadRequest", "couldn't get version/kind; json parse error: "
                                                 f"{bodies.go_error(data, error)}") from None
    _check_delete_options(value)
    policy = request.query.get("propagationPolicy") or value.get("propagationPolicy") or "Background"
    if policy not in ("Background", "Foreground", "Orphan"):
        raise request_options.field_error(
            "DeleteOptions", "propagationPolicy", "FieldValueNotSupported",
            f'Unsupported value: "{policy}": supported values: "Foreground", "Background", "Orphan", "nil"')
    for name in ("gracePeriodSeconds", "propagationPolicy"):
        given = request_options.integer(request, name) if name == "gracePeriodSeconds" else request.query.get(name)
        if given is not None:
            value[name] = given
    return value


def _check_delete_options(value: object) -> None:
    match value:
        case {"gracePeriodSeconds": bool() | str() | float() | list() | dict()} | {"preconditions": str() | list()}:
            raise StatusError(400, "BadRequest", "DeleteOptions: a field has the wrong type: gracePeriodSeconds is a "
                                                 "whole number, preconditions an object")
        case dict():
            return
    raise StatusError(400, "BadRequest", "json: cannot unmarshal the body into Go value of type v1.DeleteOptions")


def _delete(request: web.Request, store: Store, target: Target, entry: Entry, wish: Object) -> Object | None:
    dry_run = request_options.dry_run(request, "DeleteOptions") or wish.get("dryRun") == ["All"]
    conditions = wish.get("preconditions") or {}
    version = conditions.get("resourceVersion")
    if version and version != str(entry.version):
        kind = target.kind
        raise StatusError(
            409, "Conflict", f'Operation cannot be fulfilled on {kind.resource} "{entry.name}": the ResourceVersion in '
            f"the precondition ({version}) does not match the ResourceVersion in record ({entry.version}). The object "
            "might have been modified", {"name": entry.name, "group": kind.group, "kind": kind.plural})
    return store.delete(
        target.kind, entry.namespace, entry.name, uid=conditions.get("uid"), dry_run=dry_run,
        grace_period_s=wish.get("gracePeriodSeconds"), propagation=wish.get("propagationPolicy") or "Background")
