"""The query parameters that Kubernetes requests have in common, parsed and checked."""

from __future__ import annotations

import re
from typing import Literal, cast

from aiohttp import web

from kserve_nb.clusters.embedded.apimachinery.objects import StatusError

FieldValidation = Literal["Strict", "Warn", "Ignore"]


def flag(request: web.Request, name: str) -> bool:
    """A boolean parameter, False if absent. Raises StatusError 400."""
    text = request.query.get(name, "").lower()
    if text not in ("", "true", "false", "1", "0", "t", "f"):
        raise StatusError(400, "BadRequest", f'strconv.ParseBool: parsing "{request.query[name]}": invalid syntax')
    return text in ("true", "1", "t")


def integer(request: web.Request, name: str) -> int | None:
    """An integer parameter, None if absent. Raises StatusError 400."""
    text = request.query.get(name, "")
    if text and not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        raise StatusError(400, "BadRequest", f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text) if text else None


def version(request: web.Request) -> int | None:
    """The parameter resourceVersion of a list or watch, None if absent. Raises StatusError 422."""
    text = request.query.get("resourceVersion", "")
    if text and not re.fullmatch(r"[0-9]{1,18}", text):
        raise parameter_error("ListOptions", "resourceVersion", "FieldValueInvalid",
                              f'Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax')
    return int(text) if text else None


def dry_run(request: web.Request, options: str) -> bool:
    """Whether the request is a dry run. Raises StatusError 422 for any other value than `All`."""
    for value in request.query.getall("dryRun", ()):
        if value != "All":
            raise parameter_error(options, "dryRun", "FieldValueNotSupported",
                                  f'Unsupported value: "{value}": supported values: "All"')
    return "dryRun" in request.query


def field_validation(request: web.Request, options: str) -> FieldValidation:
    """How to treat unknown and duplicate fields, by default Warn. Raises StatusError 422."""
    mode = request.query.get("fieldValidation") or "Warn"
    if mode not in ("Strict", "Warn", "Ignore"):
        raise parameter_error(options, "fieldValidation", "FieldValueNotSupported",
                              f'Unsupported value: "{mode}": supported values: "Ignore", "Strict", "Warn"')
    return cast(FieldValidation, mode)


def manager(request: web.Request) -> str:
    """The field manager: the parameter, or else the name of the client. Raises StatusError 422 for a bad name."""
    name = request.query.get("fieldManager") or request.headers.get("User-Agent", "").partition("/")[0] or "unknown"
    if len(name) > 128 or not name.isprintable():
        raise parameter_error("PatchOptions", "fieldManager", "FieldValueInvalid",
                              f"Invalid value: {name[:128]!r}: may not be longer than 128 and should be printable")
    return name


def parameter_error(options: str, field: str, reason: str, message: str) -> StatusError:
    """The 422 error about a query parameter; `options` is the API's type of the parameters, such as ListOptions."""
    return StatusError(
        422, "Invalid", f'{options}.meta.k8s.io "" is invalid: {field}: {message}',
        {"group": "meta.k8s.io", "kind": options, "causes": [{"reason": reason, "message": message, "field": field}]})
