"""A reverse proxy that holds requests for a revision until one of its pods is ready, like Knative's activator.

Envoy sends a request here if the revision has no ready pod or the pod refuses the connection. The headers that the
ingress adds to each request name the revision.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from kserve_nb.clusters.embedded.addresses import socket_path
from kserve_nb.clusters.embedded.gateway.envoy_routes import Key
from kserve_nb.clusters.embedded.gateway.request_queues import QueueFullError, RequestQueues
from kserve_nb.clusters.embedded.socket_connector import SocketConnector

OPEN_FILES = 65_536
RETRY_S = 0.05  # a pod that refuses connections may just have died; the list of ready pods follows a moment later
# Hop-by-hop headers, and `Expect`, which Envoy has already handled.
_HOP_BY_HOP = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade", "expect"})
_NOT_ADDED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class Activator:
    """A reverse proxy that forwards each request as soon as a pod of its revision has a free slot."""

    def __init__(self, queues: RequestQueues):
        self._queues = queues

    @asynccontextmanager
    async def listening(self, socket: Path) -> AsyncIterator[None]:
        """Listen on a socket file for the duration of the context."""
        _allow_open_files()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        runner = web.AppRunner(app, access_log=None, auto_decompress=False, handler_cancellation=True,
                               shutdown_timeout=1)
        await runner.setup()
        try:
            await web.UnixSite(runner, socket, backlog=4096).start()
            socket.chmod(0o600)
            yield
        finally:
            await runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        namespace, name = (request.headers.get(f"Knative-Serving-{what}", "") for what in ("Namespace", "Revision"))
        await self._queues.updated.wait()  # the server has just started: the revisions are not known yet
        backend = self._queues.backends.get((namespace, name))
        if backend is None:
            return _text(404, f'Error getting active endpoint: revision.serving.knative.dev "{name}" not found')
        try:
            async with asyncio.timeout(backend.timeout_s):
                address, session, response = await self._forward((namespace, name), request)
        except TimeoutError:
            return _text(504, "activator request timeout")
        except QueueFullError:
            return _text(503, "pending request queue full")
        except aiohttp.ClientError as error:
            return _text(502, str(error))
        try:
            return await _relay(request, response)
        finally:
            response.close()
            await session.close()
            self._queues.release((namespace, name), address)

    async def _forward(self, key: Key, request: web.Request
                       ) -> tuple[str, aiohttp.ClientSession, aiohttp.ClientResponse]:
        """Send the request to a pod; return the pod's address, the open client and the response up to its body.

        A connection that cannot be established is retried: the request has not been sent yet.
        """
        while True:
            address = await self._queues.acquire(key)
            session = _session(address)
            try:
                return address, session, await session.request(
                    request.method, URL(f"http://pod{request.raw_path}", encoded=True),
                    headers=_end_to_end(request.headers), allow_redirects=False,
                    data=request.content if request.body_exists else None)
            except BaseException as error:
                await session.close()
                self._queues.release(key, address)
                if not isinstance(error, aiohttp.ClientConnectorError):
                    raise
            await asyncio.sleep(RETRY_S)


def _session(address: str) -> aiohttp.ClientSession:
    """A client for one request to one pod."""
    path = socket_path(address)
    assert path is not None, address
    return aiohttp.ClientSession(
        trust_env=False, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar(), skip_auto_headers=_NOT_ADDED,
        connector=SocketConnector(path), timeout=aiohttp.ClientTimeout(total=None))


async def _relay(request: web.Request, response: aiohttp.ClientResponse) -> web.StreamResponse:
    relayed = web.StreamResponse(status=response.status, reason=response.reason, headers=_end_to_end(response.headers))
    await relayed.prepare(request)
    async for chunk in response.content.iter_any():
        await relayed.write(chunk)
    await relayed.write_eof()
    return relayed


def _end_to_end(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in _HOP_BY_HOP)


def _text(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text + "\n")


def _allow_open_files() -> None:
    """Raise the limit of open files: each held request is one, and the usual limit is 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
