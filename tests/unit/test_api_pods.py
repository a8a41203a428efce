"""Logs, port-forward, exec and usage of a pod, whose Sandbox object names its processes and files."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from kubernetes import client, config
from kubernetes.stream import portforward

from kserve_nb.clusters.embedded import log_rotation
from kserve_nb.clusters.embedded.api.store.watch_history import History
from kserve_nb.clusters.embedded.api.verbs.pod import pod_logs
from kserve_nb.clusters.embedded.apimachinery.kinds import NODE, POD, SANDBOX
from kserve_nb.clusters.embedded.apimachinery.objects import Object
from tests.api_server import KUBECTL, ApiServer

pytestmark = pytest.mark.slow

LOG = "/api/v1/namespaces/demo/pods/p/log"
CONTAINERS = [{"name": "kserve-container", "image": "i", "ports": [{"containerPort": 8080}]},
              {"name": "queue-proxy", "image": "q"}]


def line(text: str, second: int = 0, tag: str = "F") -> str:
    return f"2026-11-23T09:14:{second:02}.123456789Z stdout {tag} {text}\n"


class Model(BaseHTTPRequestHandler):
    """A server that listens in the pod."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = f"you asked for {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    served = ApiServer(tmp_path)
    model = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=model.serve_forever, daemon=True).start()
    (tmp_path / "log").write_text("".join(line(f"line {n}", n) for n in range(20)))
    (tmp_path / "old").write_text(line("before the restart"))
    served.call(start_pod, served, f"127.0.0.1:{model.server_port}")
    yield served
    model.shutdown()
    served.close()


def start_pod(server: ApiServer, address: str) -> None:
    store, name = server.store, {"name": "p", "namespace": "demo"}
    store.create(NODE, {"metadata": {"name": "n"}})
    pod = store.create(POD, {"metadata": name, "spec": {
        "nodeName": "n", "containers": CONTAINERS, "initContainers": [{"name": "storage-initializer", "image": "s"}]}})
    waiting = {"name": "storage-initializer", "state": {"waiting": {"reason": "PodInitializing"}}}
    store.update_status(POD, pod | {"status": {"phase": "Running", "initContainerStatuses": [waiting]}})
    store.create(SANDBOX, {"metadata": name, "spec": {"podUID": pod["metadata"]["uid"]}, "status": {
        "address": address, "containers": {"kserve-container": {
            "pids": [os.getpid()], "log": str(server.folder / "log"), "previousLog": str(server.folder / "old")}}}})


def log(server: ApiServer, **query: Any) -> requests.Response:
    return server.request("GET", LOG, params={"container": "kserve-container", **query})


@pytest.mark.parametrize("query, expected", [
    ({"tailLines": 2}, "line 18\nline 19\n"),
    ({"tailLines": 0}, ""),
    ({"tailLines": 1, "timestamps": "true"}, "2026-11-23T09:14:19.123456789Z line 19\n"),
    ({"sinceTime": "2026-11-23T09:14:18Z"}, "line 18\nline 19\n"),
    ({"sinceSeconds": 0}, ""),
    ({"limitBytes": 10}, "line 0\nlin"),
    ({"previous": "true"}, "before the restart\n"),
])
def test_a_part_of_the_log(server: ApiServer, query: Object, expected: str) -> None:
    assert log(server, **query).text == expected


@pytest.mark.parametrize("query, expected", [
    ({"container": ""}, "a container name must be specified for pod p, choose one of: [kserve-container queue-proxy] "
                        "or one of the init containers: [storage-initializer]"),
    ({"container": "nope"}, "container nope is not valid for pod p"),
    ({"container": "queue-proxy", "previous": "true"},
     'previous terminated container "queue-proxy" in pod "p" not found'),
    ({"container": "storage-initializer"},
     'container "storage-initializer" in pod "p" is waiting to start: PodInitializing'),
])
def test_why_there_is_no_log(server: ApiServer, query: Object, expected: str) -> None:
    answer = log(server, **query)

    assert (answer.status_code, answer.json()["message"]) == (400, expected)


def test_a_log_that_is_not_there_is_refused_and_no_half_answer(server: ApiServer) -> None:
    (server.folder / "old").unlink()

    answer = log(server, previous="true")

    assert answer.status_code == 400
    assert answer.json()["message"] == f"Cannot read the log file {server.folder / 'old'}: No such file or directory"


