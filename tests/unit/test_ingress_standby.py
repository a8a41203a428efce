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
    return await answer(*await asyncio.open_connection(host, int(port)))


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(b"hello\n")
    writer.write_eof()
    try:
        return await reader.read()
    finally:
        writer.close()


async def answer_over(connection: socket.socket) -> bytes:
    return await answer(*await asyncio.open_connection(sock=connection))


async def until(claim: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
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


@pytest.mark.parametrize("index", [0, 1])
def test_new_connections_of_a_shared_port_are_directed_to_one_socket(address: str, index: int) -> None:
    host, _, port = address.rpartition(":")
    here = (host, int(port))
    with socket.create_server(here, reuse_port=True) as first, socket.create_server(here, reuse_port=True) as second:
        ingress_standby.direct_connections(first, index)

        for _ in range(20):
            with socket.create_connection(here):
                pass
        (first, second)[1 - index].setblocking(False)
        with pytest.raises(BlockingIOError):
            (first, second)[1 - index].accept()
        assert len([(first, second)[index].accept()[0].close() for _ in range(20)]) == 20


def test_no_connection_reaches_the_standby_after_it_has_accepted_the_last_one(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play() -> None:
        standby = IngressStandby(address)
        standby.on_state("restarting")
        async with envoy(address):
            asked: list[asyncio.Task[bytes]] = []
            stop = standby._stop_listening

            def connect_and_stop() -> None:
                host, _, port = address.rpartition(":")
                for _ in range(20):
                    made = socket.create_connection((host, int(port)))
                    asked.append(asyncio.create_task(answer_over(made)))
                stop()

            monkeypatch.setattr(standby, "_stop_listening", connect_and_stop)
            standby.on_state("ready")

            assert await asyncio.gather(*asked) == [b"HELLO\n"] * 20

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

        try:
            assert await asked == b""
        except ConnectionResetError:  # the standby had not read its line yet
            pass
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
