"""No request, watch or forwarded connection makes the API server take unbounded memory or time."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator

import aiohttp
import pytest

from kserve_nb.clusters.embedded.apimachinery.kinds import NODE, POD, SANDBOX
from tests.api_server import TOKEN, ApiServer

pytestmark = pytest.mark.slow
MIB = 1 << 20
CONFIG_MAPS = "/api/v1/namespaces/demo/configmaps"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    served = ApiServer(tmp_path_factory.mktemp("server"))
    yield served
    served.close()


def start_pod(server: ApiServer, address: str) -> None:
    """A running pod whose container port 8080 is at the address."""
    store, name = server.store, {"name": "p", "namespace": "demo"}
    store.create(NODE, {"metadata": {"name": "n"}})
    pod = store.create(POD, {"metadata": name, "spec": {"nodeName": "n", "containers": [
        {"name": "c", "image": "i", "ports": [{"containerPort": 8080}]}]}})
    store.update_status(POD, pod | {"status": {"phase": "Running"}})
    store.create(SANDBOX, {"metadata": name, "spec": {"podUID": pod["metadata"]["uid"]},
                           "status": {"address": address, "containers": {}}})


@pytest.mark.parametrize(("size", "code"), [(MIB, 201), (MIB + 1, 422)])
def test_a_config_map_has_at_most_one_mebibyte(server: ApiServer, size: int, code: int) -> None:
    body = {"metadata": {"generateName": "big-"}, "data": {"a": "x" * size}}

    answer = server.request("POST", CONFIG_MAPS, body)

    assert answer.status_code == code
    assert code == 201 or "Too long: may not be more than 1048576 bytes" in answer.json()["message"]


def test_a_forwarded_upload_waits_for_a_pod_that_does_not_read(server: ApiServer) -> None:
    """While the pod does not read, the server does not read from the client. In the end the pod gets every byte."""
    total, block = 64 * MIB, b"\x00" + b"x" * 65536
    reads, received = threading.Event(), []

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        reads.wait(60)
        count = 0
        while count < total and (data := connection.recv(MIB)):
            count += len(data)
        received.append(count)
        connection.close()

    async def upload() -> int:
        """Send everything; return how many bytes the server accepted before the pod began to read."""
        context = ssl.create_default_context(cafile=str(server.folder / "tls.crt"))
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session, session.ws_connect(
                f"{server.url}/api/v1/namespaces/demo/pods/p/portforward?ports=8080", ssl=context,
                protocols=["v4.channel.k8s.io"], max_msg_size=0) as stream:
            taken = 0
            for number in range(total // 65536):
                sending = asyncio.ensure_future(stream.send_bytes(block))
                if not reads.is_set() and not (await asyncio.wait([sending], timeout=2))[0]:
                    taken = number * 65536
                    reads.set()
                await sending
            async for _ in stream:
                pass
            return taken

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.call(start_pod, server, f"127.0.0.1:{listener.getsockname()[1]}")
        pod = threading.Thread(target=serve, args=(listener,), daemon=True)
        pod.start()
        taken = asyncio.run(upload())
        pod.join(60)

    assert 0 < taken < 32 * MIB  # the capacity of the buffers of four sockets
    assert received == [total]


