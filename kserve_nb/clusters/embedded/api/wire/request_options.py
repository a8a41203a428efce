"""The query parameters of a request, read and checked."""

from __future__ import annotations

import re
from typing import Literal, cast

from aiohttp import web

from kserve_nb.clusters.embedded.objects import StatusError

FieldValidation = Literal["Strict", "Warn", "Ignore"]


def flag(request: web.Request, name: str) -> bool:
    """A boolean parameter. Raises StatusError 400."""
    text = request.query.get(name, "").lower()
    if text not in ("", "true", "false", "1", "0", "t", "f"):
        raise StatusError(400, "BadRequest", f'strconv.ParseBool: parsing "{request.query[name]}": invalid syntax')
    return text in ("true", "1", "t")


def integer(request: web.Request, name: str) -> int | None:
    """A whole number, None where it is not given. Raises StatusError 400."""
    text = request.query.get(name, "")
    if text and not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        raise StatusError(400, "BadRequest", f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text) if text else None


def version(request: web.Request) -> int | None:
    """The resourceVersion that the client has seen, None where it does not say. Raises StatusError 422."""
    text = request.query.get("resourceVersion", "")
    if text and not re.fullmatch(r"[0-9]{1,18}", text):
        raise field_error("ListOptions", "resourceVersion", "FieldValueInvalid",
                          f'Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax')
    return int(text) if text else None


def dry_run(request: web.Request, options: str) -> bool:
    """Whether nothing is to be stored. Raises StatusError 422 for anything but `All`."""
    for value in request.query.getall("dryRun", ()):
        if value != "All":
            raise field_error(options, "dryRun", "FieldValueNotSupported",
                              f'Unsupported value: "{value}": supported values: "All"')
    return "dryRun" in request.query


def field_validation(request: web.Request, options: str) -> FieldValidation:
    """What to do about unknown fields; Warn where it is not said, as the API server does. Raises StatusError 422."""
    mode = request.query.get("fieldValidation") or "Warn"
    if mode not in ("Strict", "Warn", "Ignore"):
        raise field_error(options, "fieldValidation", "FieldValueNotSupported",
                          f'Unsupported value: "{mode}": supported values: "Ignore", "Strict", "Warn"')
    return cast(FieldValidation, mode)


def manager(request: web.Request) -> str:
    """Who writes, as managedFields names it. Raises StatusError 422 for a name that cannot be shown."""
    name = request.query.get("fieldManager") or request.headers.get("User-Agent", "").partition("/")[0] or "unknown"
    if len(name) > 128 or not name.isprintable():
        raise field_error("PatchOptions", "fieldManager", "FieldValueInvalid",
                          f"Invalid value: {name[:128]!r}: may not be longer than 128 and should be printable")
    return name


def field_error(options: str, field: str, reason: str, message: str) -> StatusError:
    """The 422 about a parameter."""
    return StatusError(
        422, "Invalid", f'{options}.meta.k8s.io "" is invalid: {field}: {message}',
        {"group": "meta.k8s.io", "kind": options, "causes": [{"reason": reason, "message": message, "field": field}]})
