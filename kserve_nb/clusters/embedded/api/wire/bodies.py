"""From the bytes of a request to an object: JSON, YAML or protobuf, and the words for what cannot be read."""

from __future__ import annotations

import json
from typing import Any

import orjson
import yaml
from aiohttp import web

from kserve_nb.clusters.embedded.api.entry import encode
from kserve_nb.clusters.embedded.api.wire import protobuf
from kserve_nb.clusters.embedded.api.wire.content_negotiation import clauses
from kserve_nb.clusters.embedded.objects import Kind, Object, StatusError

LIMIT = 3 * 1024 * 1024  # bytes; a kube-apiserver's own limit
_ACCEPTED = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
_GO_TYPES = {bool: "bool", str: "string", list: "array", dict: "object", int: "number", float: "number"}
_META_TYPES: dict[str, Any] = {
    "name": str, "generateName": str, "namespace": str, "uid": str, "resourceVersion": str, "labels": dict,
    "annotations": dict, "finalizers": list, "ownerReferences": list, "managedFields": list,
    "deletionTimestamp": str, "creationTimestamp": str, "selfLink": str, "generation": int,
    "deletionGracePeriodSeconds": int}


class _Loader(yaml.SafeLoader):
    """YAML as Kubernetes reads it: times stay text, and no aliases, for they grow beyond any limit."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not accepted: write the value out")
        return super().compose_node(parent, index)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()}


async def read(request: web.Request) -> bytes:
    """The body. Raises StatusError 413 for one that is too large."""
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise StatusError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {LIMIT}") from None


def parse_yaml(data: bytes) -> Any:
    """The value of a YAML (or JSON) document. Raises ValueError."""
    try:
        value = yaml.load(data, _Loader)
        return orjson.loads(orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS))
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, RecursionError) as error:
        raise ValueError(f"error converting YAML to JSON: {error}") from None


def decode(kind: Kind, content_type: str, data: bytes) -> Object:
    """The object in a body for this kind. Raises StatusError 400 or 415."""
    media = clauses(content_type or "application/json")[0][0]
    if media == "application/vnd.kubernetes.protobuf":
        return checked(kind, protobuf.decode(data))
    if media not in ("application/json", "application/yaml"):
        raise unsupported(_ACCEPTED)
    try:
        value = orjson.loads(data) if media == "application/json" else parse_yaml(data)
    except ValueError as error:
        raise StatusError(
            400, "BadRequest",
            f"the object provided is unrecognized (must be of type {kind.kind}): couldn't get version/kind; "
            f"json parse error: {go_error(data, error)} ({_summary(data)})") from None
    return checked(kind, value)


def checked(kind: Kind, value: Any) -> Object:
    """The value, if it is an object of this kind with metadata of the right types. Raises StatusError 400."""
    cannot = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: '
    if not isinstance(value, dict):
        raise StatusError(400, "BadRequest",
                          f"{cannot}json: cannot unmarshal {_go_type(value)} into Go value of type "
                          "map[string]interface {}")
    encode(value)  # what is nested too deep is refused here
    for field in ("apiVersion", "kind"):
        if not isinstance(value.get(field, ""), str):
            raise StatusError(400, "BadRequest", f"{cannot}json: cannot unmarshal {_go_type(value[field])} into Go "
                                                 f"struct field TypeMeta.{field} of type string")
    if value.get("apiVersion") not in (None, "", kind.api_version):
        raise StatusError(400, "BadRequest", f"the API version in the data ({value['apiVersion']}) does not match the "
                                             f"expected API version ({kind.api_version})")
    given = value.get("kind") or kind.kind
    if given != kind.kind and "." not in kind.group:  # custom resources take any kind, as recorded
        raise StatusError(400, "BadRequest", f'{given} in version "{kind.version}" cannot be handled as a {kind.kind}: '
                                             f"no kind \"{given}\" is registered for this resource")
    if value.get("metadata") is None:
        value["metadata"] = {}
    problem = _metadata_problem(value["metadata"])
    if problem:
        raise StatusError(400, "BadRequest", f"{cannot}json: cannot unmarshal {problem}")
    value["metadata"] = {key: field for key, field in value["metadata"].items() if field is not None}
    return value


def unsupported(accepted: str) -> StatusError:
    """The 415 that lists what is understood."""
    return StatusError(415, "UnsupportedMediaType",
                       f"the body of the request was in an unknown format - accepted media types include: {accepted}")


def go_error(data: bytes, error: ValueError) -> str:
    """What Go's JSON decoder says about a body that cannot be read."""
    try:
        json.loads(data)
    except json.JSONDecodeError as reason:
        if reason.pos >= len(reason.doc.rstrip()):
            return "unexpected end of JSON input"
        return f"invalid character {go_char(reason.doc[reason.pos])} looking for beginning of value"
    except (UnicodeDecodeError, RecursionError):
        pass
    return str(error)


def go_char(char: str) -> str:
    """A character as Go quotes it."""
    special = {"'": "'\\''", '"': "'\"'", "\n": "'\\n'", "\r": "'\\r'", "\t": "'\\t'"}
    if char in special:
        return special[char]
    if char.isprintable():
        return f"'{char}'"
    return f"'\\u{ord(char):04x}'" if ord(char) > 127 else f"'\\x{ord(char):02x}'"


def _go_type(value: object) -> str:
    return "null" if value is None else _GO_TYPES[type(value)]


def _metadata_problem(meta: Any) -> str | None:
    if not isinstance(meta, dict):
        return f"{_go_type(meta)} into Go struct field .metadata of type v1.ObjectMeta"
    for field, expected in _META_TYPES.items():
        value: Any = meta.get(field)
        if value is None:
            continue
        place = f"into Go struct field ObjectMeta.{field} of type"
        if not isinstance(value, expected) or isinstance(value, bool):
            go = {str: "string", dict: "map[string]string", list: f"[]{field}", int: "int64"}[expected]
            return f"{_go_type(value)} {place} {go}"
        if field in ("labels", "annotations"):
            wrong = next((v for v in value.values() if not isinstance(v, str)), None)
            if wrong is not None:
                return f"{_go_type(wrong)} {place} string"
            if None in value.values():
                meta[field] = {k: "" if v is None else v for k, v in value.items()}
        if expected is list:
            item = str if field == "finalizers" else dict
            wrong = next((v for v in value if not isinstance(v, item)), None)
            if wrong is not None or None in value:
                of_type = "string" if item is str else f"v1.{field[0].upper()}{field[1:-1]}"
                return f"{_go_type(wrong)} {place} {of_type}"
    return None


def _summary(data: bytes) -> str:
    if not data:
        return "<empty>"
    text = data[:30].decode(errors="replace") if data[:1] == b"{" else data[:30].hex()
    return text + (" ..." if len(data) > 30 else "")
