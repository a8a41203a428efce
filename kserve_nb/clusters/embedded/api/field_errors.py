"""Errors about fields: the 422 that a Kubernetes API server answers to an object with invalid values."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object, StatusError


class Cause(NamedTuple):
    """One problem of one field, as `details.causes` of a Status lists it."""

    field: str
    reason: str
    message: str


def required(field: str, detail: str = "") -> Cause:
    """The cause for a field that is missing or empty."""
    return Cause(field, "FieldValueRequired", f"Required value: {detail}" if detail else "Required value")


def invalid_value(field: str, value: Any, detail: str) -> Cause:
    """The cause for a value that breaks a rule."""
    shown = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return Cause(field, "FieldValueInvalid", f"Invalid value: {shown}: {detail}")


def forbidden(field: str, detail: str) -> Cause:
    """The cause for a field that may not be set."""
    return Cause(field, "FieldValueForbidden", f"Forbidden: {detail}")


def invalid(kind: Kind, name: str, causes: list[Cause]) -> StatusError:
    """The 422 error that lists the problems of an object's fields."""
    texts = [f"{cause.field}: {cause.message}" for cause in causes]
    detail = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    full_kind = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    details: Object = {"name": name, "group": kind.group, "kind": kind.kind,
                       "causes": [{"reason": c.reason, "message": c.message, "field": c.field} for c in causes]}
    return StatusError(422, "Invalid", f'{full_kind} "{name}" is invalid: {detail}', details)
