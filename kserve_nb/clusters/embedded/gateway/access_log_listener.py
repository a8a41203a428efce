"""Listens for Envoy's access log, so that an idle cluster need not poll Envoy for new requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
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
async def listen(socket: Path, notify: Callable[[], None]) -> AsyncIterator[None]:
    """Receive Envoy's access log on a socket file and call `notify` whenever it has logged requests."""
    connected: set[asyncio.Transport] = set()
    server = await asyncio.get_running_loop().create_unix_server(lambda: _LogConnection(notify, connected), socket)
    socket.chmod(0o600)
    try:
        yield
    finally:
        server.close()
        for transport in connected:  # closing the server leaves them open, and Envoy would keep sending to them
            transport.abort()
