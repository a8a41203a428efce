"""The OpenAPI schema of each kind, written out in full, for validation, pruning and `kubectl explain`."""

from __future__ import annotations

from functools import cache

from kserve_nb.clusters.embedded.api.schema.kind_types import OPEN_OBJECT, fields_of, type_of_kind
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object

SCALARS: dict[str, Object] = {
    "string": {"type": "string"}, "bool": {"type": "boolean"}, "int": {"type": "integer"},
    "int32": {"type": "integer", "format": "int32"}, "int64": {"type": "integer", "format": "int64"},
    "number": {"type": "number", "format": "double"}, "any": {"x-kubernetes-preserve-unknown-fields": True},
    "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
}
_QUANTITY_PATTERN = (
    r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$")
_INTEGER_OR_STRING: Object = {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True}
_INLINE_SCALARS = SCALARS | {
    "time": {"type": "string", "format": "date-time"}, "intstr": _INTEGER_OR_STRING,
    "quantity": _INTEGER_OR_STRING | {"pattern": _QUANTITY_PATTERN},
}
_WITHOUT_REQUIRED = ("V1HTTPGetAction", "V1TCPSocketAction", "V1PodOS")  # in most places of KServe's definitions
_inlined: dict[str, Object] = {}


def schema_of(kind: Kind) -> Object:
    """The schema of a kind's objects, including apiVersion, kind and metadata.

    The schemas of two fields that have the same type are one object; a type that contains itself is a cycle.
    """
    if kind.schema is None:
        return inline(type_of_kind(kind))
    every_object = {name: inline(OPEN_OBJECT)["properties"][name] for name in ("apiVersion", "kind", "metadata")}
    return {**kind.schema, "properties": {**(kind.schema.get("properties") or {}), **every_object}}


def inline(type_: str) -> Object:
    """The schema of a type, with the schemas of all its fields written out."""
    if type_.startswith("[]"):
        return _list_of(type_[2:])
    if type_.startswith("{}"):
        return _map_of(type_[2:])
    if type_ in _INLINE_SCALARS:
        return _INLINE_SCALARS[type_]
    if type_ not in _inlined:
        schema = _inlined[type_] = {}  # first, because a field of it may have this type
        schema |= object_schema(type_, {name: inline(field.type) for name, field in fields_of(type_).items()})
        if type_ in _WITHOUT_REQUIRED:
            del schema["required"]
    return _inlined[type_]


def object_schema(type_name: str, properties: dict[str, Object]) -> Object:
    """The schema of a composite type, from those of its fields."""
    fields = fields_of(type_name)
    properties = {name: {**schema, **fields[name].limits} if fields[name].limits else schema
                  for name, schema in properties.items()}
    required = sorted(name for name, field in fields.items() if field.required)
    return {"type": "object", "properties": properties} | ({"required": required} if required else {})


@cache
def _list_of(type_: str) -> Object:
    return {"type": "array", "items": inline(type_)}


@cache
def _map_of(type_: str) -> Object:
    return {"type": "object", "additionalProperties": inline(type_)}
