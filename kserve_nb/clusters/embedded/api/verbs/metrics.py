"""metrics.k8s.io for `kubectl top`: what the processes of pods really use."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import psutil
from aiohttp import web

from kserve_nb.clusters.embedded.api.store import selectors
from kserve_nb.clusters.embedded.api.store.store import Store
from kserve_nb.clusters.embedded.api.verbs.writing import not_allowed
from kserve_nb.clusters.embedded.api.wire.responses import answer
from kserve_nb.clusters.embedded.kinds import NODE, POD, SANDBOX
from kserve_nb.clusters.embedded.objects import NotFoundError, Object, Settings, utc

_ROOT = ["apis", "metrics.k8s.io", "v1beta1"]
_SHORTEST_WINDOW_S, _LONGEST_WINDOW_S = 0.5, 60.0


class _Sample(NamedTuple):
    """CPU seconds that a process had used at a moment."""

    moment: float
    cpu_s: float


class Usage:
    """CPU and memory of processes; CPU is measured between two questions, or within one that comes alone."""

    def __init__(self) -> None:
        self._samples: dict[int, _Sample] = {}

    async def answered(self, request: web.Request, store: Store, settings: Settings) -> web.Response | None:
        """The answer of metrics.k8s.io, None where the path is not its own."""
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
            raise not_allowed()
        return await self._pods(request, store, namespace, name)

    async def _pods(self, request: web.Request, store: Store, namespace: str | None, name: str | None) -> web.Response:
        selector = selectors.parse(POD, request.query.get("labelSelector", ""), request.query.get("fieldSelector", ""))
        pods = [e for e in store.entries(POD, namespace) if name in (None, e.name) and selector.matches(e)]
        boxes = [(pod.copy()["metadata"], store.find(SANDBOX, pod.namespace, pod.name)) for pod in pods]
        await self._measure(pid for _, box in boxes for pids in _pids(box).values() for pid in pids)
        items = [self._pod(meta, _pids(box)) for meta, box in boxes if any(_pids(box).values())]
        if name is not None:
            if not items:
                raise NotFoundError(POD, name)
            return answer(request, {"kind": "PodMetrics", "apiVersion": "metrics.k8s.io/v1beta1", **items[0]})
        return answer(request, {"kind": "PodMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {},
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
            return answer(request, {"kind": "NodeMetrics", "apiVersion": "metrics.k8s.io/v1beta1", **items[0]})
        return answer(request, {"kind": "NodeMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {},
                                "items": items})

    async def _measure(self, pids: Iterable[int]) -> None:
        """See that all processes have an earlier sample that is neither too young nor too old."""
        now, wanted = time.monotonic(), set(pids)
        self._samples = {pid: s for pid, s in self._samples.items()
                         if pid in wanted and now - s.moment < _LONGEST_WINDOW_S}
        for pid in wanted - self._samples.keys():
            cpu_s = _cpu_s(pid)
            if cpu_s is not None:
                self._samples[pid] = _Sample(now, cpu_s)
        if any(now - sample.moment < _SHORTEST_WINDOW_S for sample in self._samples.values()):
            await asyncio.sleep(_SHORTEST_WINDOW_S)

    def _pod(self, meta: Object, pids: Mapping[str, list[int]]) -> Object:
        containers = [{"name": name, "usage": _usage(sum(map(self._cpus, own)), sum(map(_memory, own)))}
                      for name, own in pids.items() if own]
        return _item(meta) | {"containers": containers}

    def _cpus(self, pid: int) -> float:
        sample, cpu_s, now = self._samples.get(pid), _cpu_s(pid), time.monotonic()
        if sample is None or cpu_s is None:
            return 0.0
        self._samples[pid] = _Sample(now, cpu_s)
        return max(cpu_s - sample.cpu_s, 0.0) / max(now - sample.moment, 0.001)


def _pids(box: Object | None) -> dict[str, list[int]]:
    containers = ((box or {}).get("status") or {}).get("containers") or {}
    return {name: container.get("pids") or [] for name, container in containers.items()}


def _cpu_s(pid: int) -> float | None:
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return None
    return float(times.user + times.system)


def _memory(pid: int) -> int:
    """What the process alone uses: of what it shares with others by fork, nothing."""
    try:
        return int(psutil.Process(pid).memory_full_info().uss)
    except psutil.Error:
        return 0


def _usage(cpus: float, memory: int) -> Object:
    return {"cpu": f"{int(cpus * 1e9)}n", "memory": f"{memory // 1024}Ki"}


def _item(meta: Object) -> Object:
    kept = {key: meta[key] for key in ("name", "namespace", "labels", "creationTimestamp") if key in meta}
    return {"metadata": kept, "timestamp": utc(time.time()), "window": "15s"}
