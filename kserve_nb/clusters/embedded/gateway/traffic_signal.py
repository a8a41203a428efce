"""Where Envoy tells that there were requests, so that nobody has to ask it in an idle cluster."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast


class _Doorbell(asyncio.Protocol):
    """What Envoy's access log is connected to: any data means that there were requests."""

    def __init__(self, ring: Callable[[], None], connected: set[asyncio.Transport]):
        self._ring, self._connected = ring, connected

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._connected.add(self._transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._connected.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._ring()


@asynccontextmanager
async def doorbell(socket: Path, ring: Callable[[], None]) -> AsyncIterator[None]:
    """Listen on a socket file and call `ring` whenever there were requests."""
    connected: set[asyncio.Transport] = set()
    server = await asyncio.get_running_loop().create_unix_server(lambda: _Doorbell(ring, connected), socket)
    socket.chmod(0o600)
    try:
        yield
    finally:
        server.close()
        for transport in connected:  # they would outlive the server, and Envoy would go on ringing here
            transport.abort()
