"""POST and PUT: creating and replacing objects."""

from __future__ import annotations

from aiohttp import web

from kserve_nb.clusters.embedded.api.admission import unsupported
from kserve_nb.clusters.embedded.api.field_errors import Cause, invalid
from kserve_nb.clusters.embedded.api.ownership import managed_fields
from kserve_nb.clusters.embedded.api.schema import structural_schemas
from kserve_nb.clusters.embedded.api.store.store import Store
from kserve_nb.clusters.embedded.api.verbs.object_response import object_response
from kserve_nb.clusters.embedded.api.wire import bodies, request_options
from kserve_nb.clusters.embedded.api.wire.request_paths import RequestTarget
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object, StatusError


async def create(request: web.Request, store: Store, target: RequestTarget) -> web.Response:
    """POST to a collection: create an object."""
    kind = target.kind
    dry_run = request_options.dry_run(request, "CreateOptions")
    mode, manager = request_options.field_validation(request, "CreateOptions"), request_options.manager(request)
    body, duplicates = await bodies.read_object(request, kind)
    _set_namespace(body, target)
    unsupported.refuse_kind(kind, str(body["metadata"].get("name") or ""))  # before its fields are checked
    body, warnings = structural_schemas.validate(kind, body, mode, duplicates)
    if kind.has_status:
        body.pop("status", None)
    body["metadata"]["managedFields"] = managed_fields.after_update(kind, None, body, manager)
    created = store.create(kind, body, dry_run=dry_run, warnings=warnings)
    return object_response(request, target, created, status=201, warnings=warnings)


async def replace(request: web.Request, store: Store, target: RequestTarget) -> web.Response:
    """PUT of an object or of its status."""
    kind, subresource = target.kind, target.subresource or ""
    dry_run = request_options.dry_run(request, "UpdateOptions")
    mode, manager = request_options.field_validation(request, "UpdateOptions"), request_options.manager(request)
    body, duplicates = await bodies.read_object(request, kind)
    check_same(body, target)
    old = store.get(kind, target.namespace, target.name or "")
    if kind.is_custom and body["metadata"].get("resourceVersion") in (None, "", "0"):
        raise _without_version(kind, target.name or "")
    body, warnings = structural_schemas.validate(kind, body, mode, duplicates)
    new = write(store, target, old, body, managed_fields.Writer(manager, subresource), dry_run, warnings)
    return object_response(request, target, new, warnings=warnings)


def write(store: Store, target: RequestTarget, old: Object, body: Object, writer: managed_fields.Writer, dry_run: bool,
          warnings: list[str]) -> Object:
    """Store a changed object and record in managedFields which manager changed which fields."""
    kind = target.kind
    body["metadata"]["managedFields"] = managed_fields.after_update(kind, old, body, writer.name, writer.subresource)
    return store_changed(store, target, body, dry_run, warnings)


def store_changed(store: Store, target: RequestTarget, body: Object, dry_run: bool, warnings: list[str]) -> Object:
    """Store a changed object, or only its status if that is the target. Appends admission's warnings to `warnings`."""
    kind = target.kind
    if target.subresource == "status":
        structural_schemas.check_values(kind, body, "status")
        return store.update_status(kind, body, dry_run=dry_run)
    return store.update(kind, body, dry_run=dry_run, warnings=warnings)


def check_same(body: Object, target: RequestTarget) -> None:
    """Fill in the name and namespace of the URL. Raises StatusError 400 if the body has others."""
    meta = body["metadata"]
    if meta.setdefault("name", target.name) != target.name:
        raise StatusError(400, "BadRequest", f"the name of the object ({meta['name']}) does not match the name on the "
                                             f"URL ({target.name})")
    _set_namespace(body, target)


def _set_namespace(body: Object, target: RequestTarget) -> None:
    if target.kind.namespaced and (body["metadata"].get("namespace") or target.namespace) != target.namespace:
        raise StatusError(400, "BadRequest",
                          "the namespace of the provided object does not match the namespace sent on the request")
    body["metadata"].pop("namespace", None)
    if target.kind.namespaced:
        body["metadata"]["namespace"] = target.namespace


def _without_version(kind: Kind, name: str) -> StatusError:
    """The 422 error for a PUT of a custom resource without resourceVersion, which names the resource, not the kind."""
    error = invalid(kind, name, [Cause(
        "metadata.resourceVersion", "FieldValueInvalid", "Invalid value: 0: must be specified for an update")])
    return StatusError(422, "Invalid", error.message.replace(f"{kind.kind}.{kind.group}", kind.resource, 1),
                       error.details | {"kind": kind.plural})
