"""How the API server answers: JSON, its headers, and Status objects for all that is refused."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

import orjson
from aiohttp import web

from kserve_nb.clusters.embedded.api.entry import encode
from kserve_nb.clusters.embedded.objects import Object, StatusError

_PRETTY_CLIENTS = ("curl/", "Wget/", "Mozilla/")


def headers() -> dict[str, str]:
    """What every answer carries."""
    return {"Audit-Id": str(uuid.uuid4()), "Cache-Control": "no-cache, private"}


def answer(request: web.Request, body: bytes | Object, *, status: int = 200, warnings: Iterable[str] = (),
           content_type: str = "application/json") -> web.Response:
    """A JSON answer, indented for those who read it with their own eyes; warnings go into its headers."""
    data = body if isinstance(body, bytes) else encode(body)
    if _is_read_by_a_person(request):
        data = orjson.dumps(orjson.loads(data), option=orjson.OPT_INDENT_2)
    response = web.Response(body=data, status=status, headers=headers() | {"Content-Type": content_type})
    for warning in warnings:
        response.headers.add("Warning", f"299 - {_quoted(warning)}")
    return response


def refusal(request: web.Request, error: StatusError) -> web.Response:
    """The Status object of an error."""
    response = answer(request, orjson.dumps(status_of(error)), status=error.code)
    if error.details.get("retryAfterSeconds"):
        response.headers["Retry-After"] = str(error.details["retryAfterSeconds"])
    return response


def status_of(error: StatusError) -> Object:
    """The Status object of an error, as a watch sends it too."""
    status: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                      "message": error.message}
    if error.reason:
        status["reason"] = error.reason
    details = {key: value for key, value in error.details.items() if value != ""}
    if details or error.code == 422:
        status["details"] = details
    return status | {"code": error.code}


def _is_read_by_a_person(request: web.Request) -> bool:
    if "pretty" in request.query:
        return request.query["pretty"] not in ("false", "0")
    return request.headers.get("User-Agent", "").startswith(_PRETTY_CLIENTS)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{"".join(c if c.isprintable() else " " for c in escaped)}"'
