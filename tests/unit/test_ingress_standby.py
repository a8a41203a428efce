"""Clients of the ingress are not refused while Envoy restarts: their connections are held and relayed."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from kserve_nb.clusters.embedded.supervision import ingress_standby
from kserve_nb.clusters.embedded.supervision.ingress_standby import IngressStandby

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shares a port among listening sockets")


@pytest.fixture
def address() -> Iterator[str]:
    """A free address that no other program can take meanwhile."""
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{reserved.getsockname()[1]}"


@asynccontextmanager
async def envoy(address: str) -> AsyncIterator[None]:
    """A server in place of Envoy: it answers each line with the line in upper case."""
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line.upper())
        writer.close()

    host, _, port = address.rpartition(":")
    async with await asyncio.start_server(serve, host, int(port), reuse_port=True):
        yield


async def ask(address: str) -> bytes:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"hello\n")
    writer.write_eof()
    try:
        return await reader.read()
    finally:
        writer.close()


async def until(claim: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not claim():
            await asyncio.sleep(0.01)


@pytest.mark.slow
def test_connections_are_held_until_envoy_listens_and_then_answered(address: str) -> None:
    async def play() -> None:
        standby = IngressStandby(address)
        with pytest.raises(ConnectionRefusedError):
            await ask(address)

        standby.on_state("restarting")
        asked = [asyncio.create_task(ask(address)) for _ in range(300)]
        await until(lambda: len(standby._connections) == len(asked))
        assert not await standby.envoy_is_ready()
        async with envoy(address):
            assert await standby.envoy_is_ready()
            standby.on_state("ready")

            assert await asyncio.gather(*asked) == [b"HELLO\n"] * len(asked)
            assert await ask(address) == b"HELLO\n"
            await until(lambda: standby._connections == set())

    asyncio.run(play())


def test_a_connection_that_was_not_accepted_yet_is_relayed_as_well(address: str) -> None:
    async def play() -> None:
        standby = IngressStandby(address)
        standby.on_state("restarting")
        host, _, port = address.rpartition(":")
        with socket.create_connection((host, int(port))) as client:  # the event loop has not run since
            client.sendall(b"hello\n")
            client.setblocking(False)
            async with envoy(address):
                standby.on_state("ready")

                assert await asyncio.get_running_loop().sock_recv(client, 100) == b"HELLO\n"

    asyncio.run(play())


@pytest.mark.parametrize("state", ["crash-looping", "stopped"])
def test_connections_are_closed_when_envoy_does_not_come_back(address: str, state: str) -> None:
    async def play() -> None:
        standby = IngressStandby(address)
        standby.on_state("restarting")
        asked = asyncio.create_task(ask(address))
        await until(lambda: len(standby._connections) == 1)

        standby.on_state(state)  # type: ignore[arg-type]

        assert await asked == b""
        with pytest.raises(ConnectionRefusedError):
            await ask(address)

    asyncio.run(play())


def test_a_connection_is_not_held_for_ever(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingress_standby, "HOLD_S", 0.05)

    async def play() -> None:
        standby = IngressStandby(address)
        standby.on_state("restarting")

        assert await ask(address) == b""
        standby.on_state("stopped")

    asyncio.run(play())
