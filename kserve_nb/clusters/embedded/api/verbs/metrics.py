"""The API group metrics.k8s.io for `kubectl top`: CPU and memory of the processes that pods run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import psutil
from aiohttp import web

from kserve_nb.clusters.embedded.api.store import selectors
from kserve_nb.clusters.embedded.api.store.store import Store
from kserve_nb.clusters.embedded.api.wire.responses import json_response, method_not_allowed
from kserve_nb.clusters.embedded.apimachinery.kinds import NODE, POD, SANDBOX
from kserve_nb.clusters.embedded.apimachinery.objects import NotFoundError, Object, Settings, utc

_API_VERSION = "metrics.k8s.io/v1beta1"
_ROOT = ["apis", *_API_VERSION.split("/")]
_SHORTEST_WINDOW_S, _LONGEST_WINDOW_S = 0.5, 60.0

_Pids = Mapping[str, list[int]]  # the processes of each container


class _Sample(NamedTuple):
    """The CPU time of a process at a moment."""

    moment: float
    cpu_s: float


class Usage:
    """CPU and memory of processes. CPU is measured between two requests, or over a short window after the first."""

    def __init__(self) -> None:
        self._samples: dict[int, _Sample] = {}

    async def respond(self, request: web.Request, store: Store, settings: Settings) -> web.Response | None:
        """The response to a request of metrics.k8s.io, or None if the path belongs to another group."""
        parts = request.path.strip("/").split("/")
        if parts[:3] != _ROOT:
            return None
        match parts[3:]:
            case ["pods"]:
                namespace, name = None, None
            case ["namespaces", namespace, "pods"]:
                name = None
            case ["namespaces", namespace, "pods", name]:
                store.entry(POD, namespace, name)
            case ["nodes"] | ["nodes", _]:
                return await self._nodes(request, store, parts[4:])
            case _:
                return None
        if request.method != "GET":
            raise method_not_allowed()
        return await self._pods(request, store, namespace, name)

    async def _pods(self, request: web.Request, store: Store, namespace: str | None, name: str | None) -> web.Response:
        selector = selectors.parse(POD, request.query.get("labelSelector", ""), request.query.get("fieldSelector", ""))
        pods = [e for e in store.entries(POD, namespace) if name in (None, e.name) and selector.matches(e)]
        running = [(pod.copy()["metadata"], _pids(store.find(SANDBOX, pod.namespace, pod.name))) for pod in pods]
        cpus = await self._measure({pid for _, containers in running for pids in containers.values() for pid in pids})
        items = [_pod(meta, containers, cpus) for meta, containers in running if any(containers.values())]
        if name is not None:
            if not items:
                raise NotFoundError(POD, name)
            return json_response(request, {"kind": "PodMetrics", "apiVersion": _API_VERSION, **items[0]})
        return json_response(request, {"kind": "PodMetricsList", "apiVersion": _API_VERSION, "metadata": {},
                                       "items": items})

    async def _nodes(self, request: web.Request, store: Store, names: list[str]) -> web.Response:
        nodes = [e for e in store.entries(NODE) if not names or e.name in names]
        if names and not nodes:
            raise NotFoundError(NODE, names[0])
        first, moment = psutil.cpu_times(), time.monotonic()
        await asyncio.sleep(_SHORTEST_WINDOW_S)
        second = psutil.cpu_times()
        busy_s = sum(second) - sum(first) - (second.idle - first.idle)
        usage = _usage(busy_s / (time.monotonic() - moment), psutil.virtual_memory().used)
        items = [_item(node.copy()["metadata"]) | {"usage": usage} for node in nodes]
        if names:
            return json_response(request, {"kind": "NodeMetrics", "apiVersion": _API_VERSION, **items[0]})
        return json_response(request, {"kind": "NodeMetricsList", "apiVersion": _API_VERSION, "metadata": {},
                                       "items": items})

    async def _measure(self, pids: set[int]) -> dict[int, float]:
        """The mean number of CPUs that each process used since its earlier sample."""
        now = time.monotonic()
        earlier = {pid: self._samples[pid] for pid in pids
                   if pid in self._samples and now - self._samples[pid].moment < _LONGEST_WINDOW_S}
        earlier |= _samples(pids - earlier.keys())
        if any(now - sample.moment < _SHORTEST_WINDOW_S for sample in earlier.values()):
            await asyncio.sleep(_SHORTEST_WINDOW_S)
        later = _samples(pids)
        oldest = time.monotonic() - _LONGEST_WINDOW_S
        self._samples = {pid: s for pid, s in (self._samples | later).items() if s.moment > oldest}
        return {pid: max(sample.cpu_s - earlier[pid].cpu_s, 0.0) / max(sample.moment - earlier[pid].moment, 0.001)
                for pid, sample in later.items() if pid in earlier}


def _samples(pids: Iterable[int]) -> dict[int, _Sample]:
    samples = {}
    for pid in pids:
        try:
            times = psutil.Process(pid).cpu_times()
        except psutil.Error:
            continue  # it has ended
        samples[pid] = _Sample(time.monotonic(), float(times.user + times.system))
    return samples


def _pids(sandbox: Object | None) -> _Pids:
    containers = ((sandbox or {}).get("status") or {}).get("containers") or {}
    return {name: container.get("pids") or [] for name, container in containers.items()}


def _pod(meta: Object, containers: _Pids, cpus: Mapping[int, float]) -> Object:
    usages = [{"name": name, "usage": _usage(sum(cpus.get(pid, 0.0) for pid in pids), sum(map(_memory, pids)))}
              for name, pids in containers.items() if pids]
    return _item(meta) | {"containers": usages}


def _memory(pid: int) -> int:
    """The memory that only this process uses: pages that it shares with the process that forked it do not count."""
    try:
        return int(psutil.Process(pid).memory_full_info().uss)
    except psutil.Error:
        return 0


def _usage(cpus: float, memory: int) -> Object:
    return {"cpu": f"{int(cpus * 1e9)}n", "memory": f"{memory // 1024}Ki"}


def _item(meta: Object) -> Object:
    kept = {key: meta[key] for key in ("name", "namespace", "labels", "creationTimestamp") if key in meta}
    return {"metadata": kept, "timestamp": utc(time.time()), "window": "15s"}
