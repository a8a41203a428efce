"""The time windows of a pod's end, on a virtual clock: it drains before its processes are stopped."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from kserve_nb.clusters.embedded.api.store.store import Store
from kserve_nb.clusters.embedded.apimachinery.kinds import EVENT, NAMESPACE, POD
from kserve_nb.clusters.embedded.apimachinery.objects import Settings
from kserve_nb.clusters.embedded.node.kubelet import pod_status
from kserve_nb.clusters.embedded.node.kubelet.kubelet_events import KubeletEvents
from kserve_nb.clusters.embedded.node.kubelet.pod_record import NodeContext, PodRecord
from kserve_nb.clusters.embedded.node.kubelet.runtime_client import TaskProcess
from kserve_nb.clusters.embedded.node.kubelet.termination import terminate
from kserve_nb.clusters.embedded.node.protocol import Process
from tests.unit.node_lab import NAMESPACE_NAME, pod
from tests.unit.virtual_loop import run_virtually


class Runtime:
    """A runtime with one process for each container; a process ends on certain signals."""

    def __init__(self, ends_on: tuple[int, ...] = (signal.SIGTERM, signal.SIGKILL)):
        self._ends_on = ends_on
        self.processes: dict[str, TaskProcess] = {}
        self.signals: list[tuple[float, int]] = []

    def find(self, id_: str) -> TaskProcess | None:
        if "/kserve-container/" not in id_:
            return None
        return self.processes.setdefault(id_, TaskProcess(Process(id_, 1, 0.0)))

    def send_signal(self, id_: str, number: int) -> None:
        self.signals.append((asyncio.get_running_loop().time(), number))
        if number in self._ends_on:
            self.processes[id_].update(Process(id_, 1, 0.0, finished=1.0, exit_code=0))

    def forget(self, id_: str) -> None:
        pass


class Scene:
    """A pod that is ready, in a store, with a runtime; `end` deletes it and follows its end."""

    def __init__(self, folder: Path, runtime: Runtime, speed: float):
        self.store, self.runtime = Store(None), runtime
        self.gone, self.changed = asyncio.Event(), asyncio.Event()
        self.store.create(NAMESPACE, {"metadata": {"name": NAMESPACE_NAME}})
        created = self.store.create(POD, pod("one"))
        node: Any = NodeContext(self.store, Settings(speed=speed), runtime, KubeletEvents(self.store, "embedded"),
                                folder, "10.0.0.1", lambda: "10.244.0.2")  # type: ignore[arg-type]
        self.record = PodRecord(node, created)
        for container in self.record.state.containers:
            container.id = pod_status.container_id(self.record.uid, container.name, 0)
            container.ready, container.state = True, {"running": {"startedAt": "2026-11-27T00:00:00Z"}}
        self.record.state.pod_ip = "10.244.0.2"
        self.record.write()

    async def end(self, grace_s: int | None = None) -> None:
        self.record.pod = self.store.delete(POD, NAMESPACE_NAME, "one", grace_period_s=grace_s) or self.record.pod
        await terminate(self.record, self.gone, self.changed)

    @property
    def reasons(self) -> list[str]:
        return [event["reason"] for event in self.store.list(EVENT)]


@pytest.mark.parametrize("speed", [1, 10])
def test_a_pod_serves_for_thirty_seconds_before_its_process_gets_a_signal(tmp_path: Path, speed: int) -> None:
    runtime = Runtime()
    scenes: list[Scene] = []

    async def play() -> None:
        scenes.append(Scene(tmp_path, runtime, speed))
        await scenes[0].end()

    took_s = run_virtually(play())

    (at_s, number), = runtime.signals
    assert number == signal.SIGTERM and at_s * speed == pytest.approx(30, abs=0.2)
    assert took_s * speed == pytest.approx(30.5, abs=0.2)
    assert scenes[0].store.find(POD, NAMESPACE_NAME, "one") is None
    assert scenes[0].reasons.count("Unhealthy") == 1 and "Killing" in scenes[0].reasons


def test_a_pod_is_not_ready_after_its_third_failed_probe(tmp_path: Path) -> None:
    seen: list[tuple[float, bool]] = []

    async def play() -> None:
        scene = Scene(tmp_path, Runtime(), 1)
        proxy = next(c for c in scene.record.state.main if c.name == "queue-proxy")
        ending = asyncio.create_task(scene.end())
        for _ in range(29):
            await asyncio.sleep(1)
            seen.append((asyncio.get_running_loop().time(), proxy.ready))
        await ending

    run_virtually(play())

    assert [at_s for at_s, ready in seen if ready][-1] == pytest.approx(27)


def test_a_grace_period_that_ends_first_ends_the_drain(tmp_path: Path) -> None:
    runtime = Runtime()

    async def play() -> None:
        await Scene(tmp_path, runtime, 1).end(grace_s=5)

    run_virtually(play())

    assert runtime.signals == [(pytest.approx(5, abs=0.2), signal.SIGTERM)]


def test_a_process_that_ignores_sigterm_is_killed_at_the_end_of_the_grace_period(tmp_path: Path) -> None:
    runtime = Runtime(ends_on=(signal.SIGKILL,))

    async def play() -> None:
        await Scene(tmp_path, runtime, 1).end(grace_s=60)

    run_virtually(play())

    assert runtime.signals == [(pytest.approx(30, abs=0.2), signal.SIGTERM),
                               (pytest.approx(60, abs=0.2), signal.SIGKILL)]


def test_a_pod_that_is_gone_from_the_store_does_not_drain(tmp_path: Path) -> None:
    runtime = Runtime()

    async def play() -> None:
        scene = Scene(tmp_path, runtime, 1)
        scene.gone.set()
        await scene.end()

    took_s = run_virtually(play())

    assert (took_s, runtime.signals) == (0, [(0, signal.SIGKILL)])
