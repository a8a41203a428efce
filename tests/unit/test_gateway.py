"""The gateway with a real Envoy, real sockets, and a cluster's objects in memory."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from kserve_nb.clusters.embedded.addresses import of_socket
from kserve_nb.clusters.embedded.api.store.store import Store
from kserve_nb.clusters.embedded.apimachinery.kinds import INGRESS, NAMESPACE, POD, REVISION, REVISION_TRAFFIC, SANDBOX
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Settings, condition, is_true
from kserve_nb.clusters.embedded.gateway import envoy_routes
from kserve_nb.clusters.embedded.gateway.envoy_bootstrap import write_bootstrap
from kserve_nb.clusters.embedded.gateway.ingress_controller import Gateway

pytestmark = pytest.mark.slow

NS, HOST = "kserve-test", "iris.kserve-test.example.com"
DEADLINE_S = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def until(claim: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + DEADLINE_S
    while not (found := claim()):
        assert time.monotonic() < deadline, f"not within {DEADLINE_S} s: {what}"
        await asyncio.sleep(0.01)
    return found


class Upstream:
    """A model server that answers with its name, and stores the headers of the last request."""

    def __init__(self, name: str, delay_s: float = 0, status: int = 200):
        self.name, self.delay_s, self.status, self.busiest = name, delay_s, status, 0
        self._now = 0

    async def start(self, file: Path) -> None:
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        self.file = file
        await web.UnixSite(self._runner, file).start()

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        body, self.headers = await request.text(), request.headers
        self._now += 1
        self.busiest = max(self.busiest, self._now)
        try:
            await asyncio.sleep(self.delay_s)
        finally:
            self._now -= 1
        return web.Response(text=f"{self.name}{body}", status=self.status)


class Cluster:
    """Objects, a gateway over them, and an Envoy."""

    def __init__(self, folder: Path, **settings: Any):
        self.store = Store(None)
        self.store.create(NAMESPACE, {"metadata": {"name": NS}})
        self.settings = Settings(ingress_port=free_port(), **settings)
        self.folder = folder
        self.upstreams: list[Upstream] = []

    def start_envoy(self) -> None:
        self.envoy = subprocess.Popen(write_bootstrap(self.folder, self.settings, self.folder))

    def start_gateway(self) -> None:
        gateway = Gateway(self.store, self.settings, self.folder, self.folder)
        self.gateway = asyncio.create_task(gateway.run())

    async def stop_gateway(self) -> None:
        self.gateway.cancel()
        await asyncio.wait([self.gateway])

    def kill_envoy(self) -> None:
        self.envoy.kill()
        self.envoy.wait()

    def revision(self, name: str, **spec: Any) -> None:
        self.store.create(REVISION, {"metadata": {"namespace": NS, "name": name}, "spec": spec})

    async def pod(self, revision: str, upstream: Upstream) -> str:
        name = f"{revision}-{len(self.upstreams)}"
        await upstream.start(self.folder / f"{name}.sock")
        self.upstreams.append(upstream)
        pod = self._status(POD, {"namespace": NS, "name": name, "labels": {"serving.knative.dev/revision": revision}},
                           {}, {"conditions": [{"type": "Ready", "status": "True"}]})
        self._status(SANDBOX, {"namespace": NS, "name": name}, {"podUID": pod["metadata"]["uid"]},
                     {"address": of_socket(upstream.file)})
        return name

    def _status(self, kind: Kind, meta: dict[str, Any], spec: dict[str, Any], status: dict[str, Any]) -> dict[str, Any]:
        made = self.store.create(kind, {"metadata": meta, "spec": spec})
        return self.store.update_status(kind, made | {"status": status})

    def unready(self, pod: str) -> None:
        found = self.store.get(POD, NS, pod)
        found["status"]["conditions"][0]["status"] = "False"
        self.store.update_status(POD, found)

    def split(self, **percents: int) -> None:
        splits = [{"serviceName": name, "serviceNamespace": NS, "percent": percent, "appendHeaders": {
            "Knative-Serving-Namespace": NS, "Knative-Serving-Revision": name}} for name, percent in percents.items()]
        spec = {"rules": [{"hosts": [HOST], "http": {"paths": [{"splits": splits}]}}]}
        found = self.store.find(INGRESS, NS, "iris")
        if found is None:
            self.store.create(INGRESS, {"metadata": {"namespace": NS, "name": "iris"}, "spec": spec})
        else:
            self.store.update(INGRESS, found | {"spec": spec})

    async def ready(self) -> dict[str, Any]:
        def programmed() -> bool:
            found = self.store.get(INGRESS, NS, "iris")
            return (found.get("status", {}).get("observedGeneration") == found["metadata"]["generation"]
                    and is_true(found, "Ready"))

        await until(programmed, "the ingress is ready")
        return self.store.get(INGRESS, NS, "iris")

    def traffic(self, revision: str) -> dict[str, Any]:
        found = self.store.find(REVISION_TRAFFIC, NS, revision) or {}
        status: dict[str, Any] = found.get("status", {})
        return status

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Callable[..., Coroutine[Any, Any, tuple[int, str]]]]:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            async def ask(host: str = HOST, body: str | None = None) -> tuple[int, str]:
                async with session.post(f"http://127.0.0.1:{self.settings.ingress_port}/v1/models/iris:predict",
                                        headers={"Host": host}, data=body) as response:
                    self.headers = response.headers
                    return response.status, await response.text()
            yield ask


def play(folder: Path, scene: Callable[[Cluster], Awaitable[None]], **settings: Any) -> None:
    """Run a scene on a cluster, then end what it started."""
    async def run() -> None:
        cluster = Cluster(folder, **settings)
        cluster.start_envoy()
        cluster.start_gateway()
        try:
            await asyncio.wait_for(scene(cluster), 60)
        finally:
            await cluster.stop_gateway()
            for upstream in cluster.upstreams:
                await upstream.stop()
            cluster.kill_envoy()

    asyncio.run(run())


def test_requests_are_split_by_percent_and_counted(tmp_path: Path) -> None:
    async def scene(cluster: Cluster) -> None:
        for name in ("one", "two"):
            cluster.revision(name)
            await cluster.pod(name, Upstream(name))
        cluster.split(two=10, one=90)
        ingress = await cluster.ready()

        async with cluster.client() as ask:
            answers = Counter([await ask(f"{HOST}:8080") for _ in range(1000)])

        assert answers.keys() == {(200, "one"), (200, "two")}
        assert 50 < answers[200, "two"] < 160  # six standard deviations
        assert cluster.upstreams[0].headers["Knative-Serving-Revision"] == "one"
        assert cluster.headers["server"] == "istio-envoy" and "x-envoy-upstream-service-time" in cluster.headers
        assert not [h for h in cluster.headers if h.lower().startswith("knative")]
        assert ingress["metadata"]["finalizers"] == ["ingresses.networking.internal.knative.dev"]
        await until(lambda: cluster.traffic("one").get("requests") == answers[200, "one"], "counted")
        await until(lambda: cluster.traffic("one")["rps"] == cluster.traffic("one")["concurrency"] == 0, "no traffic")
        assert cluster.traffic("one")["lastRequestTime"]

    play(tmp_path, scene)


def test_an_unknown_host_gets_an_empty_404_at_once(tmp_path: Path) -> None:
    async def scene(cluster: Cluster) -> None:
        cluster.revision("one")
        cluster.split(one=100)
        await cluster.ready()

        async with cluster.client() as ask:
            assert await ask("nobody.example.com") == (404, "")

        assert "content-type" not in cluster.headers and cluster.headers["server"] == "envoy"

    play(tmp_path, scene, gateway="kourier")


def test_no_request_is_lost_while_percents_and_revisions_change(tmp_path: Path) -> None:
    async def scene(cluster: Cluster) -> None:
        cluster.revision("r0")
        pod = await cluster.pod("r0", Upstream("r0"))
        cluster.split(r0=100)
        await cluster.ready()
        answers: Counter[tuple[int, str]] = Counter()
        done = False

        async def load() -> None:
            while not done:
                answers[await ask()] += 1

        async with cluster.client() as ask:
            loads = [asyncio.create_task(load()) for _ in range(4)]
            for number in range(1, 7):
                old, new = f"r{number - 1}", f"r{number}"
                cluster.revision(new)
                next_pod = await cluster.pod(new, Upstream(new))
                for percent in (10, 50, 100):
                    cluster.split(**({new: percent, old: 100 - percent} if percent < 100 else {new: percent}))
                    await cluster.ready()
                cluster.store.delete(POD, NS, pod)
                pod = next_pod
            done = True
            await asyncio.gather(*loads)

        assert {status for status, _ in answers} == {200}
        assert sum(answers.values()) > 100
        await until(lambda: f"{NS}/r0" not in (tmp_path / "clusters.json").read_text(), "the first cluster is dropped")

    play(tmp_path, scene)


def test_the_status_passes_through_waiting_to_ready(tmp_path: Path) -> None:
    async def scene(cluster: Cluster) -> None:
        seen = []

        async def watch() -> None:
            async for event in cluster.store.watch(INGRESS):
                ready = condition(event.object, "Ready")
                seen.append((event.object["metadata"]["generation"], ready.get("status"), ready.get("reason")))

        watching = asyncio.create_task(watch())
        cluster.revision("one")
        cluster.split(one=100)
        await cluster.ready()
        cluster.split(one=50, two=50)
        await cluster.ready()
        await until(lambda: (2, "True", None) in seen[-1:], "the last step is observed")
        watching.cancel()

        first = [(1, None, None), (1, "Unknown", "Uninitialized"), (1, "True", None)]
        second = [(2, "True", None), (2, "Unknown", "Uninitialized"), (2, "True", None)]
        assert [step for step, _ in groupby(seen)] == first + second

    play(tmp_path, scene)


def test_a_deleted_ingress_is_let_go_once_its_routes_are_gone(tmp_path: Path) -> None:
    async def scene(cluster: Cluster) -> None:
        cluster.revision("one")
        await cluster.pod("one", Upstream("one"))
        cluster.split(one=100)
        await cluster.ready()

        cluster.store.delete(INGRESS, NS, "iris")
        await until(lambda: cluster.store.find(INGRESS, NS, "iris") is None, "the ingress is gone")

        async with cluster.client() as ask:
            assert await ask() == (404, "")

    play(tmp_path, scene)


def test_requests_wait_for_the_first_pod_and_none_is_lost(tmp_path: Path) -> None:
    async def scene(cluster: Cluster) -> None:
        cluster.revision("one")
        cluster.split(one=100)
        await cluster.ready()

        async with cluster.client() as ask:
            asked = [asyncio.create_task(ask(body=f" {number}")) for number in range(200)]
            await until(lambda: cluster.traffic("one").get("waiting") == 200, "all requests wait")
            await cluster.pod("one", Upstream("one"))
            answers = await asyncio.gather(*asked)

        assert answers == [(200, f"one {number}") for number in range(200)]
        await until(lambda: cluster.traffic("one")["waiting"] == 0, "no request waits any more")

    play(tmp_path, scene, speed=1)


def test_a_request_waits_no_longer_than_its_revision_allows(tmp_path: Path) -> None:
    async def scene(cluster: Cluster) -> None:
        cluster.revision("one", timeoutSeconds=1)
        cluster.split(one=100)
        await cluster.ready()

        async with cluster.client() as ask:
            assert await ask() == (504, "activator request timeout\n")

    play(tmp_path, scene)


def test_a_large_request_that_waited_arrives_whole(tmp_path: Path) -> None:
    async def scene(cluster: Cluster) -> None:
        cluster.revision("one")
        cluster.split(one=100)
        await cluster.ready()
        body = "x" * 1_000_000

        async with cluster.client() as ask:
            asked = asyncio.create_task(ask(body=body))
            await until(lambda: cluster.traffic("one").get("waiting"), "the request waits")
            await cluster.pod("one", Upstream("one "))

            assert await asked == (200, f"one {body}")

    play(tmp_path, scene)


def test_a_closed_request_leaves_the_queue(tmp_path: Path) -> None:
    async def scene(cluster: Cluster) -> None:
        cluster.revision("one")
        cluster.split(one=100)
        await cluster.ready()

        async with cluster.client() as ask:
            asked = asyncio.create_task(ask())
            await until(lambda: cluster.traffic("one").get("waiting"), "the request waits")
            asked.cancel()

            await until(lambda: cluster.traffic("one").get("waiting") == 0, "no request waits")

    play(tmp_path, scene)


def test_container_concurrency_queues_and_then_refuses(tmp_path: Path) -> None:
    async def scene(cluster: Cluster) -> None:
        cluster.revision("one", containerConcurrency=1)
        await cluster.pod("one", Upstream("one", delay_s=0.1))
        cluster.split(one=100)
        await cluster.ready()

        async with cluster.client() as ask:
            await ask()  # opens Envoy's connection, because a request that waits for a connection counts as queued
            answers = Counter(await asyncio.gather(*(ask() for _ in range(40))))

        assert cluster.upstreams[0].busiest == 1
        assert answers.keys() == {(200, "one"), (503, "pending request queue full")}
        assert answers[200, "one"] >= 11

    play(tmp_path, scene)


def test_a_pod_that_died_unnoticed_costs_no_request(tmp_path: Path) -> None:
    async def scene(cluster: Cluster) -> None:
        cluster.revision("one")
        dead = await cluster.pod("one", Upstream("dead"))
        cluster.split(one=100)
        await cluster.ready()
        await cluster.upstreams[0].stop()

        async with cluster.client() as ask:
            asked = [asyncio.create_task(ask(body="?")) for _ in range(20)]
            await cluster.pod("one", Upstream("alive"))
            cluster.unready(dead)
            answers = set(await asyncio.gather(*asked))

        assert answers == {(200, "alive?")}

    play(tmp_path, scene)


def test_an_error_of_the_model_is_not_tried_again(tmp_path: Path) -> None:
    async def scene(cluster: Cluster) -> None:
        cluster.revision("one")
        await cluster.pod("one", Upstream("no", status=503))
        cluster.split(one=100)
        await cluster.ready()

        async with cluster.client() as ask:
            assert await ask() == (503, "no")
        await until(lambda: cluster.traffic("one").get("requests") == 1, "counted once")

    play(tmp_path, scene)


def test_requests_under_way_end_on_the_pod_that_leaves(tmp_path: Path) -> None:
    async def scene(cluster: Cluster) -> None:
        cluster.revision("one")
        leaving = await cluster.pod("one", Upstream("leaving", delay_s=1))
        cluster.split(one=100)
        await cluster.ready()

        async with cluster.client() as ask:
            under_way = asyncio.create_task(ask())
            await until(lambda: cluster.upstreams[0].busiest, "the pod works")
            await cluster.pod("one", Upstream("staying"))
            cluster.unready(leaving)
            await until(lambda: str(cluster.upstreams[0].file) not in (tmp_path / "clusters.json").read_text(), "left")
            assert await ask() == (200, "staying")
            assert await under_way == (200, "leaving")

    play(tmp_path, scene)


def test_envoy_restarts_with_its_last_configuration(tmp_path: Path) -> None:
    async def scene(cluster: Cluster) -> None:
        cluster.revision("one")
        await cluster.pod("one", Upstream("one"))
        cluster.split(one=100)
        await cluster.ready()
        cluster.kill_envoy()
        cluster.split(one=0, two=100)
        cluster.revision("two")
        await cluster.pod("two", Upstream("two"))

        cluster.start_envoy()
        await cluster.ready()

        async with cluster.client() as ask:
            assert await ask() == (200, "two")
        await until(lambda: cluster.traffic("two").get("requests") == 1, "counted by the new Envoy")

    play(tmp_path, scene)


def test_envoy_continues_without_the_gateway_and_a_new_gateway_takes_over(tmp_path: Path) -> None:
    async def scene(cluster: Cluster) -> None:
        cluster.revision("one")
        await cluster.pod("one", Upstream("one"))
        cluster.split(one=100)
        await cluster.ready()
        await cluster.stop_gateway()

        async with cluster.client() as ask:
            assert await ask() == (200, "one")
            before = (tmp_path / "routes.json").stat().st_mtime_ns
            cluster.start_gateway()
            await until(lambda: cluster.traffic("one").get("requests") == 1, "counted meanwhile")
            assert await ask() == (200, "one")
            assert (tmp_path / "routes.json").stat().st_mtime_ns == before
            cluster.split(one=0, two=100)
            await cluster.ready()
            await until(lambda: cluster.traffic("one").get("requests") == 2, "the access log goes to the new one")

    play(tmp_path, scene)


def test_a_request_finds_a_gateway_that_comes_back(tmp_path: Path) -> None:
    async def scene(cluster: Cluster) -> None:
        cluster.revision("one")
        cluster.split(one=100)
        await cluster.ready()
        await cluster.stop_gateway()

        async with cluster.client() as ask:
            asked = asyncio.create_task(ask())
            await cluster.pod("one", Upstream("one"))
            cluster.start_gateway()
            assert await asked == (200, "one")

    play(tmp_path, scene)


def test_an_object_that_makes_no_sense_does_not_end_the_gateway(tmp_path: Path, caplog: Any) -> None:
    async def scene(cluster: Cluster) -> None:
        cluster.revision("one")
        await cluster.pod("one", Upstream("one"))
        cluster.split(one=100)
        await cluster.ready()

        cluster.store.create(INGRESS, {"metadata": {"namespace": NS, "name": "odd"}, "spec": {"rules": [{}]}})
        await until(lambda: "cannot configure the gateway" in caplog.text, "the gateway has seen it")
        cluster.store.delete(INGRESS, NS, "odd")
        cluster.split(one=100, two=0)
        await cluster.ready()

        async with cluster.client() as ask:
            assert await ask() == (200, "one")

    play(tmp_path, scene)


def test_a_refused_envoy_configuration_is_reported_and_the_old_routes_stay(tmp_path: Path, monkeypatch: Any) -> None:
    async def scene(cluster: Cluster) -> None:
        cluster.revision("one")
        await cluster.pod("one", Upstream("one"))
        cluster.split(one=100)
        await cluster.ready()
        before = (tmp_path / "routes.json").read_text()
        monkeypatch.setattr(envoy_routes, "_unique", lambda hosts: [*hosts, *hosts])
        cluster.split(one=0, two=100)

        def told() -> Any:
            found = condition(cluster.store.get(INGRESS, NS, "iris"), "Ready")
            return found if found["status"] == "False" else None

        assert "Envoy has rejected version" in (await until(told, "the refusal is reported"))["message"]
        assert (tmp_path / "routes.json").read_text() == before
        async with cluster.client() as ask:
            assert await ask() == (200, "one")
        monkeypatch.undo()
        cluster.split(one=99, two=1)
        await cluster.ready()

    play(tmp_path, scene)
