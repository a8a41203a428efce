"""One pod as the node holds it, and all that it writes about it: status, sandbox, events."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kserve_nb.clusters.embedded.kinds import POD, SANDBOX
from kserve_nb.clusters.embedded.node.container_logs import last_lines
from kserve_nb.clusters.embedded.node.kubelet import pod_status
from kserve_nb.clusters.embedded.node.kubelet.images import role_of
from kserve_nb.clusters.embedded.node.kubelet.pod_events import Recorder
from kserve_nb.clusters.embedded.node.kubelet.pod_status import Container
from kserve_nb.clusters.embedded.node.kubelet.runtime_client import Runtime
from kserve_nb.clusters.embedded.node.kubelet.volumes import root_of
from kserve_nb.clusters.embedded.node.protocol import Process, Task
from kserve_nb.clusters.embedded.objects import NotFoundError, Object, Objects, Settings, owner_reference, utc

LOST_CODE = 255  # what containerd reports of containers that ended while nobody looked


@dataclass(frozen=True)
class Host:
    """What all pods of the node share."""

    objects: Objects
    settings: Settings
    runtime: Runtime
    recorder: Recorder
    state: Path  # the cluster's folder
    ip: str
    free_pod_ip: Callable[[], str]


class PodRecord:
    """What is known of one pod, and the writing of it."""

    def __init__(self, host: Host, pod: Object):
        self.host, self.pod = host, pod
        self.seen = pod_status.from_pod(pod, host.ip, time.time())
        self.address: str | None = None
        meta = pod["metadata"]
        self.namespace, self.name, self.uid = str(meta["namespace"]), str(meta["name"]), str(meta["uid"])
        self.folder = host.state / "pods" / self.uid

    def write(self) -> None:
        """Write Pod.status, if the pod is still there."""
        pod = self.host.objects.find(POD, self.namespace, self.name)
        if pod is not None and pod["metadata"]["uid"] == self.uid:
            pod["status"] = pod_status.pod_status(pod, self.seen, time.time())
            self.pod = self.host.objects.update_status(POD, pod)

    def write_sandbox(self) -> None:
        """Write where the pod really runs."""
        objects = self.host.objects
        sandbox = objects.find(SANDBOX, self.namespace, self.name)
        if sandbox is None:
            sandbox = objects.create(SANDBOX, {
                "apiVersion": SANDBOX.api_version, "kind": SANDBOX.kind, "spec": {"podUID": self.uid},
                "metadata": {"name": self.name, "namespace": self.namespace,
                             "ownerReferences": [owner_reference({**self.pod, "apiVersion": "v1", "kind": "Pod"})]}})
        sandbox["status"] = {"containers": {c.name: self._sandbox_of(c)
                                            for c in [*self.seen.init, *self.seen.main] if c.id}}
        if self.address:
            sandbox["status"]["address"] = self.address
        objects.update_status(SANDBOX, sandbox)

    def _sandbox_of(self, container: Container) -> Object:
        running = self.host.runtime.find(self.task_id(container))
        previous = self.log_of(container, container.restarts - 1)
        return {"pids": [running.process.pid] if running and container.running else [],
                "log": str(self.log_of(container, container.restarts)),
                "previousLog": str(previous) if container.restarts else None}

    def remove(self) -> None:
        """Take pod and sandbox out of the store."""
        for kind, uid in ((POD, self.uid), (SANDBOX, None)):
            with contextlib.suppress(NotFoundError):
                self.host.objects.delete(kind, self.namespace, self.name, uid=uid, grace_period_s=0)

    def event(self, type_: str, reason: str, message: str, container: str = "") -> None:
        self.host.recorder.record(self.pod, type_, reason, message, container)

    def task_id(self, container: Container) -> str:
        """The id under which the runtime knows the current run of a container."""
        return f"{self.uid}/{container.name}/{container.restarts}"

    def log_of(self, container: Container, restarts: int) -> Path:
        return self.folder / "logs" / container.name / f"{restarts}.log"

    def task(self, container: Container) -> Task:
        """What the runtime has to do for the current run of a container."""
        role = role_of(container.spec["image"])
        assert role == "server" or role == "storage-initializer"
        spec, log = container.spec, self.log_of(container, container.restarts)
        return Task(
            self.task_id(container), role, [*spec.get("command", [])[1:], *spec.get("args", [])],
            str(root_of(spec, self.pod, self.folder, self.host.state)),
            str(log), _bytes(spec.get("resources", {}).get("limits", {})), self._environment(spec))

    def _environment(self, spec: Object) -> dict[str, str]:
        own = {"metadata.name": self.name, "metadata.namespace": self.namespace, "metadata.uid": self.uid,
               "status.podIP": self.seen.pod_ip, "status.hostIP": self.seen.host_ip,
               "spec.nodeName": self.host.settings.node}
        return {e["name"]: e.get("value") or own.get(e.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath"), "")
                for e in spec.get("env", [])}

    def begin(self, container: Container) -> None:
        """The container is created for the first time, or once more."""
        if container.id:
            container.restarts += 1
            if "terminated" in container.state:
                container.last_state = container.state
            # One more than can be asked for: until the new run has started, the sandbox names the one before the last.
            self.log_of(container, container.restarts - 3).unlink(missing_ok=True)
        container.id = pod_status.container_id(self.uid, container.name, container.restarts)
        log = self.log_of(container, container.restarts)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()  # whoever is told of it can read it, also before the process has opened it
        image = container.spec["image"]
        self.event("Normal", "Pulled", f'Container image "{image}" already present on machine and can be accessed '
                   "by the pod", container.name)
        self.event("Normal", "Created", "Container created", container.name)

    def has_started(self, container: Container) -> None:
        container.state = {"running": {"startedAt": utc(time.time())}}
        self.event("Normal", "Started", "Container started", container.name)

    def has_ended(self, container: Container, process: Process | None) -> None:
        """The container's process has ended; without one it was lost with the runtime."""
        code = LOST_CODE if process is None or process.exit_code is None else process.exit_code
        ended = process.finished if process is not None and process.finished else time.time()
        terminated = {
            "exitCode": code,
            "reason": _reason(process, code),
            "startedAt": container.state.get("running", {}).get("startedAt", utc(ended)),
            "finishedAt": utc(ended),
            "containerID": f"containerd://{container.id}",
        }
        if code and container.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            message = last_lines(self.log_of(container, container.restarts))
            if message:
                terminated["message"] = message
        container.state, container.ready = {"terminated": terminated}, False


def _reason(process: Process | None, code: int) -> str:
    if process is None:
        return "Unknown"
    if process.out_of_memory:
        return "OOMKilled"
    return "Error" if code else "Completed"


def _bytes(limits: Object) -> int:
    """The memory limit as a number of bytes; 0 where there is none."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([kKMGTPE]?)(i?)", str(limits.get("memory", "")))
    if found is None:
        return 0
    return int(float(found[1]) * (1024 if found[3] else 1000) ** " KMGTPE".index(found[2].upper() or " "))
