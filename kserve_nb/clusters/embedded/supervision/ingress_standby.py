"""Accepts connections at the ingress while Envoy restarts, and relays them to the new Envoy.

Without it, clients would be refused until Envoy listens again. Linux distributes new connections among the listening
sockets of a port that were bound with SO_REUSEPORT, as Envoy binds its own. On other systems nothing is held.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import socket
import struct
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from kserve_nb.clusters.embedded.addresses import connect
from kserve_nb.clusters.embedded.supervision.health import PartState

log = logging.getLogger("supervisor")
HOLD_S = 30.0  # how long a connection waits for Envoy before it is closed
_BLOCK, _BACKLOG = 64 * 1024, 1024
_LISTENING = "0A"  # the state in /proc/net/tcp
_SO_ATTACH_REUSEPORT_CBPF, _BPF_RETURN = 51, 0x06  # asm-generic/socket.h, linux/bpf_common.h
_ENVOY = 1  # the index of its socket: it begins to listen after this process


class IngressStandby:
    """Holds the connections of clients from the end of one Envoy until the next one listens.

    Args:
        address: HOST:PORT of the ingress.
    """

    def __init__(self, address: str):
        self._address = address
        host, _, port = address.rpartition(":")
        self._host, self._port = host, int(port)
        self._listener: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._envoy_listens = asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()
        self._opening: asyncio.Task[None] | None = None

    def on_state(self, state: PartState) -> None:
        """React to a change of Envoy's state."""
        if sys.platform != "linux":
            return
        if state == "restarting":
            self._open()
        elif state == "ready":
            self._hand_over()
        elif state in ("crash-looping", "stopped"):
            self._close()

    async def envoy_is_ready(self) -> bool:
        """Whether a process other than this one listens at the ingress."""
        if self._listener is not None:
            return _listeners(self._host, self._port) > 1
        try:
            _, writer = await connect(self._address)
        except OSError:
            return False
        writer.close()
        return True

    def _open(self) -> None:
        if self._listener is not None:
            return
        try:
            listener = socket.create_server((self._host, self._port), backlog=_BACKLOG, reuse_port=True)
        except OSError as error:
            log.warning("cannot hold connections at %s while Envoy restarts: %s", self._address, error)
            return
        listener.setblocking(False)
        self._listener = listener
        self._envoy_listens.clear()
        self._opening = asyncio.create_task(self._accept(listener))

    async def _accept(self, listener: socket.socket) -> None:
        self._server = await asyncio.start_server(self._hold, sock=listener, backlog=_BACKLOG)

    def _hand_over(self) -> None:
        """Accept nothing more, and relay what was accepted to the Envoy that listens now."""
        if self._listener is not None:
            # Closing the socket would reset a connection that came after the last one was accepted here.
            direct_connections(self._listener, _ENVOY)
            with contextlib.suppress(BlockingIOError):
                while True:
                    self._start(self._hold_socket(self._listener.accept()[0]))
        self._stop_listening()
        self._envoy_listens.set()

    def _close(self) -> None:
        """Accept nothing more, and close what was accepted."""
        self._stop_listening()
        for task in self._connections:
            task.cancel()

    def _stop_listening(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
        if self._server is not None:
            self._server.close()
        if self._listener is not None:
            self._listener.close()
        self._server = self._listener = self._opening = None

    async def _hold_socket(self, client: socket.socket) -> None:
        client.setblocking(False)
        await self._relay(*await asyncio.open_connection(sock=client))

    def _hold(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._start(self._relay(reader, writer))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Wait for Envoy, then copy in both directions until both sides have ended."""
        try:
            async with asyncio.timeout(HOLD_S):
                await self._envoy_listens.wait()
            envoy_reader, envoy_writer = await connect(self._address)
            try:
                await asyncio.gather(_copy(reader, envoy_writer), _copy(envoy_reader, writer))
            finally:
                envoy_writer.close()
        except (OSError, TimeoutError):  # the client or Envoy has closed the connection
            pass
        finally:
            writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_BLOCK):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


def direct_connections(listener: socket.socket, index: int) -> None:
    """Direct all new connections of a shared port to one of its sockets, counted from 0. Only on Linux.

    The kernel runs a program for each connection, which returns the index of the socket (SO_ATTACH_REUSEPORT_CBPF in
    socket(7)). Where a sandbox permits no such program, the kernel goes on distributing them.
    """
    program = ctypes.create_string_buffer(struct.pack("HBBI", _BPF_RETURN, 0, 0, index))
    try:
        listener.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, struct.pack("HP", 1, ctypes.addressof(program)))
    except OSError as error:
        log.info("cannot direct new connections of the ingress to Envoy: %s", error)


def _listeners(host: str, port: int) -> int:
    """How many sockets listen on this address."""
    wanted = f"{int.from_bytes(socket.inet_aton(host), sys.byteorder):08X}:{port:04X}"
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return sum(row[1] == wanted and row[3] == _LISTENING for row in rows)
