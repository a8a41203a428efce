"""Structural schemas: what the API server does with fields that a kind does not have, and with wrong types."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

from kserve_nb.clusters.embedded.api.field_errors import Cause, invalid
from kserve_nb.clusters.embedded.api.schema.decoding import type_error
from kserve_nb.clusters.embedded.api.schema.kind_types import SCALARS, fields_of, type_of_kind
from kserve_nb.clusters.embedded.objects import Kind, Object, StatusError

_JSON_TYPES = {"string": "string", "time": "string", "bool": "boolean", "int": "integer", "int32": "integer",
               "int64": "integer", "number": "number", "open": "object"}


def validate(kind: Kind, body: Object, mode: Literal["Strict", "Warn", "Ignore"],
             duplicates: Iterable[str] = ()) -> tuple[Object, list[str]]:
    """The body without the fields its kind does not have, and a warning for each of them where `mode` is Warn.

    Raises StatusError 400 for a field of the wrong type in metadata or in a built-in kind, and for unknown fields
    where `mode` is Strict. `duplicates` are messages about keys given twice, which are treated like unknown fields. The
    webhooks of KServe and Knative find wrong types in their own kinds: see admission.
    """
    type_name = type_of_kind(kind)
    if type_name is None:
        return body, []
    if problem := _decoding_problem(kind, type_name, body):
        raise _not_handled(kind, problem)
    unknown: list[str] = []
    pruned = _pruned(type_name, body, "", unknown)
    problems = [*duplicates, *(f'unknown field "{path}"' for path in sorted(unknown))]
    if problems and mode == "Strict":
        raise _not_handled(kind, f"strict decoding error: {', '.join(problems)}")
    return pruned, problems if mode == "Warn" else []


def check_values(kind: Kind, body: Object, part: Literal["spec", "status"] = "spec") -> None:
    """Refuse values that a custom resource's schema does not allow. Raises StatusError 422 with all of them."""
    type_name = type_of_kind(kind)
    if type_name is None or not kind.is_custom or part not in body:
        return
    field = fields_of(type_name).get(part)
    causes = list(_value_problems(field.type, body[part], part)) if field else []
    if causes:
        raise invalid(kind, body["metadata"]["name"], causes)


def _decoding_problem(kind: Kind, type_name: str, body: Object) -> str | None:
    if not kind.is_custom:
        return type_error(type_name, body)
    metadata = body.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        return type_error(type_name, {"metadata": metadata})
    return type_error("V1ObjectMeta", metadata or {})


def _not_handled(kind: Kind, problem: str) -> StatusError:
    return StatusError(400, "BadRequest",
                       f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {problem}')


def _pruned(type_: str, value: Any, path: str, unknown: list[str]) -> Any:
    if type_ in SCALARS:
        return value
    if type_.startswith("[]"):
        items = enumerate(value) if isinstance(value, list) else None
        return value if items is None else [_pruned(type_[2:], v, f"{path}[{i}]", unknown) for i, v in items]
    if not isinstance(value, dict):
        return value
    if type_.startswith("{}"):
        return {k: _pruned(type_[2:], v, f"{path}.{k}", unknown) for k, v in value.items()}
    return dict(_pruned_fields(type_, value, path, unknown))


def _pruned_fields(type_: str, value: Object, path: str, unknown: list[str]) -> Iterator[tuple[str, Any]]:
    fields = fields_of(type_)
    for name, item in value.items():
        inner = f"{path}.{name}" if path else name
        if name in fields:
            yield name, _pruned(fields[name].type, item, inner, unknown)
        else:
            unknown.append(inner)


def _value_problems(type_: str, value: Any, path: str) -> Iterator[Cause]:
    wanted = _json_type(type_)
    given = _json_type_of(value)
    if wanted and given != wanted and not (wanted == "number" and given == "integer"):
        shown = f'"{given}"'
        yield Cause(path, "FieldValueTypeInvalid",
                    f"Invalid value: {shown}: {path} in body must be of type {wanted}: {shown}")
    elif isinstance(value, list) and type_.startswith("[]"):
        for index, item in enumerate(value):
            yield from _value_problems(type_[2:], item, f"{path}[{index}]")
    elif isinstance(value, dict) and type_.startswith("{}"):
        for key, item in value.items():
            yield from _value_problems(type_[2:], item, f"{path}.{key}")
    elif isinstance(value, dict) and type_ not in SCALARS:
        yield from _field_problems(type_, value, path)


def _field_problems(type_: str, value: Object, path: str) -> Iterator[Cause]:
    for name, field in fields_of(type_).items():
        at, given = f"{path}.{name}", value.get(name)
        if given is None:
            continue
        yield from _value_problems(field.type, given, at)
        if field.choices and isinstance(given, str) and given not in field.choices:
            supported = ", ".join(f'"{choice}"' for choice in field.choices)
            yield Cause(at, "FieldValueNotSupported", f'Unsupported value: "{given}": supported values: {supported}')


def _json_type(type_: str) -> str | None:
    if type_.startswith("[]"):
        return "array"
    if type_ in ("any", "intstr", "quantity"):
        return None
    return _JSON_TYPES.get(type_, "object")


def _json_type_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, float):
        return "integer" if value.is_integer() else "number"
    names = {"str": "string", "int": "integer", "list": "array", "dict": "object"}
    return names.get(type(value).__name__, "null")
