"""One pod on the node, and everything that the kubelet writes about it: status, sandbox and events."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kserve_nb.clusters.embedded import log_rotation
from kserve_nb.clusters.embedded.apimachinery import quantity
from kserve_nb.clusters.embedded.apimachinery.kinds import POD, SANDBOX
from kserve_nb.clusters.embedded.apimachinery.objects import (
    NotFoundError,
    Object,
    Objects,
    Settings,
    owner_reference,
    utc,
)
from kserve_nb.clusters.embedded.node.container_logs import last_lines
from kserve_nb.clusters.embedded.node.kubelet import pod_status
from kserve_nb.clusters.embedded.node.kubelet.images import role_of
from kserve_nb.clusters.embedded.node.kubelet.kubelet_events import KubeletEvents
from kserve_nb.clusters.embedded.node.kubelet.pod_status import Container
from kserve_nb.clusters.embedded.node.kubelet.runtime_client import RuntimeClient
from kserve_nb.clusters.embedded.node.kubelet.volumes import Mount, local_models, prepare
from kserve_nb.clusters.embedded.node.protocol import Process, Task

LOST_CODE = 255  # what containerd reports of containers that ended while it did not run


@dataclass(frozen=True)
class NodeContext:
    """The context that all pods of the node share."""

    objects: Objects
    settings: Settings
    runtime: RuntimeClient
    events: KubeletEvents
    state: Path  # the cluster's state folder
    ip: str
    free_pod_ip: Callable[[], str]


class PodRecord:
    """The state of one pod, and the means to write it to the store."""

    def __init__(self, node: NodeContext, pod: Object):
        self.node, self.pod = node, pod
        self.state = pod_status.from_pod(pod, node.ip, time.time())
        self.address: str | None = None
        meta = pod["metadata"]
        self.namespace, self.name, self.uid = str(meta["namespace"]), str(meta["name"]), str(meta["uid"])
        self.folder = node.state / "pods" / self.uid

    def write(self) -> None:
        """Write Pod.status, if the pod still exists."""
        pod = self.node.objects.find(POD, self.namespace, self.name)
        if pod is not None and pod["metadata"]["uid"] == self.uid:
            pod["status"] = pod_status.pod_status(pod, self.state, time.time())
            self.pod = self.node.objects.update_status(POD, pod)

    def write_sandbox(self) -> None:
        """Write where the pod's processes, logs and server are."""
        objects = self.node.objects
        sandbox = objects.find(SANDBOX, self.namespace, self.name)
        if sandbox is None:
            sandbox = objects.create(SANDBOX, {
                "apiVersion": SANDBOX.api_version, "kind": SANDBOX.kind, "spec": {"podUID": self.uid},
                "metadata": {"name": self.name, "namespace": self.namespace,
                             "ownerReferences": [owner_reference({**self.pod, "apiVersion": "v1", "kind": "Pod"})]}})
        sandbox["status"] = {"containers": {c.name: self._sandbox_of(c) for c in self.state.containers if c.id}}
        if self.address:
            sandbox["status"]["address"] = self.address
        objects.update_status(SANDBOX, sandbox)

    def _sandbox_of(self, container: Container) -> Object:
        running = self.node.runtime.find(self.task_id(container))
        previous = self.log_of(container, container.restarts - 1)
        return {"pids": [running.process.pid] if running and container.running else [],
                "log": str(self.log_of(container, container.restarts)),
                "previousLog": str(previous) if container.restarts else None}

    def remove(self) -> None:
        """Delete pod and sandbox from the store."""
        for kind, uid in ((POD, self.uid), (SANDBOX, None)):
            with contextlib.suppress(NotFoundError):
                self.node.objects.delete(kind, self.namespace, self.name, uid=uid, grace_period_s=0)

    def event(self, type_: str, reason: str, message: str, container: str = "") -> None:
        """Record an event about the pod or one of its containers."""
        self.node.events.record(self.pod, type_, reason, message, container)

    def task_id(self, container: Container) -> str:
        """Return the id of the current run of a container in the runtime."""
        return f"{self.uid}/{container.name}/{container.restarts}"

    def log_of(self, container: Container, restarts: int) -> Path:
        """Return the log file of one run of a container."""
        return self.folder / "logs" / container.name / f"{restarts}.log"

    def prepare(self, container: Container) -> tuple[Path, list[Mount]]:
        """Create the files of a container: its root folder, and its mounts. Raises VolumeError."""
        return prepare(container.spec, self.pod, self.folder, self.node.state)

    def task(self, container: Container, files: tuple[Path, list[Mount]]) -> Task:
        """Return the task for the current run of a container, whose files `prepare` has created."""
        role = role_of(container.spec["image"])
        assert role == "server" or role == "storage-initializer"
        spec, log = container.spec, self.log_of(container, container.restarts)
        root, mounts = files
        readable = [*local_models(self.pod, self.node.state), *(m.source for m in mounts if m.read_only)]
        return Task(
            self.task_id(container), role, [*spec.get("command", [])[1:], *spec.get("args", [])], str(root), str(log),
            _bytes(spec.get("resources", {}).get("limits", {})), self._environment(spec),
            readable=[str(path) for path in readable], writable=[str(m.source) for m in mounts if not m.read_only])

    def _environment(self, spec: Object) -> dict[str, str]:
        own = {"metadata.name": self.name, "metadata.namespace": self.namespace, "metadata.uid": self.uid,
               "status.podIP": self.state.pod_ip, "status.hostIP": self.state.host_ip,
               "spec.nodeName": self.node.settings.node}
        return {e["name"]: e.get("value") or own.get(e.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath"), "")
                for e in spec.get("env", [])}

    def begin(self, container: Container) -> None:
        """Create a container, for the first time or for a restart."""
        if container.id:
            container.restarts += 1
            if "terminated" in container.state:
                container.last_state = container.state
            # One log more than can be requested is kept: until the new run has started, the sandbox still names the
            # one before the last.
            log_rotation.remove(self.log_of(container, container.restarts - 3))
        container.id = pod_status.container_id(self.uid, container.name, container.restarts)
        log = self.log_of(container, container.restarts)
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        log.touch(mode=0o600)  # the sandbox names the log before the process has opened it
        image = container.spec["image"]
        self.event("Normal", "Pulled", f'Container image "{image}" already present on machine and can be accessed '
                   "by the pod", container.name)
        self.event("Normal", "Created", "Container created", container.name)

    def has_started(self, container: Container) -> None:
        """Record that a container has started."""
        container.state = {"running": {"startedAt": utc(time.time())}}
        self.event("Normal", "Started", "Container started", container.name)

    def has_ended(self, container: Container, process: Process | None) -> None:
        """Record that a container has ended. `process` is None if it was lost with the runtime."""
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
    """The memory limit as a number of bytes; 0 if there is none."""
    try:
        return int(quantity.parse(limits["memory"]))
    except (KeyError, ValueError):
        return 0
