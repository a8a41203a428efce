"""The end of a pod: it drains, its processes are stopped, then killed, and it is deleted from the store.

The times are those recorded of Knative's queue-proxy, whose drain is what a pod waits for: `2/2 Terminating`, not ready
after three failed probes at about 28 s, `Succeeded` at 30 s, and gone right after that.
"""

from __future__ import annotations

import asyncio
import calendar
import contextlib
import signal
import time

from kserve_nb.clusters.embedded.apimachinery.objects import utc
from kserve_nb.clusters.embedded.node.kubelet import queue_proxy
from kserve_nb.clusters.embedded.node.kubelet.images import role_of
from kserve_nb.clusters.embedded.node.kubelet.pod_record import PodRecord
from kserve_nb.clusters.embedded.node.kubelet.pod_status import Container
from kserve_nb.clusters.embedded.node.kubelet.runtime_client import TaskProcess

# Seconds of a real kubelet, divided by the cluster's speed.
PROBES_FAIL_S = (8.0, 18.0, 28.0)
DRAIN_S = 30.0
GONE_AFTER_S = 0.5
STOP_AT_LEAST_S = 2.0  # what a process gets between SIGTERM and SIGKILL at any speed


async def terminate(record: PodRecord, gone: asyncio.Event, changed: asyncio.Event) -> None:
    """End a pod that has a deletionTimestamp, without a grace period if it is `gone` from the store.

    `changed` is set whenever the pod has changed: its grace period may have become shorter.
    """
    clock = _TerminationClock(record, gone, changed)
    if not gone.is_set():
        record.write()
        await _drain(record, clock)
    await _stop_processes(record, clock)
    if not gone.is_set():
        for container in record.state.main:
            if container.running:
                if role_of(container.spec["image"]) == "queue-proxy":
                    queue_proxy.log_end(record, container)
                container.state["terminated"] = {**_completed(container), "startedAt": container.state.pop(
                    "running")["startedAt"]}
            container.ready = False
        record.state.ended, record.address = True, None
        record.write_sandbox()
        record.write()
        await clock.until(clock.elapsed_s() + GONE_AFTER_S)
    record.remove()
    record.node.events.forget(record.pod)


def _completed(container: Container) -> dict[str, object]:
    return {"exitCode": 0, "reason": "Completed", "finishedAt": utc(time.time()),
            "containerID": f"containerd://{container.id}"}


class _TerminationClock:
    """Seconds since the pod began to terminate, on a clock that runs at the cluster's speed."""

    def __init__(self, record: PodRecord, gone: asyncio.Event, changed: asyncio.Event):
        self._record, self.gone, self._changed = record, gone, changed
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time() - self._behind_s()

    def _behind_s(self) -> float:
        """How long ago the pod was deleted, if the node has been down since."""
        meta = self._record.pod["metadata"]
        if "deletionTimestamp" not in meta:
            return 0
        due = calendar.timegm(time.strptime(meta["deletionTimestamp"], "%Y-%m-%dT%H:%M:%SZ"))
        behind_s = time.time() - (due - meta.get("deletionGracePeriodSeconds", 0))
        return behind_s if behind_s > 2 else 0  # the API's times are whole seconds

    @property
    def grace_s(self) -> float:
        return float(self._record.pod["metadata"].get("deletionGracePeriodSeconds", 0))

    def elapsed_s(self) -> float:
        return (self._loop.time() - self._began) * self._record.node.settings.speed

    async def until(self, at_s: float) -> bool:
        """Wait until that time. Returns False, and earlier, if the grace period ends first or the pod is gone."""
        while not self.gone.is_set():
            left_s = self._record.node.settings.window_s(min(at_s, max(self.grace_s, GONE_AFTER_S)) - self.elapsed_s())
            if left_s <= 0:
                return at_s <= self.grace_s
            await self.wait_for(self._changed, left_s)
            self._changed.clear()
        return False

    async def wait_for(self, event: asyncio.Event, timeout_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await event.wait()


async def _drain(record: PodRecord, clock: _TerminationClock) -> None:
    """Keep serving requests that are under way, while the readiness probes begin to fail."""
    for container in record.state.main:
        if container.running:
            record.event("Normal", "Killing", f"Stopping container {container.name}", container.name)
    proxy = next((c for c in record.state.main if c.running and role_of(c.spec["image"]) == "queue-proxy"), None)
    if proxy is None or not proxy.ready:
        return
    queue_proxy.log_drain(record, proxy)
    for at_s in PROBES_FAIL_S:
        if clock.elapsed_s() > at_s + 5 and at_s != PROBES_FAIL_S[-1]:
            continue  # the node was down at that time
        if not await clock.until(at_s):
            return
        record.event("Warning", "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503",
                     proxy.name)
    proxy.ready = False
    record.write()
    await clock.until(DRAIN_S)


async def _stop_processes(record: PodRecord, clock: _TerminationClock) -> None:
    """Send SIGTERM to the processes, and SIGKILL at the end of the grace period."""
    runtime, settings = record.node.runtime, record.node.settings
    processes: list[tuple[Container, TaskProcess]] = []
    for container in record.state.containers:
        running = runtime.find(record.task_id(container)) if container.id else None
        if running is not None:
            processes.append((container, running))
    patience_s = max(settings.window_s(clock.grace_s - clock.elapsed_s()), STOP_AT_LEAST_S)
    for number, wait_s in ((signal.SIGTERM, patience_s), (signal.SIGKILL, STOP_AT_LEAST_S)):
        if clock.gone.is_set():
            number = signal.SIGKILL
        for _, running in processes:
            if not running.ended.is_set():
                runtime.send_signal(running.process.id, number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                for _, running in processes:
                    await running.ended.wait()
    for container, running in processes:
        if container.running:
            record.has_ended(container, None if running.lost else running.process)
        runtime.forget(running.process.id)
