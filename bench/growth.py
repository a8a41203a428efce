"""Cost of larger clusters: 10, 50 and 200 InferenceServices with five pods each, and 50 watchers.

The node is cordoned, so no pod gets a process, and the benchmark writes the status that a kubelet would write. All
controllers and the gateway run as usual. The speed is 1, so that no progress deadline passes meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import psutil

from bench.cluster import cluster, kubectl
from bench.table import show
from kserve_nb.clusters import state
from kserve_nb.clusters.state import Record
from kserve_nb.values import manifest
from kserve_nb.values.manifest import MODEL

SIZES = (10, 50, 200)
PODS, WATCHERS, TIMES = 5, 50, 15  # pods per InferenceService; one of them is created by its controller
DEADLINE_S = 120
LABEL = "serving.kserve.io/inferenceservice"
READY = {"phase": "Running", "conditions": [
    {"type": kind, "status": "True"} for kind in ("Initialized", "Ready", "ContainersReady", "PodScheduled")],
    "containerStatuses": [{"name": name, "ready": True, "restartCount": 0, "image": "", "imageID": "",
                           "state": {"running": {}}} for name in ("kserve-container", "queue-proxy")]}
NOBODYS = {"schedulerName": "nobody", "containers": [{"name": "kserve-container", "image": "kserve/sklearnserver"}]}
Json = dict[str, Any]


class Api:
    """A client of the API server that does not check responses against schemas."""

    def __init__(self, session: aiohttp.ClientSession, namespace: str):
        self._session = session
        self.pods = f"/api/v1/namespaces/{namespace}/pods"
        self.services = f"/apis/serving.kserve.io/v1beta1/namespaces/{namespace}/inferenceservices"

    async def read(self, path: str, accept: str = "application/json") -> bytes:
        async with self._session.get(path, headers={"Accept": accept}) as answer:
            answer.raise_for_status()
            return await answer.read()

    async def create(self, path: str, body: Json) -> None:
        async with self._session.post(path, json=body) as answer:
            answer.raise_for_status()

    async def patch(self, path: str, body: Json) -> None:
        async with self._session.patch(path, json=body, headers={"Content-Type": "application/merge-patch+json"}
                                       ) as answer:
            answer.raise_for_status()

    async def watch(self, path: str) -> AsyncIterator[Json]:
        """Yield the existing objects first, then the changes."""
        async with self._session.get(f"{path}{'&' if '?' in path else '?'}watch=true") as answer:
            answer.raise_for_status()
            async for line in answer.content:
                yield json.loads(line)["object"]


@asynccontextmanager
async def connected(record: Record) -> AsyncIterator[Api]:
    """Return a client of the cluster's API server."""
    context = ssl.create_default_context(cafile=str(state.folder(record.name) / "tls.crt"))
    async with aiohttp.ClientSession(
            f"https://127.0.0.1:{record.api_port}", headers={"Authorization": f"Bearer {record.token}"},
            connector=aiohttp.TCPConnector(ssl=context, limit=0), read_bufsize=2**22) as session:
        yield Api(session, record.namespace)


async def kubelet(api: Api) -> None:
    """Set every pod of an InferenceService to ready."""
    said = set()
    async for pod in api.watch(f"{api.pods}?labelSelector=serving.knative.dev/revision"):
        if pod["metadata"]["uid"] not in said and not pod["metadata"].get("deletionTimestamp"):
            said.add(pod["metadata"]["uid"])
            await api.patch(f"{api.pods}/{pod['metadata']['name']}/status", {"status": READY})


async def until_ready(api: Api, name: str) -> None:
    """Create an InferenceService and return when it is ready."""
    await api.create(api.services, manifest.inference_service(name, MODEL))
    async for found in api.watch(f"{api.services}?fieldSelector=metadata.name={name}"):
        conditions = (found.get("status") or {}).get("conditions") or []
        if any((row["type"], row["status"]) == ("Ready", "True") for row in conditions):
            return