def test_a_followed_log_grows_and_ends_with_its_container(server: ApiServer) -> None:
    query = {"container": "kserve-container", "follow": "true", "tailLines": 1}
    with server.request("GET", LOG, params=query, stream=True) as answer:
        lines = answer.iter_lines()
        assert next(lines) == b"line 19"
        with (server.folder / "log").open("a") as file:
            file.write(line("one, in ", tag="P") + line("two parts"))
        assert next(lines) == b"one, in two parts"

        server.call(stop_container, server)

        assert list(lines) == []


def test_a_followed_log_goes_on_after_the_node_has_rotated_it(server: ApiServer) -> None:
    query = {"container": "kserve-container", "follow": "true", "tailLines": 1}
    with server.request("GET", LOG, params=query, stream=True) as answer:
        lines = answer.iter_lines()
        assert next(lines) == b"line 19"

        assert log_rotation.rotate(server.folder / "log", max_bytes=100)
        with (server.folder / "log").open("a") as file:
            file.write(line("after the rotation"))

        assert next(lines) == b"after the rotation"
        server.call(stop_container, server)
    assert (server.folder / "log.1").read_text().endswith("line 19\n")


def stop_container(server: ApiServer) -> None:
    box = server.store.get(SANDBOX, "demo", "p")
    box["status"]["containers"]["kserve-container"]["pids"] = []
    server.store.update_status(SANDBOX, box)


@pytest.mark.parametrize("size", [10, 100_000])
@pytest.mark.parametrize("newline", [True, False])
def test_the_last_lines_are_found_in_a_log_of_any_size(tmp_path: Path, size: int, newline: bool) -> None:
    text = "".join(line(f"{n} " + "x" * 40) for n in range(size // 10))
    (tmp_path / "log").write_text(text if newline else text.rstrip("\n"))

    async def tail(count: int) -> list[bytes]:
        options = pod_logs.LogOptions(tail_lines=count)
        with pod_logs.open_log(str(tmp_path / "log")) as file:
            found = b"".join([part async for part in pod_logs.read(file, options, lambda: None, History(0))])
        return [row.split(b" ")[0] for row in found.splitlines()]

    for count in (1, 2, 5000, 10**6):
        expected = [b"%d" % n for n in range(size // 10)][-count:]
        assert asyncio.run(tail(count)) == expected


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_kubectl_forwards_a_port(server: ApiServer) -> None:
    port = free_port()
    command = [KUBECTL, "port-forward", "pod/p", f"{port}:8080"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=server.env) as forwarding:
        assert forwarding.stdout is not None and "Forwarding" in forwarding.stdout.readline()
        with requests.Session() as session:
            session.trust_env = False
            answers = [session.get(f"http://127.0.0.1:{port}/{n}", timeout=10).text for n in range(3)]
        big = requests.get(f"http://127.0.0.1:{port}/{'x' * 60_000}", timeout=10, proxies={"http": ""})
        forwarding.terminate()

    assert answers == [f"you asked for /{n}" for n in range(3)]
    assert len(big.text) == 60_015


def test_the_python_client_forwards_a_port(server: ApiServer) -> None:
    config.load_kube_config(str(server.kubeconfig))

    forwarding = portforward(client.CoreV1Api().connect_get_namespaced_pod_portforward, "p", "demo", ports="8080")
    stream = forwarding.socket(8080)
    stream.settimeout(10)
    stream.sendall(b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    received = b""
    while data := stream.recv(1000):
        received += data

    assert received.endswith(b"you asked for /x")
    assert forwarding.error(8080) is None


def test_a_port_that_the_pod_does_not_have(server: ApiServer) -> None:
    config.load_kube_config(str(server.kubeconfig))

    forwarding = portforward(client.CoreV1Api().connect_get_namespaced_pod_portforward, "p", "demo", ports="9999")
    stream = forwarding.socket(9999)
    stream.settimeout(10)
    assert stream.recv(1) == b""

    assert "connection refused" in forwarding.error(9999)


def test_exec_is_refused_with_a_plain_message(server: ApiServer) -> None:
    refused = server.kubectl("exec", "p", "-c", "kserve-container", "--", "ls", check=False)

    assert refused.returncode == 1
    assert "the pods of the embedded cluster are processes of this machine" in refused.stderr


def test_top_shows_the_use_of_processes(server: ApiServer) -> None:
    pods = server.kubectl("top", "pods", "--no-headers").stdout.split()

    assert pods[0] == "p" and pods[1].endswith("m") and int(pods[2].removesuffix("Mi")) > 10
