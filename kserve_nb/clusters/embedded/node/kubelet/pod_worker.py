"""The worker of one pod: runs its init containers and containers, probes and restarts them, and ends the pod."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import time
from collections.abc import Iterator
from typing import NoReturn

from kserve_nb.clusters.embedded.apimachinery.objects import Object
from kserve_nb.clusters.embedded.node.kubelet import queue_proxy
from kserve_nb.clusters.embedded.node.kubelet.images import pull_error, role_of
from kserve_nb.clusters.embedded.node.kubelet.pod_record import NodeContext, PodRecord
from kserve_nb.clusters.embedded.node.kubelet.pod_status import Container, image_name
from kserve_nb.clusters.embedded.node.kubelet.probes import probe_of, run_probe
from kserve_nb.clusters.embedded.node.kubelet.runtime_client import TaskProcess
from kserve_nb.clusters.embedded.node.kubelet.termination import terminate
from kserve_nb.clusters.embedded.node.kubelet.volumes import VolumeError

# Seconds of a real kubelet; all but the probes are divided by the cluster's speed.
RESTART_S = 1  # the first restart follows as soon as the kubelet has noticed the end
BACK_OFF_FIRST_S, BACK_OFF_MOST_S = 10, 300
BACK_OFF_RESET_S = 600  # after a run of this length, the next back-off is the first again
BACK_OFF_SHOWN_S = 75  # a failed container shows Error until the kubelet's next sync, at most this long
PULL_ERROR_SHOWN_S = 12
PROBE_FIRST_S = 0.1
WITHOUT_PROCESS = ("queue-proxy", "gateway", "agent")  # Envoy, outside of all pods, does their work


class PodWorker:
    """Runs one pod. The kubelet reports changes of the pod to it; `run` returns when the pod is gone."""

    def __init__(self, node: NodeContext, pod: Object):
        self.record = PodRecord(node, pod)
        self._state, self._settings = self.record.state, node.settings
        self._crashes = {c.name: c.restarts for c in self._state.containers}
        self.deleting, self.gone, self.changed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def update(self, pod: Object) -> None:
        """Note that the pod has changed."""
        self.record.pod = pod
        if "deletionTimestamp" in pod["metadata"]:
            self.deleting.set()
        self.changed.set()

    def remove(self) -> None:
        """Note that the pod is no longer in the store: it ends without a grace period."""
        self.gone.set()
        self.deleting.set()
        self.changed.set()

    async def run(self) -> None:
        """Run the pod until it has been deleted and has ended."""
        if not self.deleting.is_set():
            await self._run_until_deleted()
        elif self._state.pod_ip:  # the pod was deleted while no kubelet ran: nothing is started any more
            self._adopt_processes()
        await terminate(self.record, self.gone, self.changed)
        shutil.rmtree(self.record.folder, ignore_errors=True)

    async def _run_until_deleted(self) -> None:
        running = asyncio.create_task(self._keep_running())
        deleting = asyncio.create_task(self.deleting.wait())
        try:
            await asyncio.wait({running, deleting}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
        finally:
            for task in (running, deleting):
                task.cancel()
            await asyncio.gather(running, deleting, return_exceptions=True)

    async def _keep_running(self) -> None:
        """Start the pod, or continue from the state that its status describes, and keep it running."""
        state = self._state
        if not state.pod_ip:
            if not state.init:
                for container in state.main:
                    container.state = {"waiting": {"reason": "ContainerCreating"}}
            self.record.write()
            state.pod_ip = self.record.node.free_pod_ip()
            self.record.write_sandbox()
        else:
            self._adopt_processes()
        for container in state.init:
            await self._initialize(container)
        async with asyncio.TaskGroup() as group:
            started = [(c, await self._start(c)) for c in state.main if self._role(c) == "server"]
            self._start_without_process()
            for container, running in started:
                group.create_task(self._serve(container, running))
            for container in state.main:
                if self._role(container) is None:
                    group.create_task(self._fail_to_pull(container))
            self._write()
            await asyncio.Event().wait()

    def _adopt_processes(self) -> None:
        """Reconcile the status, which a former kubelet process wrote, with the processes that really run."""
        for container in self._state.containers:
            if not container.running or self._role(container) in WITHOUT_PROCESS:
                continue
            running = self.record.node.runtime.find(self.record.task_id(container))
            if running is None:
                self._set_not_ready(container)
                self.record.has_ended(container, None)
            elif container in self._state.main:
                self.record.address = running.process.address
        self._write()

    def _set_not_ready(self, server: Container) -> None:
        self.record.address = None
        probed = self._probed(server)
        if probed is not None:
            probed.ready = False

    def _role(self, container: Container) -> str | None:
        return role_of(container.spec["image"])

    @property
    def _first_process(self) -> Container | None:
        """The first container of the pod that has its own process."""
        return next((c for c in self._state.containers if self._role(c) in ("server", "storage-initializer")), None)

    def _write(self) -> None:
        self.record.write_sandbox()
        self.record.write()

    async def _initialize(self, container: Container) -> None:
        """Run an init container until it has succeeded once."""
        if container.exit_code == 0:
            return
        if self._role(container) != "storage-initializer":
            await self._fail_to_pull(container)
        while True:
            running = await self._start(container)
            self._write()
            await running.ended.wait()
            self._note_end(container, running)
            if container.exit_code == 0:
                container.ready = True
                self._write()
                return
            self._write()
            await self._back_off(container, running)

    async def _start(self, container: Container) -> TaskProcess:
        """Start a container, or return its process if it has one already."""
        record = self.record
        running = record.node.runtime.find(record.task_id(container)) if container.running else None
        if running is not None:
            return running
        try:
            files = record.prepare(container)
        except VolumeError as error:
            await self._fail_to_create(container, str(error))
        record.begin(container)
        running = await record.node.runtime.start(record.task(container, files))
        record.has_started(container)
        if container is self._first_process and not container.restarts:
            record.event("Normal", "Sandbox", f"Sandbox of this pod's processes: {record.node.runtime.sandbox}")
        container.ready = container in self._state.main and container is not self._probed(container)
        return running

    def _start_without_process(self) -> None:
        for container in self._state.main:
            role = self._role(container)
            if role == "gateway":
                self.record.address = f"{self._settings.ingress_host}:{self._settings.ingress_port}"
            if role not in WITHOUT_PROCESS or container.running:
                continue
            self.record.begin(container)
            self.record.has_started(container)
            container.ready = role in ("gateway", "agent")
            if role == "queue-proxy":
                queue_proxy.log_start(self.record, container)

    def _probed(self, server: Container) -> Container | None:
        """The container whose readiness the probe decides: the queue-proxy if there is one."""
        proxies = (c for c in self._state.main if self._role(c) == "queue-proxy")
        return next(proxies, server if "readinessProbe" in server.spec else None)

    async def _serve(self, container: Container, running: TaskProcess) -> None:
        """Keep a server running: probe it, and restart it whenever it has ended."""
        while True:
            probing = asyncio.create_task(self._probe(container, running))
            try:
                await running.ended.wait()
            finally:
                probing.cancel()
            self._set_not_ready(container)
            self._note_end(container, running)
            self._write()
            await self._back_off(container, running)
            running = await self._start(container)
            self._write()

    async def _probe(self, server: Container, running: TaskProcess) -> None:
        await running.listening.wait()
        self.record.address = running.process.address
        assert self.record.address is not None
        self.record.write_sandbox()
        container, probe = self._probed(server), probe_of(self.record.pod)
        if container is None:
            return
        failures, soon_s = 0, PROBE_FIRST_S
        while True:
            why = await run_probe(probe, self.record.address, f"{self._state.pod_ip}:8012")
            failures = failures + 1 if why else 0
            if why:
                self.record.event("Warning", "Unhealthy", f"Readiness probe failed: {why}", container.name)
            if container.ready != (not why) and (not why or failures >= probe.failures):
                container.ready = not why
                self.record.write()
            soon_s = min(soon_s * 2, probe.period_s)
            await asyncio.sleep(probe.period_s if container.ready else soon_s)

    def _note_end(self, container: Container, running: TaskProcess) -> None:
        self.record.has_ended(container, None if running.lost else running.process)
        self.record.node.runtime.forget(running.process.id)

    async def _back_off(self, container: Container, running: TaskProcess) -> None:
        """Wait as long as a kubelet does before it restarts a container that has ended."""
        if running.lost:
            return
        window_s = self._settings.window_s
        ended = running.process.finished or time.time()
        if ended - running.process.started > window_s(BACK_OFF_RESET_S):
            self._crashes[container.name] = 0
        crashes = self._crashes[container.name]
        self._crashes[container.name] += 1
        if crashes == 0:
            await asyncio.sleep(window_s(RESTART_S))
            return
        delay_s = min(BACK_OFF_FIRST_S * 2 ** (crashes - 1), BACK_OFF_MOST_S)
        error_s = min(delay_s * 0.9, BACK_OFF_SHOWN_S)
        self._record_back_off(container)
        await asyncio.sleep(window_s(error_s))
        container.last_state, container.state = container.state, {"waiting": {
            "reason": "CrashLoopBackOff",
            "message": f"back-off {_go_duration(delay_s)} restarting failed container={container.name} "
                       f"pod={self.record.name}_{self.record.namespace}({self.record.uid})"}}
        self._write()
        self._record_back_off(container)
        await asyncio.sleep(window_s(delay_s - error_s))

    def _record_back_off(self, container: Container) -> None:
        record = self.record
        self.record.event("Warning", "BackOff", f"Back-off restarting failed container {container.name} in pod "
                          f"{record.name}_{record.namespace}({record.uid})", container.name)

    async def _fail_to_create(self, container: Container, why: str) -> NoReturn:
        """Report a container that can never be created, and wait until the pod is deleted."""
        self.record.event("Warning", "Failed", f"Error: {why}", container.name)
        container.state = {"waiting": {"reason": "CreateContainerConfigError", "message": why}}
        self.record.write()
        while True:
            await asyncio.Event().wait()

    async def _fail_to_pull(self, container: Container) -> None:
        """Retry to pull an image that the node does not have. Never returns."""
        image, event = container.spec["image"], self.record.event
        why = pull_error(image, image_name(image))
        for delay_s in _pull_delays():
            event("Normal", "Pulling", f'Pulling image "{image}"', container.name)
            event("Warning", "Failed", f'Failed to pull image "{image}": {why}', container.name)
            event("Warning", "Failed", "Error: ErrImagePull", container.name)
            await self._wait_for_image(container, "ErrImagePull", why, PULL_ERROR_SHOWN_S)
            event("Normal", "BackOff", f'Back-off pulling image "{image}"', container.name)
            event("Warning", "Failed", "Error: ImagePullBackOff", container.name)
            message = f'Back-off pulling image "{image}": ErrImagePull: {why}'
            await self._wait_for_image(container, "ImagePullBackOff", message, delay_s)

    async def _wait_for_image(self, container: Container, reason: str, message: str, real_s: float) -> None:
        container.state = {"waiting": {"reason": reason, "message": message}}
        self.record.write()
        await asyncio.sleep(self._settings.window_s(real_s))


def _pull_delays() -> Iterator[float]:
    for attempt in itertools.count():
        yield min(BACK_OFF_FIRST_S * 2.0 ** min(attempt, 10), BACK_OFF_MOST_S)


def _go_duration(seconds: int) -> str:
    """Format a duration as Go does: `10s`, `1m20s`, `5m0s`."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