async def grow(api: Api, begin: int, end: int) -> None:
    """Create InferenceServices and pods until that many exist."""
    for number in range(begin, end):
        name = f"model-{number:03}"
        await until_ready(api, name)
        for copy in range(PODS - 1):
            meta = {"name": f"{name}-{copy}", "labels": {LABEL: name}}
            await api.create(api.pods, {"metadata": meta, "spec": NOBODYS})


async def timed(action: Callable[[], Awaitable[object]]) -> float:
    """Return the median of several durations, in milliseconds."""
    taken = []
    for _ in range(TIMES):
        began = time.perf_counter()
        await action()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


async def delivered(api: Api) -> float:
    """Return the milliseconds from a change until the last watcher has received it."""
    arrived: asyncio.Queue[str] = asyncio.Queue()

    async def follow() -> None:
        async for pod in api.watch(api.pods):
            if mark := (pod["metadata"].get("annotations") or {}).get("bench/mark"):
                arrived.put_nowait(mark)

    async def change(mark: str) -> None:
        await api.patch(f"{api.pods}/model-000-0", {"metadata": {"annotations": {"bench/mark": mark}}})
        for _ in range(WATCHERS):
            while await arrived.get() != mark:
                pass

    async with asyncio.timeout(DEADLINE_S):
        marks = iter(range(10**6))
        watchers = [asyncio.ensure_future(follow()) for _ in range(WATCHERS)]
        await change(f"first-{time.monotonic()}")  # all watch
        taken = await timed(lambda: change(f"{next(marks)}-{time.monotonic()}"))
        for watcher in watchers:
            watcher.cancel()
    return taken


async def measure(api: Api, size: int) -> dict[str, float]:
    """Measure one column of the table."""
    table = "application/json;as=Table;v=v1;g=meta.k8s.io"
    new, percents = iter(range(10**6)), iter(list(range(1, 100)) * 9)
    return {
        "list all InferenceServices": await timed(lambda: api.read(api.services)),
        "the same as kubectl's table": await timed(lambda: api.read(api.services, table)),
        "list all pods": await timed(lambda: api.read(api.pods)),
        "list the pods of one InferenceService": await timed(
            lambda: api.read(f"{api.pods}?labelSelector={LABEL}=model-000")),
        "change a percent (the answer)": await timed(lambda: api.patch(
            f"{api.services}/model-000", {"spec": {"predictor": {"canaryTrafficPercent": next(percents)}}})),
        f"a pod's change reaches {WATCHERS} watchers": await delivered(api),
        "create an InferenceService → ready": await timed(lambda: until_ready(api, f"extra-{size}-{next(new)}")),
    }


async def _measure_all(record: Record) -> dict[int, dict[str, float]]:
    found = {}
    server = next(p for p in psutil.Process(record.pid).children() if any("embedded.server" in w for w in p.cmdline()))
    async with connected(record) as api:
        node = asyncio.ensure_future(kubelet(api))
        for before, size in zip((0, *SIZES), SIZES, strict=False):
            await grow(api, before, size)
            found[size] = await measure(api, size)
            found[size]["memory of the server, MiB"] = server.memory_full_info().pss / 2**20
        node.cancel()
    return found


def run() -> None:
    with cluster("growth", "--speed", "1") as record:
        kubectl(record, "create", "namespace", record.namespace)
        kubectl(record, "cordon", "-l", "kubernetes.io/os=linux")
        found = asyncio.run(_measure_all(record))
    least, most = found[SIZES[0]], found[SIZES[-1]]
    rows = [(what, *(f"{found[size][what]:.1f}" for size in SIZES), f"{most[what] / least[what]:.1f}")
            for what in least]
    head = ("milliseconds (median)", *(f"{size} / {size * PODS} pods" for size in SIZES), "growth")
    show(f"InferenceServices and pods' objects, up to 20 times as many ({TIMES} times each)", head, rows)
