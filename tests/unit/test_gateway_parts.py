"""The parts of the gateway without Envoy: its object cache, its files, its queues and its activator."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web

from kserve_nb.clusters.embedded.addresses import of_socket
from kserve_nb.clusters.embedded.api.store.store import Store
from kserve_nb.clusters.embedded.apimachinery.kinds import NAMESPACE, POD
from kserve_nb.clusters.embedded.apimachinery.objects import Object, Settings, WatchEvent
from kserve_nb.clusters.embedded.gateway.activator import Activator
from kserve_nb.clusters.embedded.gateway.envoy_admin import ConfigurationRejectedError, Discovery, EnvoyAdmin
from kserve_nb.clusters.embedded.gateway.envoy_bootstrap import write_bootstrap
from kserve_nb.clusters.embedded.gateway.envoy_files import REMOVE_AFTER_S, EnvoyFiles
from kserve_nb.clusters.embedded.gateway.envoy_routes import EnvoyConfig, RevisionBackend, envoy_config
from kserve_nb.clusters.embedded.gateway.object_cache import ObjectCache
from kserve_nb.clusters.embedded.gateway.request_queues import QUEUE_DEPTH, QueueFullError, RequestQueues

NS, KEY = "kserve-test", ("kserve-test", "one")
DEADLINE_S = 60.0


# The files


class Admin(EnvoyAdmin):
    """Accepts every configuration at once, or rejects it."""

    def __init__(self) -> None:
        self.rejects = False

    async def rejections(self, what: Discovery) -> int:
        return 0

    async def wait_until_used(self, what: Discovery, version: str, rejections: int) -> int:
        if self.rejects:
            raise ConfigurationRejectedError(f"{what} {version}")
        return rejections


class Files:
    """Envoy's files in a folder, with a clock that a test sets."""

    def __init__(self, folder: Path):
        write_bootstrap(folder, Settings(), folder)
        self.folder, self.now, self.admin = folder, 0.0, Admin()
        self._files = EnvoyFiles(folder, self.admin, lambda: self.now)

    def apply(self, *revisions: str) -> bool:
        """Route to these revisions. True if clusters are left to be removed later."""
        return asyncio.run(self._files.apply(routed_to(*revisions)))

    def clusters(self) -> list[str]:
        found = orjson.loads((self.folder / "clusters.json").read_bytes())["resources"]
        return [cluster["name"].partition("/")[2] for cluster in found]


def routed_to(*revisions: str) -> EnvoyConfig:
    rules = [{"hosts": [f"{name}.example.com"], "http": {"paths": [{"splits": [
        {"serviceNamespace": NS, "serviceName": name, "percent": 100}]}]}, "visibility": "ExternalIP"}
        for name in revisions]
    return envoy_config([{"metadata": {"namespace": NS, "name": "iris"}, "spec": {"rules": rules}}], [], {}, "a:1")


@pytest.mark.parametrize("damage", [b"", b"\x00{", b"[]", b"{}", b'{"version_info": 1, "resources": []}',
                                    b'{"version_info": "1", "resources": [{}]}'])
@pytest.mark.parametrize("file", ["clusters.json", "routes.json"])
def test_a_damaged_file_is_written_again(tmp_path: Path, file: str, damage: bytes) -> None:
    Files(tmp_path).apply("one")
    (tmp_path / file).write_bytes(damage)

    files = Files(tmp_path)
    files.apply("one")

    assert files.clusters() == ["one"] and b"one.example.com" in (tmp_path / "routes.json").read_bytes()


def test_a_cluster_stays_for_a_while_after_the_last_route_to_it(tmp_path: Path) -> None:
    files = Files(tmp_path)
    assert not files.apply("one", "two")

    assert files.apply("two")
    assert files.clusters() == ["one", "two"]
    files.now = REMOVE_AFTER_S * 0.9
    assert files.apply("two")
    assert files.clusters() == ["one", "two"]

    files.now = REMOVE_AFTER_S
    assert not files.apply("two")
    assert files.clusters() == ["two"]


