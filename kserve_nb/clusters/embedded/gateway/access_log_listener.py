"""Listens for Envoy's access log, so that an idle cluster need not poll Envoy for new requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast


class _LogConnection(asyncio.Protocol):
    """One connection from Envoy's access log. Any data on it means that there were requests; its content is ignored."""

    def __init__(self, notify: Callable[[], None], connected: set[asyncio.Transport]):
        self._notify, self._connected = notify, connected

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._connected.add(self._transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._connected.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._notify()


@asynccontextmanager
async def listen(notify: Callable[[], None]) -> AsyncIterator[int]:
    """Call `notify` whenever Envoy logs requests. The context's value is the port on 127.0.0.1 to send the log to."""
    connected: set[asyncio.Transport] = set()
    server = await asyncio.get_running_loop().create_server(lambda: _LogConnection(notify, connected), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for transport in connected:  # closing the server leaves them open, and Envoy would keep sending to them
            transport.abort()
