"""Structural schemas: unknown fields are dropped or refused, defaults are set, and invalid values are refused."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from kserve_nb.clusters.embedded.api.field_errors import invalid
from kserve_nb.clusters.embedded.api.schema.decoding import type_error
from kserve_nb.clusters.embedded.api.schema.kind_schemas import schema_of
from kserve_nb.clusters.embedded.api.schema.kind_types import OPEN_OBJECT, type_of_kind
from kserve_nb.clusters.embedded.api.schema.value_rules import problems_of
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object, StatusError

_UNCHECKED = ("apiVersion", "kind", "metadata")  # fields that object_metadata.py checks


def validate(kind: Kind, body: Object, mode: Literal["Strict", "Warn", "Ignore"],
             duplicates: Iterable[str] = ()) -> tuple[Object, list[str]]:
    """The body without the fields that its kind does not have, and a warning for each of them if `mode` is Warn.

    Raises StatusError 400 for a field of the wrong type in metadata or in a built-in kind, and for unknown fields
    if `mode` is Strict. `duplicates` are messages about keys given twice, which are treated like unknown fields. The
    webhooks of KServe and Knative find wrong types in their own kinds: see admission.
    """
    if kind.internal or kind.idle:  # admission refuses idle kinds, whatever their fields are
        return body, []
    if problem := _decoding_problem(kind, body):
        raise _not_handled(kind, problem)
    unknown: list[str] = []
    pruned = prune(schema_of(kind), body, "", unknown)
    problems = [*duplicates, *(f'unknown field "{path}"' for path in sorted(unknown))]
    if problems and mode == "Strict":
        raise _not_handled(kind, f"strict decoding error: {', '.join(problems)}")
    fill_defaults(schema_of(kind), pruned)
    return pruned, problems if mode == "Warn" else []


def check_values(kind: Kind, body: Object, part: Literal["spec", "status"] = "spec",
                 old: Object | None = None) -> None:
    """Refuse values that a custom resource's schema does not allow: in its status, or in everything else.

    A top-level field that is the same in `old` is not checked: a server reports no problem of what an update leaves
    unchanged (CRDValidationRatcheting, Kubernetes 1.33). Raises StatusError 422 with all problems.
    """
    if not kind.is_custom or kind.internal or kind.idle:
        return
    schema = schema_of(kind)
    checked = {name: inner for name, inner in schema["properties"].items()
               if name not in _UNCHECKED and (name == "status") == (part == "status")
               and (old is None or name not in old or body.get(name) != old[name])}
    required = [name for name in schema.get("required") or () if name in checked]
    causes = list(problems_of({"properties": checked, "required": required}, body, ""))
    if causes:
        raise invalid(kind, body["metadata"]["name"], causes)


def prune(schema: Mapping[str, Any], value: Any, path: str, unknown: list[str]) -> Any:
    """The value without the fields that its schema does not have; their paths are added to `unknown`."""
    if isinstance(value, list):
        items = schema.get("items")
        return value if items is None else [prune(items, v, f"{path}[{i}]", unknown) for i, v in enumerate(value)]
    if not isinstance(value, dict) or _takes_anything(schema):
        return value
    properties, others = schema.get("properties") or {}, schema.get("additionalProperties")
    kept = {}
    for name, item in value.items():
        inner = f"{path}.{name}" if path else name
        if name in properties:
            kept[name] = prune(properties[name], item, inner, unknown)
        elif isinstance(others, Mapping):
            kept[name] = prune(others, item, inner, unknown)
        elif others or schema.get("x-kubernetes-preserve-unknown-fields"):
            kept[name] = item
        else:
            unknown.append(inner)
    return kept


def fill_defaults(schema: Mapping[str, Any], value: Any) -> None:
    """Set the fields in a value that are absent and have a default in its schema."""
    if isinstance(value, list):
        for item in value:
            fill_defaults(schema.get("items") or {}, item)
    elif isinstance(value, dict):
        properties, others = schema.get("properties") or {}, schema.get("additionalProperties")
        for name, inner in properties.items():
            if "default" in inner and (name not in value or (value[name] is None and not inner.get("nullable"))):
                value[name] = copy.deepcopy(inner["default"])
        for name, item in value.items():
            fill_defaults(properties.get(name, others if isinstance(others, Mapping) else {}), item)


def _takes_anything(schema: Mapping[str, Any]) -> bool:
    """Whether the schema does not describe an object, so that there are no fields to prune."""
    return "properties" not in schema and "additionalProperties" not in schema and schema.get("type") != "object"


def _decoding_problem(kind: Kind, body: Object) -> str | None:
    if not kind.is_custom:
        return type_error(type_of_kind(kind), body)
    metadata = body.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        return type_error(OPEN_OBJECT, {"metadata": metadata})
    return type_error("V1ObjectMeta", metadata or {})


def _not_handled(kind: Kind, problem: str) -> StatusError:
    return StatusError(400, "BadRequest",
                       f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {problem}')
