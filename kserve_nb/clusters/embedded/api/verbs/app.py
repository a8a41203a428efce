"""The Kubernetes API as a web application: authentication, and the module that handles each request."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from kserve_nb.clusters.embedded.api.store.store import Store
from kserve_nb.clusters.embedded.api.verbs import (
    deleting,
    documents,
    metrics,
    patching,
    reading,
    reviews,
    scale,
    token_requests,
    watching,
    writing,
)
from kserve_nb.clusters.embedded.api.verbs.pod import pod_subresources, port_forwarding
from kserve_nb.clusters.embedded.api.wire import authentication, bodies
from kserve_nb.clusters.embedded.api.wire.request_paths import RequestTarget, resolve
from kserve_nb.clusters.embedded.api.wire.responses import add_warning, error_response, headers, method_not_allowed
from kserve_nb.clusters.embedded.api.wire.service_account_tokens import TOKENS, Tokens
from kserve_nb.clusters.embedded.apimachinery.objects import Settings, StatusError

log = logging.getLogger(__name__)

_DEPRECATION = web.RequestKey("deprecation", str)
Handler = Callable[[web.Request, Store, RequestTarget], Awaitable[web.StreamResponse]]


def make_app(store: Store, settings: Settings, *, token: str) -> web.Application:
    """The application that serves a store. The token makes its bearer an administrator; others are anonymous.

    Run it with `handler_cancellation=True`, so that a watch ends as soon as its client disconnects.
    """
    app = web.Application(client_max_size=bodies.LIMIT)
    app[TOKENS] = Tokens(store, token)
    usage = metrics.Usage()

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            authentication.check_sender(request)
            user = authentication.identify(request, token)
            request[authentication.USER] = user
            target = resolve(store.kinds, request.path)
            if target is not None:
                request[_DEPRECATION] = target.kind.deprecation
                authentication.check_target(user, authentication.verb_of(request, target), target)
                return await _handler(request, target)(request, store, target)
            authentication.check_path(user, request.method, request.path)
            return (await reviews.respond(request, token) or await usage.respond(request, store, settings)
                    or documents.respond(request, store.kinds) or _not_found())
        except StatusError as error:
            return error_response(request, error)
        except web.HTTPException:
            raise
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            return error_response(request, StatusError(500, "InternalError", (
                f"the API server failed to handle {request.method} {request.path}: its log has the reason")))

    async def close_watches(_: web.Application) -> None:
        store.history.close()

    app.on_response_prepare.append(_warn_of_deprecation)
    app.router.add_route("*", "/{path:.*}", handle)
    app.on_shutdown.append(close_watches)
    return app


async def _warn_of_deprecation(request: web.Request, response: web.StreamResponse) -> None:
    if request.get(_DEPRECATION):
        add_warning(response, request[_DEPRECATION])


async def _get(request: web.Request, store: Store, target: RequestTarget) -> web.StreamResponse:
    if authentication.verb_of(request, target) == "watch":
        return await watching.watch(request, store, target)
    return reading.get(request, store, target) if target.name else reading.list_(request, store, target)


_COLLECTION: dict[str, Handler] = {"GET": _get, "HEAD": _get, "DELETE": deleting.delete_collection}
_ITEM: dict[str, Handler] = {
    "GET": _get, "HEAD": _get, "PUT": writing.replace, "PATCH": patching.patch, "DELETE": deleting.delete}
_SUBRESOURCES: dict[str, dict[str, Handler]] = {
    "status": {"GET": _get, "PUT": writing.replace, "PATCH": patching.patch},
    "finalize": {"PUT": writing.replace},
    "scale": {"GET": scale.get, "PUT": scale.replace, "PATCH": scale.patch},
    "token": {"POST": token_requests.create},
    "log": {"GET": pod_subresources.log},
    "exec": {"GET": pod_subresources.refuse, "POST": pod_subresources.refuse},
    "attach": {"GET": pod_subresources.refuse, "POST": pod_subresources.refuse},
    "portforward": {"GET": port_forwarding.forward, "POST": port_forwarding.forward}}


def _handler(request: web.Request, target: RequestTarget) -> Handler:
    if target.subresource:
        methods = _SUBRESOURCES[target.subresource]
    else:
        methods = _ITEM if target.name else dict(_COLLECTION)
        if not target.name and bool(target.namespace) == target.kind.namespaced:
            methods["POST"] = writing.create
    if request.method not in methods:
        raise method_not_allowed()
    return methods[request.method]


def _not_found() -> web.Response:
    extra = {"X-Content-Type-Options": "nosniff"}
    return web.Response(text="404 page not found\n", status=404, headers=headers() | extra)
