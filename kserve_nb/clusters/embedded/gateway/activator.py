"""Holds requests for revisions without a ready pod until there is one, as Knative's activator does.

Envoy sends a request here when no pod of its revision takes it; the headers that the ingress appends name the revision.
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
from kserve_nb.clusters.embedded.gateway.queues import QueueFullError, Queues
from kserve_nb.clusters.embedded.gateway.routes import Key
from kserve_nb.clusters.embedded.socket_connector import SocketConnector

OPEN_FILES = 65_536
RETRY_S = 0.05  # a pod that refuses connections may have died a moment ago: the list of ready pods will tell
# Headers that end with a connection; `Expect` has been answered by Envoy.
_HOP = frozenset({"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te",
                  "trailer", "transfer-encoding", "upgrade", "expect"})
_NOT_ADDED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class Activator:
    """A reverse proxy that waits for a place on a pod."""

    def __init__(self, queues: Queues):
        self._queues = queues

    @asynccontextmanager
    async def listening(self, socket: Path) -> AsyncIterator[None]:
        """Serve on a socket file within this context."""
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
        backend = self._queues.backends.get((namespace, name))
        if backend is None:
            return _say(404, f'Error getting active endpoint: revision.serving.knative.dev "{name}" not found')
        try:
            async with asyncio.timeout(backend.timeout_s):
                address, session, answer = await self._ask((namespace, name), request)
        except TimeoutError:
            return _say(504, "activator request timeout")
        except QueueFullError:
            return _say(503, "pending request queue full")
        except aiohttp.ClientError as error:
            return _say(502, str(error))
        try:
            return await _relay(request, answer)
        finally:
            answer.close()
            await session.close()
            self._queues.leave((namespace, name), address)

    async def _ask(self, key: Key, request: web.Request
                   ) -> tuple[str, aiohttp.ClientSession, aiohttp.ClientResponse]:
        """The pod that answers, and its answer up to the body. Where no connection comes about, nothing was lost."""
        while True:
            address = await self._queues.take(key)
            session = _session(address)
            try:
                return address, session, await session.request(
                    request.method, URL(f"http://pod{request.raw_path}", encoded=True),
                    headers=_forwarded(request.headers), allow_redirects=False,
                    data=request.content if request.body_exists else None)
            except BaseException as error:
                await session.close()
                self._queues.leave(key, address)
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


async def _relay(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=_forwarded(answer.headers))
    await response.prepare(request)
    async for chunk in answer.content.iter_any():
        await response.write(chunk)
    await response.write_eof()
    return response


def _forwarded(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in _HOP)


def _say(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text + "\n")


def _allow_open_files() -> None:
    """A held request is an open file; the usual 1024 would be too few for a queue."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
