"""`kubectl port-forward`: TCP connections to a pod, carried in a WebSocket.

There are two protocols: SPDY streams inside a WebSocket (kubectl since 1.31), and messages that start with the number
of their channel (Python clients).
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

from kserve_nb.clusters.embedded.addresses import connect
from kserve_nb.clusters.embedded.api.store.store import Store
from kserve_nb.clusters.embedded.api.verbs.pod import spdy
from kserve_nb.clusters.embedded.api.wire.request_paths import RequestTarget
from kserve_nb.clusters.embedded.apimachinery.kinds import POD, SANDBOX
from kserve_nb.clusters.embedded.apimachinery.objects import StatusError

_TUNNEL, _CHANNELS = "SPDY/3.1+portforward.k8s.io", "v4.channel.k8s.io"
_OLDER = "channel.k8s.io"  # the same channels, also without a protocol header (kubernetes pkg/kubelet cri/streaming)
_BLOCK = 64 * 1024

Send = Callable[[bytes], Awaitable[None]]


async def forward(request: web.Request, store: Store, target: RequestTarget) -> web.StreamResponse:
    """Forward ports of a pod until the client disconnects."""
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

    def address(port: int) -> str:
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


def _address(store: Store, target: RequestTarget, port: int) -> str:
    """The address at which a container port listens on this machine. Raises OSError if nothing listens."""
    pod = store.find(POD, target.namespace, target.name or "") or {}
    sandbox = store.find(SANDBOX, target.namespace, target.name or "") or {}
    declared = {p.get("containerPort") for c in (pod.get("spec") or {}).get("containers") or ()
                for p in c.get("ports") or ()}
    address = (sandbox.get("status") or {}).get("address")
    if port not in declared or not address:
        raise ConnectionRefusedError(f"dial tcp4 127.0.0.1:{port}: connect: connection refused")
    return str(address)


async def _copy(reader: asyncio.StreamReader, send: Send) -> None:
    while data := await reader.read(_BLOCK):
        await send(data)


@dataclass
class _Connection:
    """One forwarded connection: the numbers of its two SPDY streams, and the socket to the pod once it is open."""

    port: int
    writer: asyncio.Future[asyncio.StreamWriter | None]  # None if the pod refuses the connection
    data: int | None = None
    error: int | None = None


@dataclass
class _Tunnel:
    """SPDY in the binary messages of a WebSocket.

    Each forwarded connection has two streams, one for data and one for errors, with the same request id. The tunnel
    reads no further while a pod does not accept data: nothing is queued beyond the sockets' buffers.
    """

    socket: web.WebSocketResponse
    address: Callable[[int], str]
    session: spdy.Connection = field(default_factory=spdy.Connection)
    connections: dict[str, _Connection] = field(default_factory=dict)  # by request id
    uploads: dict[int, _Connection] = field(default_factory=dict)  # by data stream

    async def run(self) -> None:
        """Serve until the client disconnects."""
        async with asyncio.TaskGroup() as group:
            tasks: list[asyncio.Task[None]] = []
            async for message in self.socket:
                if message.type != WSMsgType.BINARY:
                    break
                try:
                    for event in self.session.receive(message.data):
                        await self._on(event, group, tasks)
                except ValueError:
                    break
            for task in tasks:
                task.cancel()
        await self.socket.close()

    async def _on(self, event: spdy.Event, group: asyncio.TaskGroup, tasks: list[asyncio.Task[None]]) -> None:
        match event:
            case spdy.Opened(stream, headers):
                await self.socket.send_bytes(self.session.accept(stream))
                if connection := self._open(stream, headers):
                    tasks.append(group.create_task(self._serve(connection)))
            case spdy.Data(stream, data, last) if stream in self.uploads:
                await self._upload(self.uploads[stream], data, last)
            case spdy.Reset(stream) if stream in self.uploads:
                await self._upload(self.uploads[stream], b"", last=True)
            case spdy.Ping(frame):
                await self.socket.send_bytes(frame)

    def _open(self, stream: int, headers: Mapping[str, str]) -> _Connection | None:
        """Note a new stream; return its connection once both streams are open."""
        port, request_id = headers.get("port", ""), headers.get("requestid", "")
        connection = self.connections.setdefault(request_id, _Connection(
            int(port) if port.isdecimal() else 0, asyncio.get_running_loop().create_future()))
        if headers.get("streamtype") == "error":
            connection.error = stream
        else:
            connection.data = stream
            self.uploads[stream] = connection
        if connection.data is None or connection.error is None:
            return None
        return self.connections.pop(request_id)

    async def _upload(self, connection: _Connection, data: bytes, last: bool) -> None:
        writer = await connection.writer
        if writer is None or writer.is_closing():
            return
        try:
            writer.write(data)
            await writer.drain()
            if last and writer.can_write_eof():
                writer.write_eof()
        except OSError:
            pass  # the pod has closed the connection: its download ends as well, and the client is informed

    async def _serve(self, connection: _Connection) -> None:
        """Open the connection to the pod and send what the pod sends, until the pod closes it."""
        assert connection.data is not None and connection.error is not None
        stream, problem = connection.data, b""
        try:
            reader, writer = await connect(self.address(connection.port))
            connection.writer.set_result(writer)
            try:
                await _copy(reader, lambda data: self.socket.send_bytes(self.session.send(stream, data)))
            finally:
                writer.close()
        except OSError as error:
            problem = f"an error occurred forwarding {connection.port}: {error}".encode()
        finally:
            if not connection.writer.done():
                connection.writer.set_result(None)
        del self.uploads[stream]
        if not self.socket.closed:
            await self.socket.send_bytes(self.session.send(connection.error, problem, last=True)
                                         + self.session.send(stream, b"", last=True))


@dataclass
class _Channels:
    """Messages whose first byte is their channel: 2i carries the data of the i-th port, 2i+1 its errors."""

    socket: web.WebSocketResponse
    address: Callable[[int], str]
    ports: list[int]
    writers: dict[int, asyncio.StreamWriter] = field(default_factory=dict)

    async def run(self) -> None:
        """Serve until the client disconnects."""
        async with asyncio.TaskGroup() as group:
            tasks = [await self._open(group, index, port) for index, port in enumerate(self.ports)]
            async for message in self.socket:
                if message.type != WSMsgType.BINARY or not message.data:
                    continue
                writer = self.writers.get(message.data[0])
                if writer is not None and not writer.is_closing():
                    try:
                        writer.write(message.data[1:])
                        await writer.drain()
                    except OSError:
                        pass  # the pod has closed the connection: its download ends as well
            for task in filter(None, tasks):
                task.cancel()
        for writer in self.writers.values():
            writer.close()

    async def _open(self, group: asyncio.TaskGroup, index: int, port: int) -> asyncio.Task[None] | None:
        for channel in (2 * index, 2 * index + 1):
            await self.socket.send_bytes(struct.pack("<BH", channel, port & 0xFFFF))
        try:
            reader, writer = await connect(self.address(port))
        except OSError as error:
            text = f"an error occurred forwarding {port}: {error}"
            await self.socket.send_bytes(bytes([2 * index + 1]) + text.encode())
            return None
        self.writers[2 * index] = writer
        return group.create_task(self._download(reader, 2 * index))

    async def _download(self, reader: asyncio.StreamReader, channel: int) -> None:
        await _copy(reader, lambda data: self.socket.send_bytes(bytes([channel]) + data))
        await self.socket.close()
