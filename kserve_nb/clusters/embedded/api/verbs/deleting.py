"""DELETE: deleting one object, or all objects of a collection that the selectors select."""

from __future__ import annotations

import orjson
from aiohttp import web

from kserve_nb.clusters.embedded.api.entry import Entry
from kserve_nb.clusters.embedded.api.store import selectors
from kserve_nb.clusters.embedded.api.store.store import Store
from kserve_nb.clusters.embedded.api.verbs.object_response import object_response
from kserve_nb.clusters.embedded.api.wire import bodies, go_json, protobuf, request_options
from kserve_nb.clusters.embedded.api.wire.request_paths import RequestTarget
from kserve_nb.clusters.embedded.api.wire.responses import json_response, method_not_allowed
from kserve_nb.clusters.embedded.apimachinery.kinds import NAMESPACE
from kserve_nb.clusters.embedded.apimachinery.objects import Object, StatusError


async def delete(request: web.Request, store: Store, target: RequestTarget) -> web.Response:
    """DELETE of one object: the response is a Status if it is gone, or else the object with its deletionTimestamp."""
    assert target.name is not None
    options = await _options(request)
    entry = store.entry(target.kind, target.namespace, target.name)
    remaining = _delete(request, store, target, entry, options)
    if remaining is not None:
        return object_response(request, target, remaining)
    if target.kind.returned_on_delete:
        return json_response(request, entry.data)
    kind, uid = target.kind, entry.copy()["metadata"]["uid"]
    details = {"name": target.name, "group": kind.group, "kind": kind.plural, "uid": uid}
    return json_response(request, orjson.dumps({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": {key: value for key, value in details.items() if value}}))


async def delete_collection(request: web.Request, store: Store, target: RequestTarget) -> web.Response:
    """DELETE of a collection: the response is the list of the deleted objects."""
    if target.kind == NAMESPACE:
        raise method_not_allowed()
    options = await _options(request)
    selector = selectors.parse(
        target.kind, request.query.get("labelSelector", ""), request.query.get("fieldSelector", ""))
    found = [entry for entry in store.entries(target.kind, target.namespace) if selector.matches(entry)]
    for entry in found:
        _delete(request, store, target, entry, options)
    items = b",".join(entry.data for entry in found)
    return json_response(request, b'{"kind":%b,"apiVersion":%b,"metadata":{"resourceVersion":"%d"},"items":[%b]}' % (
        orjson.dumps(target.kind.list_kind), orjson.dumps(target.kind.api_version), store.version, items))


async def _options(request: web.Request) -> Object:
    """The DeleteOptions of a request: those in its body, overridden by its query parameters."""
    options = await _options_in_body(request)
    policy = request.query.get("propagationPolicy") or options.get("propagationPolicy") or "Background"
    if policy not in ("Background", "Foreground", "Orphan"):
        raise request_options.parameter_error(
            "DeleteOptions", "propagationPolicy", "FieldValueNotSupported",
            f'Unsupported value: "{policy}": supported values: "Foreground", "Background", "Orphan", "nil"')
    options["propagationPolicy"] = policy
    grace_period_s = request_options.integer(request, "gracePeriodSeconds")
    if grace_period_s is not None:
        options["gracePeriodSeconds"] = grace_period_s
    return options


async def _options_in_body(request: web.Request) -> Object:
    data, media = await bodies.read(request), request.headers.get("Content-Type", "")
    if not data:
        return {}
    try:
        value = (protobuf.decode(data) if "protobuf" in media
                 else (await bodies.parse_yaml(data))[0] if "yaml" in media else orjson.loads(data))
    except ValueError as error:
        raise StatusError(400, "BadRequest", "couldn't get version/kind; json parse error: "
                                             f"{go_json.syntax_error(data, error)}") from None
    match value:
        case {"gracePeriodSeconds": bool() | str() | float() | list() | dict()} | {"preconditions": str() | list()}:
            raise StatusError(400, "BadRequest", "DeleteOptions: a field has the wrong type: gracePeriodSeconds is a "
                                                 "whole number, preconditions an object")
        case dict():
            return value
    raise StatusError(400, "BadRequest", "json: cannot unmarshal the body into Go value of type v1.DeleteOptions")


def _delete(request: web.Request, store: Store, target: RequestTarget, entry: Entry, options: Object) -> Object | None:
    dry_run = request_options.dry_run(request, "DeleteOptions") or options.get("dryRun") == ["All"]
    preconditions = options.get("preconditions") or {}
    version = preconditions.get("resourceVersion")
    if version and version != str(entry.version):
        kind = target.kind
        raise StatusError(
            409, "Conflict", f'Operation cannot be fulfilled on {kind.resource} "{entry.name}": the ResourceVersion in '
            f"the precondition ({version}) does not match the ResourceVersion in record ({entry.version}). The object "
            "might have been modified", {"name": entry.name, "group": kind.group, "kind": kind.plural})
    return store.delete(
        target.kind, entry.namespace, entry.name, uid=preconditions.get("uid"), dry_run=dry_run,
        grace_period_s=options.get("gracePeriodSeconds"), propagation=options["propagationPolicy"])
