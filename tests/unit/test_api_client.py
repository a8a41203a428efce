"""The client with an API server that breaks off, sends invalid responses, or is not running."""

from __future__ import annotations

import asyncio
import socketserver
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from kserve_nb.access.api_client import INFERENCE_SERVICE, POD, UNREACHABLE, Client, RefusedError, events
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.values.cluster import Cluster
from tests.fake_api import FakeApi, kubeconfig_of

HANGS_UP = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{\"metadata\": {"
HANGS_UP_IN_AN_ERROR = HANGS_UP.replace(b"200 OK", b"500 Internal Server Error")
HANGS_UP_IN_A_WATCH = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{\"type\":"
A_WATCH_OF_NONSENSE = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabc\n\r\n0\r\n\r\n"
NO_JSON = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n<html></html>"
NO_HTTP = b"220 mail.example.com ESMTP\r\n"
NO_STATUS = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\n[\"x\"]"

Serve = Callable[[bytes], Client]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """A client of a server that sends one response to every request, and closes the connection."""
    servers: list[socketserver.ThreadingTCPServer] = []

    def start(response: bytes) -> Client:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                self.request.recv(65536)
                self.request.sendall(response)

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True).start()
        config = tmp_path / "kubeconfig"
        config.write_text(yaml.safe_dump(kubeconfig_of(f"http://127.0.0.1:{server.server_address[1]}")))
        return Client(Cluster(config, "127.0.0.1:9"))

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    "response", [HANGS_UP, NO_JSON, NO_HTTP, b""], ids=["hangs up in the body", "no JSON", "no HTTP", "nothing"])
def test_a_response_that_is_none_is_one_error(serve: Serve, response: bytes) -> None:
    client = serve(response)

    for read in (
        lambda: client.find(INFERENCE_SERVICE, "sklearn-iris"),
        lambda: client.find_all(POD),
        lambda: client.snapshot(POD, ""),
        lambda: client.patch(INFERENCE_SERVICE, "sklearn-iris", {}),
    ):
        with pytest.raises(RefusedError, match=r"the cluster does not respond \(.+\)\. See whether it is running") as e:
            read()
        assert e.value.reason == UNREACHABLE and e.value.transient


def test_a_log_that_breaks_off_is_the_same_error(serve: Serve) -> None:
    with pytest.raises(RefusedError, match="does not respond"):
        serve(HANGS_UP).log("pod", "container", 10)


def test_an_error_that_breaks_off_is_the_same_error(serve: Serve) -> None:
    with pytest.raises(RefusedError, match="does not respond"):
        serve(HANGS_UP_IN_AN_ERROR).find(INFERENCE_SERVICE, "sklearn-iris")


def test_an_error_without_a_status_object_shows_its_code(serve: Serve) -> None:
    with pytest.raises(RefusedError, match="HTTP 502 Bad Gateway"):
        serve(NO_STATUS).find(INFERENCE_SERVICE, "sklearn-iris")


@pytest.mark.parametrize("response", [HANGS_UP_IN_A_WATCH, A_WATCH_OF_NONSENSE], ids=["hangs up", "no JSON"])
def test_a_watch_that_breaks_off_is_the_same_error(serve: Serve, response: bytes) -> None:
    with serve(response).watch(POD, "", "1", 5) as opened, pytest.raises(RefusedError) as error:
        list(events(opened))

    assert error.value.reason == UNREACHABLE


def test_a_kubeconfig_that_is_not_there_is_the_same_error(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="does not respond"):
        Client(Cluster(tmp_path / "none", "127.0.0.1:9"))


def test_an_error_of_the_api_server_is_shown_without_control_characters(api: FakeApi) -> None:
    api.refuse = 'pods is \x1b[31mforbidden\x1b[0m: User "x" \u202ecannot list'

    with pytest.raises(RefusedError) as error:
        Client(api.cluster()).find_all(POD)

    assert str(error.value) == 'pods is forbidden: User "x" cannot list'
    assert error.value.reason == "Forbidden" and not error.value.transient


def test_wait_continues_after_a_broken_response(api: FakeApi, rollout: Rollout) -> None:
    api.load("04-promote")
    api.break_off = 3

    status = asyncio.run(rollout.wait(timeout_s=20))

    assert status.latest_ready.endswith("00002") and api.break_off == 0


def test_a_client_follows_a_cluster_that_was_created_again(api: FakeApi, tmp_path: Path) -> None:
    client = Client(api.cluster())
    assert client.find_all(POD) == []
    (tmp_path / "again").mkdir()
    again = FakeApi(tmp_path / "again")
    again.load("02-canary-10")

    api.close()
    api.kubeconfig.write_text(again.kubeconfig.read_text())

    try:
        assert len(client.find_all(POD)) == 2
    finally:
        again.close()


def test_a_cluster_that_is_gone_is_reported_at_once(api: FakeApi) -> None:
    client = Client(api.cluster())
    api.close()
    api.kubeconfig.unlink()

    with pytest.raises(RefusedError) as error:
        client.find_all(POD)

    assert error.value.reason == UNREACHABLE


@pytest.mark.parametrize("content", [
    "", "{", "\x00", "[1]", "7", "contexts: 7", "clusters: [1]\nusers: [1]\ncontexts: [1]\ncurrent-context: a",
    "current-context: a\ncontexts: [{name: a, context: 1}]\nclusters: []\nusers: []",
    "current-context: a\ncontexts: [{name: a, context: {cluster: c, user: u}}]\n"
    "clusters: [{name: c, cluster: {server: 7}}]\nusers: [{name: u, user: {token: [1]}}]"])
def test_a_damaged_kubeconfig_is_one_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "kubeconfig").write_text(content)

    with pytest.raises(RefusedError, match="kubeconfig"):
        Client(Cluster(tmp_path / "kubeconfig", "127.0.0.1:9")).require_contact()
