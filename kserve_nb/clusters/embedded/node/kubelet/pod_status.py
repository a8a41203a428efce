"""`Pod.status` as a kubelet 1.35 writes it, computed from the state of the pod's containers. Pure functions."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from kserve_nb.clusters.embedded.apimachinery.objects import Object, utc

INITIALIZING: Object = {"waiting": {"reason": "PodInitializing"}}


@dataclass
class Container:
    """The state of one container. `state` and `last_state` have the form of the API."""

    spec: Object
    state: Object = field(default_factory=lambda: dict(INITIALIZING))
    last_state: Object = field(default_factory=dict)
    ready: bool = False
    restarts: int = 0
    id: str = ""  # empty until it is created for the first time

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    @property
    def running(self) -> bool:
        return "running" in self.state

    @property
    def exit_code(self) -> int | None:
        """The exit code of a terminated container; None in any other state."""
        code = self.state.get("terminated", {}).get("exitCode")
        return None if code is None else int(code)

    @property
    def was_terminated(self) -> bool:
        return "terminated" in self.state or "terminated" in self.last_state


@dataclass
class PodState:
    """The state of one pod on the node."""

    init: list[Container]
    main: list[Container]
    host_ip: str
    pod_ip: str = ""  # empty until the pod has its sandbox
    started: float = 0.0  # POSIX seconds
    ended: bool = False  # all containers have stopped for good

    @property
    def containers(self) -> list[Container]:
        """All containers, init containers first."""
        return [*self.init, *self.main]


def from_pod(pod: Object, host_ip: str, now: float) -> PodState:
    """Return the state that `Pod.status` describes, or that of a new pod if it has no status of a kubelet."""
    spec, status = pod["spec"], pod.get("status", {})

    def containers(specs: list[Object], statuses: list[Object]) -> list[Container]:
        known = {s["name"]: s for s in statuses}
        return [_container(s, known.get(s["name"])) for s in specs]

    return PodState(
        containers(spec.get("initContainers", []), status.get("initContainerStatuses", [])),
        containers(spec["containers"], status.get("containerStatuses", [])),
        status.get("hostIP", host_ip), status.get("podIP", ""), now, status.get("phase") in ("Succeeded", "Failed"))


def _container(spec: Object, status: Object | None) -> Container:
    if status is None:
        return Container(spec)
    return Container(spec, status["state"], status.get("lastState", {}), status["ready"],
                     status["restartCount"], status.get("containerID", "").removeprefix("containerd://"))


def container_id(uid: str, name: str, restarts: int) -> str:
    """Return the id of one run of a container: 64 hexadecimal digits, always the same for the same run."""
    return hashlib.sha256(f"{uid}/{name}/{restarts}".encode()).hexdigest()


def image_name(image: str) -> str:
    """Return an image's name as containerd writes it: with registry and tag."""
    first, slash, _ = image.partition("/")
    named = image if slash and ("." in first or ":" in first or first == "localhost") else f"docker.io/{image}"
    return named if ":" in named.rpartition("/")[2] else f"{named}:latest"


def pod_status(pod: Object, state: PodState, now: float) -> Object:
    """Return the complete status of the pod."""
    old = pod.get("status", {})
    status: Object = {
        "observedGeneration": pod["metadata"].get("generation", 1),
        "phase": phase(state),
        "conditions": _conditions(pod, state, now),
        "hostIP": state.host_ip,
        "hostIPs": [{"ip": state.host_ip}],
        "startTime": old.get("startTime") or utc(state.started),
        "containerStatuses": [_container_status(c, pod) for c in state.main],
    }
    if "qosClass" in old:
        status["qosClass"] = old["qosClass"]
    if state.pod_ip:
        status |= {"podIP": state.pod_ip, "podIPs": [{"ip": state.pod_ip}]}
    if state.init:
        status["initContainerStatuses"] = [_container_status(c, pod) for c in state.init]
    return status


def phase(state: PodState) -> str:
    """Return Pending, Running, Succeeded or Failed (kubelet `getPhase`, restartPolicy Always)."""
    if state.ended:
        ran = all(c.exit_code == 0 for c in [*state.init, *state.main])
        return "Succeeded" if ran else "Failed"
    if any(c.exit_code != 0 for c in state.init):
        return "Pending"
    if any("waiting" in c.state and not c.was_terminated for c in state.main):
        return "Pending"
    return "Running"


def _conditions(pod: Object, state: PodState, now: float) -> list[Object]:
    incomplete = [c.name for c in state.init if c.exit_code != 0]
    unready = [c.name for c in state.main if not c.ready]
    completed: Object = {"reason": "PodCompleted"} if phase(state) == "Succeeded" else {}
    not_ready: Object = completed or ({
        "reason": "ContainersNotReady",
        "message": f"containers with unready status: [{' '.join(unready)}]"} if unready else {})
    not_initialized: Object = completed or ({
        "reason": "ContainersNotInitialized",
        "message": f"containers with incomplete status: [{' '.join(incomplete)}]"} if incomplete else {})
    wanted: list[tuple[str, bool, Object]] = [
        ("PodReadyToStartContainers", bool(state.pod_ip) and not state.ended, {}),
        ("Initialized", not incomplete, not_initialized),
        ("Ready", not unready, not_ready),
        ("ContainersReady", not unready, not_ready),
        ("PodScheduled", True, {}),
    ]
    old = {c["type"]: c for c in pod.get("status", {}).get("conditions", [])}
    return [_condition(pod, type_, "True" if true else "False", why, old.get(type_, {}), now)
            for type_, true, why in wanted]


def _condition(pod: Object, type_: str, value: str, why: Object, old: Object, now: float) -> Object:
    since = old["lastTransitionTime"] if old.get("status") == value else utc(now)
    return {"type": type_, "observedGeneration": pod["metadata"].get("generation", 1), "status": value,
            "lastProbeTime": None, "lastTransitionTime": since, **why}


def _container_status(container: Container, pod: Object) -> Object:
    spec, created = container.spec, bool(container.id)
    status: Object = {
        "name": container.name,
        "state": container.state,
        "lastState": container.last_state,
        "ready": container.ready,
        "restartCount": container.restarts,
        "image": image_name(spec["image"]) if created else spec["image"],
        "imageID": f"sha256:{hashlib.sha256(spec['image'].encode()).hexdigest()}" if created else "",
        "started": container.running,
        "volumeMounts": [_volume_mount(m) for m in spec.get("volumeMounts", [])],
    }
    if created:
        resources = spec.get("resources", {})
        status |= {"containerID": f"containerd://{container.id}", "resources": resources}
        requests = resources.get("requests") or resources.get("limits")
        if requests:
            status["allocatedResources"] = requests
    return status


def _volume_mount(mount: Object) -> Object:
    read_only = {"readOnly": True, "recursiveReadOnly": "Disabled"} if mount.get("readOnly") else {}
    return {"name": mount["name"], "mountPath": mount["mountPath"], **read_only}
