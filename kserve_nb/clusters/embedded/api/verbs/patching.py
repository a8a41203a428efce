"""PATCH: JSON patch, merge patch, and strategic merge patch for the built-in kinds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jsonpatch
import jsonpointer
import orjson
from aiohttp import web

from kserve_nb.clusters.embedded.api.entry import encode
from kserve_nb.clusters.embedded.api.field_errors import invalid_value
from kserve_nb.clusters.embedded.api.ownership.managed_fields import Writer
from kserve_nb.clusters.embedded.api.schema import structural_schemas
from kserve_nb.clusters.embedded.api.schema.decoding import conversion_error
from kserve_nb.clusters.embedded.api.schema.kind_types import type_of_kind
from kserve_nb.clusters.embedded.api.store.store import Store
from kserve_nb.clusters.embedded.api.verbs import applying
from kserve_nb.clusters.embedded.api.verbs.object_response import object_response
from kserve_nb.clusters.embedded.api.verbs.writing import check_same, write
from kserve_nb.clusters.embedded.api.wire import bodies, duplicate_keys, go_json, request_options
from kserve_nb.clusters.embedded.api.wire.content_negotiation import media_types
from kserve_nb.clusters.embedded.api.wire.request_paths import RequestTarget
from kserve_nb.clusters.embedded.apimachinery import strategic_merge
from kserve_nb.clusters.embedded.apimachinery.objects import Object, StatusError

JSON_PATCH, MERGE_PATCH = "application/json-patch+json", "application/merge-patch+json"
STRATEGIC_PATCH, APPLY_PATCH = "application/strategic-merge-patch+json", "application/apply-patch+yaml"
_MOST_OPERATIONS = 10_000  # a kube-apiserver's own limit

Change = Callable[[Object], Any]


async def patch(request: web.Request, store: Store, target: RequestTarget) -> web.Response:
    """PATCH of an object or of its status."""
    kind = target.kind
    media = media_types(request.headers.get("Content-Type", ""))[0][0]
    accepted = [JSON_PATCH, MERGE_PATCH, *([] if kind.is_custom else [STRATEGIC_PATCH]), APPLY_PATCH]
    if media not in accepted:
        raise bodies.unsupported(", ".join(accepted))
    if media == APPLY_PATCH:
        return await applying.apply(request, store, target)
    dry_run = request_options.dry_run(request, "PatchOptions")
    mode = request_options.field_validation(request, "PatchOptions")
    writer = Writer(request_options.manager(request), target.subresource or "")
    data = await bodies.read(request)
    change = _CHANGES[media](_json(data))
    entry = store.entry(kind, target.namespace, target.name or "")
    changed = change(entry.copy())
    if media == STRATEGIC_PATCH and (problem := conversion_error(type_of_kind(kind), changed)):
        raise _not_converted(orjson.loads(data), problem)
    body = bodies.checked(kind, changed)
    check_same(body, target)
    body, warnings = structural_schemas.validate(kind, body, mode, duplicate_keys.messages(data))
    new = write(store, target, entry.copy(), body, writer, dry_run, warnings)
    return object_response(request, target, new, warnings=warnings)


def merge_patch(current: Any, change: Any) -> Any:
    """The value with a JSON merge patch (RFC 7386) applied.

    >>> merge_patch({"a": 1, "b": 2}, {"b": None, "c": 3})
    {'a': 1, 'c': 3}
    """
    if not isinstance(change, dict):
        return change
    merged = dict(current) if isinstance(current, dict) else {}
    for key, value in change.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def _json(data: bytes) -> Any:
    try:
        value = orjson.loads(data)
    except ValueError as error:
        raise StatusError(400, "BadRequest", f"error decoding patch: {go_json.syntax_error(data, error)}") from None
    encode(value)  # refuses values that are nested too deep
    return value


def _merge_change(value: Any) -> Change:
    if not isinstance(value, dict):
        raise StatusError(400, "BadRequest", "error decoding patch: a merge patch is a JSON object")
    return lambda obj: merge_patch(obj, value)


def _strategic_change(value: Any) -> Change:
    if not isinstance(value, dict):
        raise StatusError(400, "BadRequest", "error decoding patch: a strategic merge patch is a JSON object")

    def change(obj: Object) -> Object:
        try:
            return strategic_merge.merge(obj, value)
        except ValueError as error:
            raise StatusError(400, "BadRequest", str(error)) from None

    return change


def _not_converted(value: Object, problem: str) -> StatusError:
    """The error about a strategic merge patch whose result has a value of the wrong type (`applyPatchToObject`)."""
    cause = invalid_value("patch", go_json.printed(value), problem)
    return StatusError(422, "Invalid", f' "" is invalid: {cause.field}: {cause.message}', {"causes": [cause._asdict()]})


def _json_change(value: Any) -> Change:
    if not isinstance(value, list) or not all(isinstance(operation, dict) for operation in value):
        raise StatusError(400, "BadRequest", "error decoding patch: a JSON patch is a list of operations: "
                                             "json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    if len(value) > _MOST_OPERATIONS:
        raise StatusError(413, "RequestEntityTooLarge", f"The allowed maximum operations in a JSON patch is "
                                                        f"{_MOST_OPERATIONS}, got {len(value)}")
    return lambda obj: _json_patched(obj, value)


def _json_patched(obj: Any, operations: list[Object]) -> Any:
    """The object after all operations of a JSON patch; its size is checked after each copy, which can double it."""
    try:
        for operation in operations:
            obj = jsonpatch.JsonPatch([operation]).apply(obj, in_place=True)
            if operation.get("op") == "copy" and len(orjson.dumps(obj)) > bodies.LIMIT:
                raise StatusError(413, "RequestEntityTooLarge", "the patched object is too large")
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError, ValueError, KeyError, IndexError,
            AttributeError, RecursionError):
        raise StatusError(422, "Invalid", "the server rejected our request due to an error in our request") from None
    return obj


_CHANGES: dict[str, Callable[[Any], Change]] = {
    JSON_PATCH: _json_change, MERGE_PATCH: _merge_change, STRATEGIC_PATCH: _strategic_change}
