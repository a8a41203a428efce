"""`kubectl port-forward`: TCP connections to a pod, carried in a WebSocket.

Two forms: SPDY streams in a WebSocket (kubectl since 1.31), and one channel byte before each message (Python clients).
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

from kserve_nb.clusters.embedded.api.store.store import Store
from kserve_nb.clusters.embedded.api.verbs import spdy
from kserve_nb.clusters.embedded.api.wire.request_paths import Target
from kserve_nb.clusters.embedded.kinds import POD, SANDBOX
from kserve_nb.clusters.embedded.objects import StatusError

_TUNNEL, _CHANNELS = "SPDY/3.1+portforward.k8s.io", "v4.channel.k8s.io"
_OLDER = "channel.k8s.io"  # the same channels; so does who names no protocol (kubernetes pkg/kubelet cri/streaming)
_BLOCK = 64 * 1024

Send = Callable[[bytes], Awaitable[None]]
Address = tuple[str, int]


async def forward(request: web.Request, store: Store, target: Target) -> web.StreamResponse:
    """Forward ports of a pod until the client ends it."""
    pod = store.get(POD, target.namespace, target.name or "")
    if (pod.get("status") or {}).get("phase") != "Running":
        raise StatusError(400, "BadRequest", f'unable to forward port because pod is not running. Current status='
                                             f'{(pod.get("status") or {}).get("phase", "Pending")}')
    socket = web.WebSocketResponse(protocols=(_TUNNEL, _CHANNELS, _OLDER), heartbeat=None)
    if not socket.can_prepare(request).ok:
        raise StatusError(400, "BadRequest", "Upgrade request required: port-forward is served over WebSocket, which "
                                             "kubectl uses since version 1.31")
    ports = _ports(request)
    if "Sec-WebSocket-Protocol" in request.headers and socket.can_prepare(request).protocol is None:
        raise StatusError(400, "BadRequest", f"port-forward is served as {_TUNNEL} and {_CHANNELS}")
    await socket.prepare(request)

    def address(port: int) -> Address:
        return _address(store, target, port)

    if socket.ws_protocol == _TUNNEL:
        await _Tunnel(socket, address).run()
    else:
        await _Channels(socket, address, ports).run()
    return socket


def _ports(request: web.Request) -> list[int]:
    try:
        return [int(port) for text in request.query.getall("ports", ()) for port in text.split(",")]
    except ValueError:
        raise StatusError(400, "BadRequest", "ports are whole numbers") from None


def _address(store: Store, target: Target, port: int) -> Address:
    """Where a port of a pod really is. Raises OSError where nothing listens."""
    pod = store.find(POD, target.namespace, target.name or "") or {}
    box = store.find(SANDBOX, target.namespace, target.name or "") or {}
    declared = {p.get("containerPort") for c in (pod.get("spec") or {}).get("containers") or ()
                for p in c.get("ports") or ()}
    host, _, number = str((box.get("status") or {}).get("address") or "").rpartition(":")
    if port not in declared or not number:
        raise ConnectionRefusedError(f"dial tcp4 127.0.0.1:{port}: connect: connection refused")
    return host, int(number)


async def _copy(reader: asyncio.StreamReader, send: Send) -> None:
    while data := await reader.read(_BLOCK):
        await send(data)


@dataclass
class _Pair:
    """The two streams of one forwarded connection: data, and what went wrong."""

    port: int
    data: int | None = None
    error: int | None = None


@dataclass
class _Tunnel:
    """SPDY in the binary messages of a WebSocket: two streams for each connection, which share a request id."""

    socket: web.WebSocketResponse
    address: Callable[[int], Address]
    connection: spdy.Connection = field(default_factory=spdy.Connection)
    pairs: dict[str, _Pair] = field(default_factory=dict)
    incoming: dict[int, asyncio.Queue[bytes]] = field(default_factory=dict)

    async def run(self) -> None:
        """Serve until the client goes."""
        async with asyncio.TaskGroup() as group:
            async for message in self.socket:
                if message.type != WSMsgType.BINARY:
                    break
                try:
                    for event in self.connection.receive(message.data):
                        await self._on(event, group)
                except ValueError:
                    break
            for queue in self.incoming.values():
                queue.put_nowait(b"")
        await self.socket.close()

    async def _on(self, event: spdy.Event, group: asyncio.TaskGroup) -> None:
        match event:
            case spdy.Opened(stream, headers):
                await self.socket.send_bytes(self.connection.accept(stream))
                self._open(stream, headers, group)
            case spdy.Data(stream, data, last) if stream in self.incoming:
                if data:
                    self.incoming[stream].put_nowait(data)
                if last:
                    self.incoming[stream].put_nowait(b"")
            case spdy.Reset(stream) if stream in self.incoming:
                self.incoming[stream].put_nowait(b"")
            case spdy.Ping(frame):
                await self.socket.send_bytes(frame)

    def _open(self, stream: int, headers: Mapping[str, str], group: asyncio.TaskGroup) -> None:
        port = headers.get("port", "")
        pair = self.pairs.setdefault(headers.get("requestid", ""), _Pair(int(port) if port.isdecimal() else 0))
        if headers.get("streamtype") == "error":
            pair.error = stream
        else:
            pair.data = stream
            self.incoming[stream] = asyncio.Queue()
        if pair.data is not None and pair.error is not None:
            del self.pairs[headers.get("requestid", "")]
            group.create_task(self._connect(pair, pair.data, pair.error))

    async def _connect(self, pair: _Pair, stream: int, errors: int) -> None:
        problem = b""
        try:
            await self._transfer(pair, stream)
        except OSError as error:
            problem = f"an error occurred forwarding {pair.port}: {error}".encode()
        del self.incoming[stream]
        if not self.socket.closed:
            await self.socket.send_bytes(self.connection.send(errors, problem, last=True)
                                         + self.connection.send(stream, b"", last=True))

    async def _transfer(self, pair: _Pair, stream: int) -> None:
        reader, writer = await asyncio.open_connection(*self.address(pair.port))

        async def upload() -> None:
            while data := await self.incoming[stream].get():
                writer.write(data)
                await writer.drain()
            writer.write_eof()

        uploading = asyncio.create_task(upload())
        try:
            await _copy(reader, lambda data: self.socket.send_bytes(self.connection.send(stream, data)))
        finally:
            uploading.cancel()
            writer.close()


@dataclass
class _Channels:
    """One byte before each message says which channel it is of: 2i is the data of the i-th port, 2i+1 its errors."""

    socket: web.WebSocketResponse
    address: Callable[[int], Address]
    ports: list[int]
    writers: dict[int, asyncio.StreamWriter] = field(default_factory=dict)

    async def run(self) -> None:
        """Serve until the client goes."""
        async with asyncio.TaskGroup() as group:
            tasks = [await self._open(group, index, port) for index, port in enumerate(self.ports)]
            async for message in self.socket:
                if message.type != WSMsgType.BINARY or not message.data:
                    continue
                writer = self.writers.get(message.data[0])
                if writer is not None:
                    writer.write(message.data[1:])
                    await writer.drain()
            for task in filter(None, tasks):
                task.cancel()
        for writer in self.writers.values():
            writer.close()

    async def _open(self, group: asyncio.TaskGroup, index: int, port: int) -> asyncio.Task[None] | None:
        for channel in (2 * index, 2 * index + 1):
            await self.socket.send_bytes(struct.pack("<BH", channel, port & 0xFFFF))
        try:
            reader, writer = await asyncio.open_connection(*self.address(port))
        except OSError as error:
            text = f"an error occurred forwarding {port}: {error}"
            await self.socket.send_bytes(bytes([2 * index + 1]) + text.encode())
            return None
        self.writers[2 * index] = writer
        return group.create_task(self._download(reader, 2 * index))

    async def _download(self, reader: asyncio.StreamReader, channel: int) -> None:
        await _copy(reader, lambda data: self.socket.send_bytes(bytes([channel]) + data))
        await self.socket.close()
