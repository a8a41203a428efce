"""Request bodies: JSON, YAML or protobuf becomes an object, or an error in the words of a kube-apiserver."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

import orjson
from aiohttp import web

from kserve_nb.clusters.embedded.api.entry import encode
from kserve_nb.clusters.embedded.api.wire import duplicate_keys, go_json, protobuf, yaml_documents
from kserve_nb.clusters.embedded.api.wire.content_negotiation import ACCEPTED, media_types
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object, StatusError

LIMIT = 3 * 1024 * 1024  # bytes; a kube-apiserver's own limit
_PROTOBUF = "application/vnd.kubernetes.protobuf"
_META_TYPES: dict[str, Any] = {
    "name": str, "generateName": str, "namespace": str, "uid": str, "resourceVersion": str, "labels": dict,
    "annotations": dict, "finalizers": list, "ownerReferences": list, "managedFields": list,
    "deletionTimestamp": str, "creationTimestamp": str, "selfLink": str, "generation": int,
    "deletionGracePeriodSeconds": int}
_GO_FIELD_TYPES = {str: "string", dict: "map[string]string", int: "int64"}


class Decoded(NamedTuple):
    """An object and the strict decoding errors of its body: a message for each key that is given twice."""

    object: Object
    duplicates: list[str]


async def read(request: web.Request) -> bytes:
    """The bytes of a request's body. Raises StatusError 413 if they are too many."""
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise StatusError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {LIMIT}") from None


async def read_object(request: web.Request, kind: Kind) -> Decoded:
    """The object of this kind in a request's body. Raises StatusError 400, 413 or 415."""
    media = media_types(request.headers.get("Content-Type") or "application/json")[0][0]
    data = await read(request)
    if media == _PROTOBUF:
        return Decoded(checked(kind, protobuf.decode(data)), [])
    if media not in ("application/json", "application/yaml"):
        raise unsupported(ACCEPTED)
    try:
        if media == "application/json":
            return Decoded(checked(kind, orjson.loads(data)), duplicate_keys.messages(data))
        value, duplicates = await parse_yaml(data)
        return Decoded(checked(kind, value), duplicates)
    except ValueError as error:
        raise StatusError(
            400, "BadRequest",
            f"the object provided is unrecognized (must be of type {kind.kind}): couldn't get version/kind; "
            f"json parse error: {go_json.syntax_error(data, error)} ({go_json.summary(data)})") from None


async def parse_yaml(data: bytes) -> tuple[Any, list[str]]:
    """The value of a YAML or JSON document, and a message for each key that is given twice. Raises ValueError.

    YAML is parsed in a thread: a large document takes seconds, and the event loop must not wait for it.
    """
    try:
        return orjson.loads(data), duplicate_keys.messages(data)  # kubectl sends JSON as application/apply-patch+yaml
    except orjson.JSONDecodeError:
        return await asyncio.to_thread(yaml_documents.parse, data)


def checked(kind: Kind, value: Any) -> Object:
    """The value, if it is an object of this kind with metadata of the right types. Raises StatusError 400."""
    cannot = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: '
    if not isinstance(value, dict):
        raise StatusError(400, "BadRequest",
                          f"{cannot}json: cannot unmarshal {go_json.type_name(value)} into Go value of type "
                          "map[string]interface {}")
    encode(value)  # refuses values that are nested too deep
    _check_type(kind, value, cannot)
    if value.get("metadata") is None:
        value["metadata"] = {}
    problem = _metadata_problem(value["metadata"])
    if problem:
        raise StatusError(400, "BadRequest", f"{cannot}json: cannot unmarshal {problem}")
    value["metadata"] = {key: field for key, field in value["metadata"].items() if field is not None}
    return value


def unsupported(accepted: str) -> StatusError:
    """The 415 error that lists the accepted media types."""
    return StatusError(415, "UnsupportedMediaType",
                       f"the body of the request was in an unknown format - accepted media types include: {accepted}")


def _check_type(kind: Kind, value: Object, cannot: str) -> None:
    for field in ("apiVersion", "kind"):
        if not isinstance(value.get(field, ""), str):
            raise StatusError(400, "BadRequest", f"{cannot}json: cannot unmarshal {go_json.type_name(value[field])} "
                                                 f"into Go struct field TypeMeta.{field} of type string")
    if value.get("apiVersion") not in (None, "", kind.api_version):
        raise StatusError(400, "BadRequest", f"the API version in the data ({value['apiVersion']}) does not match the "
                                             f"expected API version ({kind.api_version})")
    given = value.get("kind") or kind.kind
    if given != kind.kind and "." not in kind.group:  # custom resources accept any kind, as recorded
        raise StatusError(400, "BadRequest", f'{given} in version "{kind.version}" cannot be handled as a {kind.kind}: '
                                             f"no kind \"{given}\" is registered for this resource")


def _metadata_problem(meta: Any) -> str | None:
    if not isinstance(meta, dict):
        return f"{go_json.type_name(meta)} into Go struct field .metadata of type v1.ObjectMeta"
    for field, expected in _META_TYPES.items():
        value: Any = meta.get(field)
        if value is None:
            continue
        if not isinstance(value, expected) or isinstance(value, bool):
            return f"{go_json.type_name(value)} {_into(field)} {_GO_FIELD_TYPES.get(expected, f'[]{field}')}"
        problem = (_map_problem(meta, field, value) if expected is dict
                   else _list_problem(field, value) if expected is list else None)
        if problem:
            return problem
    return None


def _map_problem(meta: Object, field: str, value: Object) -> str | None:
    wrong = next((v for v in value.values() if v is not None and not isinstance(v, str)), None)
    if wrong is not None:
        return f"{go_json.type_name(wrong)} {_into(field)} string"
    if None in value.values():
        meta[field] = {k: "" if v is None else v for k, v in value.items()}
    return None


def _list_problem(field: str, value: list[Any]) -> str | None:
    item = str if field == "finalizers" else dict
    wrong = [v for v in value if not isinstance(v, item)]
    if not wrong:
        return None
    of_type = "string" if item is str else f"v1.{field[0].upper()}{field[1:-1]}"
    return f"{go_json.type_name(wrong[0])} {_into(field)} {of_type}"


def _into(field: str) -> str:
    return f"into Go struct field ObjectMeta.{field} of type"
