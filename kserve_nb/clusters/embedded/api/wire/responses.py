"""HTTP responses of the API server: JSON bodies, headers, warnings, and Status objects for errors."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

import orjson
from aiohttp import web

from kserve_nb.clusters.embedded.api.entry import encode
from kserve_nb.clusters.embedded.apimachinery.objects import Object, StatusError

_BROWSERS = ("curl/", "Wget/", "Mozilla/")  # user agents that get indented JSON from a kube-apiserver


def headers() -> dict[str, str]:
    """The headers of every response."""
    return {"Audit-Id": str(uuid.uuid4()), "Cache-Control": "no-cache, private"}


def json_response(request: web.Request, body: bytes | Object, *, status: int = 200, warnings: Iterable[str] = (),
                  content_type: str = "application/json") -> web.Response:
    """A JSON response, indented for people and for `pretty=true`; each warning becomes a header."""
    data = body if isinstance(body, bytes) else encode(body)
    if _wants_indentation(request):
        data = orjson.dumps(orjson.loads(data), option=orjson.OPT_INDENT_2)
    elif not data.endswith(b"\n"):
        data += b"\n"  # as Go's json.Encoder ends a document
    response = web.Response(body=data, status=status, headers=headers() | {"Content-Type": content_type})
    for warning in warnings:
        add_warning(response, warning)
    return response


def add_warning(response: web.StreamResponse, text: str) -> None:
    """Add the header that kubectl prints as `Warning: …`."""
    response.headers.add("Warning", f"299 - {_quoted(text)}")


def error_response(request: web.Request, error: StatusError) -> web.Response:
    """The response for an error: its Status object."""
    response = json_response(request, orjson.dumps(status_of(error)), status=error.code)
    if error.details.get("retryAfterSeconds"):
        response.headers["Retry-After"] = str(error.details["retryAfterSeconds"])
    return response


def status_of(error: StatusError) -> Object:
    """The Status object of an error."""
    status: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                      "message": error.message}
    if error.reason:
        status["reason"] = error.reason
    details = {key: value for key, value in error.details.items() if value != ""}
    if details or error.code == 422:
        status["details"] = details
    return status | {"code": error.code}


def method_not_allowed() -> StatusError:
    """The 405 error for a method that a path does not have."""
    return StatusError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")


def _wants_indentation(request: web.Request) -> bool:
    if "pretty" in request.query:
        return request.query["pretty"] not in ("false", "0")
    return request.headers.get("User-Agent", "").startswith(_BROWSERS)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{"".join(c if c.isprintable() else " " for c in escaped)}"'
