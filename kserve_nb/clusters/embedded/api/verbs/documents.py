"""Documents without stored objects: discovery, OpenAPI, the version, and health."""

from __future__ import annotations

import orjson
from aiohttp import web

from kserve_nb.clusters.embedded.api.schema import discovery, openapi
from kserve_nb.clusters.embedded.api.wire.content_negotiation import wants_aggregated_discovery
from kserve_nb.clusters.embedded.api.wire.responses import headers, json_response, method_not_allowed
from kserve_nb.clusters.embedded.apimachinery.objects import Kinds, Object

_HEALTH = ("healthz", "readyz", "livez")
_PROTOBUF_V2 = "com.github.proto-openapi.spec.v2"
_OTHER_PATHS = ("/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version")


def respond(request: web.Request, kinds: Kinds) -> web.Response | None:
    """The document of the request's path, or None if there is none."""
    parts = request.path.strip("/").split("/")
    if parts[0] in _HEALTH:
        return web.Response(text="ok", headers=headers())
    document = _document(request, kinds, parts)
    if document is not None and request.method not in ("GET", "HEAD"):
        raise method_not_allowed()
    return document


def _document(request: web.Request, kinds: Kinds, parts: list[str]) -> web.Response | None:
    match parts:
        case ["version"]:
            return json_response(request, orjson.dumps(discovery.VERSION, option=orjson.OPT_INDENT_2))
        case [""]:
            return json_response(request, {"paths": [*discovery.paths(kinds), *_OTHER_PATHS]})
        case ["api" | "apis"] if wants_aggregated_discovery(request.headers.get("Accept", "")):
            aggregated = orjson.dumps(discovery.aggregated(kinds, parts == ["api"]))
            return json_response(request, aggregated, content_type=discovery.AGGREGATED_TYPE)
        case ["openapi", "v2"]:
            return _openapi_v2(request)
        case ["openapi", "v3"]:
            return json_response(request, _index(kinds))
        case ["openapi", "v3", "api", "v1"]:
            return json_response(request, _openapi(kinds, "", "v1"))
        case ["openapi", "v3", "apis", group, version] if discovery.resource_list(kinds, group, version):
            return json_response(request, _openapi(kinds, group, version))
    found = _discovery(request, kinds, parts)
    return None if found is None else json_response(request, orjson.dumps(found))


def _openapi_v2(request: web.Request) -> web.Response:
    """An empty OpenAPI v2 document. Clients that request version 2 validate with version 3 after this response."""
    if _PROTOBUF_V2 in request.headers.get("Accept", ""):
        return web.Response(headers=headers() | {"Content-Type": openapi.V2_PROTOBUF_TYPE})
    return json_response(request, openapi.VERSION_2)


def _discovery(request: web.Request, kinds: Kinds, parts: list[str]) -> Object | None:
    match parts:
        case ["api"]:
            return discovery.versions(request.host)
        case ["api", "v1"]:
            return discovery.resource_list(kinds, "", "v1")
        case ["apis"]:
            return discovery.group_list(kinds)
        case ["apis", group]:
            return discovery.group(kinds, group)
        case ["apis", group, version]:
            return discovery.resource_list(kinds, group, version)
    return None


def _index(kinds: Kinds) -> bytes:
    return kinds.derived("openapi", lambda: orjson.dumps(openapi.index(kinds)))


def _openapi(kinds: Kinds, group: str, version: str) -> bytes:
    return kinds.derived(("openapi", group, version), lambda: orjson.dumps(openapi.document(kinds, group, version)))