def test_a_cluster_that_is_routed_to_again_is_not_removed(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.apply("one", "two")
    files.apply("two")

    files.apply("one", "two")
    files.now = 2 * REMOVE_AFTER_S
    files.apply("two")

    assert files.clusters() == ["one", "two"]


def test_a_rejected_configuration_leaves_the_previous_one_in_the_files(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.apply("one")
    files.admin.rejects = True

    with pytest.raises(ConfigurationRejectedError):
        files.apply("two")

    assert files.clusters() == ["one"]


# The cache


def pod(**changes: Any) -> Object:
    meta = {"namespace": NS, "name": "a", "uid": "1", "generation": 1,
            "labels": {"serving.knative.dev/revision": "one"}}
    return {"kind": "Pod", "metadata": {**meta, **changes.pop("metadata", {})}, "spec": {},
            "status": {"conditions": [{"type": "Ready", "status": "True"}], **changes}}


@pytest.mark.parametrize(("changed", "matters"), [
    pytest.param(pod(metadata={"labels": {"serving.knative.dev/revision": "two"}}), True, id="labels"),
    pytest.param(pod(metadata={"uid": "2"}), True, id="another pod of that name"),
    pytest.param(pod(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}), True, id="deleted"),
    pytest.param(pod(conditions=[{"type": "Ready", "status": "False"}]), True, id="not ready"),
    pytest.param(pod(metadata={"annotations": {"a": "b"}}), False, id="annotations"),
    pytest.param(pod(phase="Running"), False, id="another field of the status"),
])
def test_only_changes_that_may_affect_routing_wake_the_gateway(changed: Object, matters: bool) -> None:
    store = Store(None)
    store.create(NAMESPACE, {"metadata": {"name": NS}})
    cache = ObjectCache(store)
    assert cache.apply(WatchEvent("ADDED", pod()))

    assert cache.apply(WatchEvent("MODIFIED", changed)) is matters
    assert list(cache.all(POD)) == [changed]


# The queues


def test_a_queue_lets_requests_continue_in_the_order_in_which_they_came() -> None:
    async def scene() -> list[int]:
        queues, order = RequestQueues(lambda key: None), list[int]()

        async def request(number: int) -> None:
            address = await queues.acquire(KEY)
            order.append(number)
            queues.release(KEY, address)

        tasks = [asyncio.create_task(request(number)) for number in range(5)]
        await asyncio.sleep(0)
        assert queues.waiting(KEY) == 5
        queues.update({KEY: RevisionBackend(("pod:1",), concurrency=1)})
        await asyncio.gather(*tasks)
        assert queues.waiting(KEY) == 0
        return order

    assert asyncio.run(scene()) == [0, 1, 2, 3, 4]


@pytest.mark.slow
def test_a_queue_refuses_requests_beyond_its_depth() -> None:
    async def scene() -> None:
        queues = RequestQueues(lambda key: None)
        tasks = [asyncio.create_task(queues.acquire(KEY)) for _ in range(QUEUE_DEPTH)]
        await asyncio.sleep(0)

        with pytest.raises(QueueFullError):
            await queues.acquire(KEY)

        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert queues.waiting(KEY) == 0

    asyncio.run(scene())


def test_a_queue_announces_its_first_request_and_its_last() -> None:
    async def scene() -> list[tuple[str, int]]:
        told: list[tuple[str, int]] = []
        queues = RequestQueues(lambda key: told.append((key[1], queues.waiting(key))))
        tasks = [asyncio.create_task(queues.acquire(KEY)) for _ in range(3)]
        await asyncio.sleep(0)
        queues.update({KEY: RevisionBackend(("pod:1",))})
        await asyncio.gather(*tasks)
        return told

    assert asyncio.run(scene()) == [("one", 1), ("one", 0)]


def test_the_queues_keep_nothing_of_a_revision_without_requests() -> None:
    async def scene() -> RequestQueues:
        queues = RequestQueues(lambda key: None)
        for number in range(20):
            key = (NS, f"revision-{number}")
            waits, gives_up = (asyncio.create_task(queues.acquire(key)) for _ in range(2))
            await asyncio.sleep(0)
            gives_up.cancel()
            queues.update({key: RevisionBackend(("pod:1",), concurrency=1)})
            queues.release(key, await waits)
            alone = asyncio.create_task(queues.acquire((NS, f"without-pods-{number}")))
            await asyncio.sleep(0)
            alone.cancel()
            await asyncio.gather(gives_up, alone, return_exceptions=True)
        return queues

    queues = asyncio.run(scene())

    left = {name: value for name, value in vars(queues).items() if isinstance(value, dict) and name != "backends"}
    assert len(left) == 3
    assert not any(left.values()), left


# The activator


async def _serve(_request: web.Request) -> web.Response:
    return web.Response(text="served")


@asynccontextmanager
async def upstream(pod: Path) -> AsyncIterator[None]:
    """A model server on that socket."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", _serve)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.UnixSite(runner, pod).start()
    try:
        yield
    finally:
        await runner.cleanup()


def play(scene: Callable[[RequestQueues, Path, Callable[[], Awaitable[str]]], Awaitable[None]]) -> None:
    """Run a scene with an activator, a pod's socket without a listener, and a function that sends a request."""
    async def run(folder: Path) -> None:
        pod, activator, queues = folder / "pod", folder / "activator", RequestQueues(lambda key: None)
        queues.update({KEY: RevisionBackend((of_socket(pod),), concurrency=1)})
        headers = {"Knative-Serving-Namespace": KEY[0], "Knative-Serving-Revision": KEY[1]}
        connector = aiohttp.UnixConnector(str(activator))
        async with (asyncio.timeout(DEADLINE_S), Activator(queues).listening(activator),
                    aiohttp.ClientSession(connector=connector) as session):

            async def send() -> str:
                async with session.get("http://activator/", headers=headers) as response:
                    return await response.text()

            await scene(queues, pod, send)

    with tempfile.TemporaryDirectory() as folder:  # the path of a socket is short
        asyncio.run(run(Path(folder)))


async def refused_once(queues: RequestQueues) -> None:
    """Return once a request has had the pod's only slot and has given it back."""
    while not queues._used_slots:
        await asyncio.sleep(0)
    while queues._used_slots:
        await asyncio.sleep(0)


def test_a_pod_that_refuses_connections_gets_its_slot_back() -> None:
    async def scene(queues: RequestQueues, pod: Path, send: Callable[[], Awaitable[str]]) -> None:
        request = asyncio.ensure_future(send())
        await refused_once(queues)

        async with upstream(pod):
            assert await request == "served"
            assert await send() == "served"

    play(scene)


def test_a_client_that_hangs_up_gives_its_slot_back() -> None:
    async def scene(queues: RequestQueues, pod: Path, send: Callable[[], Awaitable[str]]) -> None:
        with socket.socket(socket.AF_UNIX) as silent:  # accepts connections and never responds
            silent.bind(str(pod))
            silent.listen(1)
            request = asyncio.ensure_future(send())
            while not queues._used_slots:
                await asyncio.sleep(0)
            request.cancel()
            while queues._used_slots:
                await asyncio.sleep(0.001)

        pod.unlink(missing_ok=True)
        async with upstream(pod):
            assert await send() == "served"

    play(scene)


def test_a_request_waits_for_a_server_that_has_just_started_until_the_revisions_are_known() -> None:
    async def scene(queues: RequestQueues, pod: Path, send: Callable[[], Awaitable[str]]) -> None:
        known, queues.backends = queues.backends, {}
        queues.updated.clear()
        async with upstream(pod):
            request = asyncio.ensure_future(send())
            assert not (await asyncio.wait({request}, timeout=0.2))[0]

            queues.update(known)

            assert await request == "served"

    play(scene)
