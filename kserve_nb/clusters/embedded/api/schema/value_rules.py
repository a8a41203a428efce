"""Checks values against an OpenAPI v3 schema, with the messages of a Kubernetes API server.

Source: k8s.io/kube-openapi pkg/validation/{validate,errors}, and ValidateCustomResource of apiextensions-apiserver
(pkg/apiserver/validation/validation.go).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from kserve_nb.clusters.embedded.api.field_errors import Cause

Schema = Mapping[str, Any]
_COMBINATIONS = frozenset(("allOf", "anyOf", "oneOf", "not"))
_INTEGER_BITS = {"int32": 32, "int64": 64}


def problems_of(schema: Schema, value: Any, path: str) -> Iterator[Cause]:
    """The problems of a value and of all fields in it."""
    if value is None and schema.get("nullable"):
        return
    if schema.get("x-kubernetes-int-or-string"):
        if not isinstance(value, str | int) or isinstance(value, bool):
            yield _wrong_type(path, value, "integer,string")
        return
    expected, given = schema.get("type"), _json_type(value)
    if expected and given != expected and not (expected == "number" and given == "integer"):
        yield _wrong_type(path, value, expected)
        return
    if value not in (schema.get("enum") or [value]):
        supported = ", ".join(_quoted(choice) for choice in schema["enum"])
        yield Cause(path, "FieldValueNotSupported",
                    f"Unsupported value: {_quoted(value)}: supported values: {supported}")
    if isinstance(value, str):
        yield from _string_problems(schema, value, path)
    elif isinstance(value, list):
        yield from _list_problems(schema, value, path)
    elif isinstance(value, dict):
        yield from _object_problems(schema, value, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _number_problems(schema, value, path)
    if not _COMBINATIONS.isdisjoint(schema):
        yield from _combination_problems(schema, value, path)


def _string_problems(schema: Schema, value: str, path: str) -> Iterator[Cause]:
    if len(value) > schema.get("maxLength", len(value)):
        yield Cause(path, "FieldValueTooLong", f"Too long: may not be more than {schema['maxLength']} bytes")
    if len(value) < schema.get("minLength", 0):
        yield _not_allowed(path, value, f"should be at least {schema['minLength']} chars long")
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield _not_allowed(path, value, f"should match '{schema['pattern']}'")
    if schema.get("format") == "date-time" and not _is_time(value):
        yield _not_allowed(path, value, f"must be of type date-time: {json.dumps(value)}")


def _number_problems(schema: Schema, value: float, path: str) -> Iterator[Cause]:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and (value < low or (value == low and schema.get("exclusiveMinimum"))):
        than = "greater than" if schema.get("exclusiveMinimum") else "greater than or equal to"
        yield _not_allowed(path, value, f"should be {than} {low}")
    if high is not None and (value > high or (value == high and schema.get("exclusiveMaximum"))):
        than = "less than" if schema.get("exclusiveMaximum") else "less than or equal to"
        yield _not_allowed(path, value, f"should be {than} {high}")
    if schema.get("multipleOf") and value % schema["multipleOf"]:
        yield _not_allowed(path, value, f"should be a multiple of {schema['multipleOf']}")
    bits = _INTEGER_BITS.get(schema.get("format", ""))
    if bits and not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
        yield _not_allowed(path, value, f"must be of type {schema['format']}: {json.dumps(value)}")


def _list_problems(schema: Schema, value: list[Any], path: str) -> Iterator[Cause]:
    if len(value) > schema.get("maxItems", len(value)):
        yield Cause(path, "FieldValueTooMany", f"Too many: {len(value)}: must have at most {schema['maxItems']} items")
    if len(value) < schema.get("minItems", 0):
        yield _not_allowed(path, len(value), f"should have at least {schema['minItems']} items")
    for index, item in enumerate(value):
        yield from problems_of(schema.get("items") or {}, item, f"{path}[{index}]")
    yield from _duplicates(schema, value, path)


def _duplicates(schema: Schema, value: list[Any], path: str) -> Iterator[Cause]:
    """Duplicate items of a set or of a list with keys (pkg/apiserver/schema/listtype)."""
    list_type, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys") or ()
    if list_type not in ("set", "map"):
        return
    seen = []
    for index, item in enumerate(value):
        identity = {key: item.get(key) for key in keys} if list_type == "map" and isinstance(item, dict) else item
        if identity in seen:
            yield Cause(f"{path}[{index}]", "FieldValueDuplicate", f"Duplicate value: {_quoted(identity)}")
        seen.append(identity)


def _object_problems(schema: Schema, value: dict[str, Any], path: str) -> Iterator[Cause]:
    for name in schema.get("required") or ():
        if name not in value:
            yield Cause(_child(path, name), "FieldValueRequired", "Required value")
    if len(value) > schema.get("maxProperties", len(value)):
        yield _not_allowed(path, len(value), f"should have at most {schema['maxProperties']} properties")
    if len(value) < schema.get("minProperties", 0):
        yield _not_allowed(path, len(value), f"should have at least {schema['minProperties']} properties")
    properties, others = schema.get("properties") or {}, schema.get("additionalProperties")
    for name, item in value.items():
        inner = properties.get(name, others if isinstance(others, Mapping) else {})
        yield from problems_of(inner, item, _child(path, name))


def _combination_problems(schema: Schema, value: Any, path: str) -> Iterator[Cause]:
    """The problems that allOf, anyOf, oneOf and not find."""
    def fits(inner: Schema) -> bool:
        return next(problems_of(inner, value, path), None) is None

    for inner in schema.get("allOf") or ():
        yield from problems_of(inner, value, path)
    if "anyOf" in schema and not any(map(fits, schema["anyOf"])):
        yield _not_allowed(path, value, "must validate at least one schema (anyOf)")
    if "oneOf" in schema and (count := sum(map(fits, schema["oneOf"]))) != 1:
        found = "Found none valid" if count == 0 else f"Found {count} valid alternatives"
        yield _not_allowed(path, value, f"must validate one and only one schema (oneOf). {found}")
    if "not" in schema and fits(schema["not"]):
        yield _not_allowed(path, value, "must not validate the schema (not)")


def _child(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _wrong_type(path: str, value: Any, expected: str) -> Cause:
    given = f'"{_json_type(value)}"'
    return Cause(path, "FieldValueTypeInvalid",
                 f"Invalid value: {given}: {path} in body must be of type {expected}: {given}")


def _not_allowed(path: str, value: Any, text: str) -> Cause:
    return Cause(path, "FieldValueInvalid", f"Invalid value: {_quoted(value)}: {path} in body {text}")


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _is_time(value: str) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _json_type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, float):
        return "integer" if value.is_integer() else "number"
    return {"str": "string", "int": "integer", "list": "array", "dict": "object"}.get(type(value).__name__, "null")
