"""The row of a pod: READY, STATUS and RESTARTS as kubectl shows them (printers.go, printPod)."""

from __future__ import annotations

from typing import Any

from kserve_nb.clusters.embedded.api.columns.human_duration import since
from kserve_nb.clusters.embedded.objects import Object, is_true


def pod_cells(pod: Object, now: float) -> list[Any]:
    """The cells of a pod after its name."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    reason, in_init, running = _init_reason(spec, status)
    statuses = status.get("initContainerStatuses") or []
    ready = sum(1 for container in running if container.get("ready"))
    if not in_init or is_true(pod, "Initialized"):
        statuses = [*running, *(status.get("containerStatuses") or [])]
        reason = _reason(pod, reason)
        ready += sum(1 for c in status.get("containerStatuses") or [] if c.get("ready") and "running" in _state(c))
    if "deletionTimestamp" in pod["metadata"] and status.get("phase") not in ("Succeeded", "Failed"):
        reason = "Terminating"
    total = len(spec.get("containers") or []) + sum(1 for c in spec.get("initContainers") or [] if _is_sidecar(c))
    return [f"{ready}/{total}", reason, _restarts(statuses, now), since(pod["metadata"].get("creationTimestamp"), now),
            status.get("podIP") or "<none>", spec.get("nodeName") or "<none>",
            status.get("nominatedNodeName") or "<none>", _gates(pod)]


def _state(container: Object) -> Object:
    state: Object = container.get("state") or {}
    return state


def _is_sidecar(container: Object) -> bool:
    return container.get("restartPolicy") == "Always"


def _ended(terminated: Object) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    return f"Signal:{terminated['signal']}" if terminated.get("signal") else f"ExitCode:{terminated.get('exitCode', 0)}"


def _init_reason(spec: Object, status: Object) -> tuple[str, bool, list[Object]]:
    """What the pod waits for, whether that is an init container, and the sidecars that run."""
    reason = status.get("reason") or status.get("phase") or ""
    sidecars = {c.get("name") for c in spec.get("initContainers") or [] if _is_sidecar(c)}
    running = []
    for index, container in enumerate(status.get("initContainerStatuses") or []):
        terminated, waiting = _state(container).get("terminated"), _state(container).get("waiting") or {}
        if terminated is not None and terminated.get("exitCode", 0) == 0:
            continue
        if container.get("name") in sidecars and container.get("started"):
            running.append(container)
            continue
        if terminated is not None:
            return f"Init:{_ended(terminated)}", True, running
        if waiting.get("reason") and waiting["reason"] != "PodInitializing":
            return f"Init:{waiting['reason']}", True, running
        return f"Init:{index}/{len(spec.get('initContainers') or [])}", True, running
    return reason, False, running


def _reason(pod: Object, reason: str) -> str:
    """The state of the first container that does not simply run."""
    containers = (pod.get("status") or {}).get("containerStatuses") or []
    for container in reversed(containers):
        state = _state(container)
        if (state.get("waiting") or {}).get("reason"):
            reason = state["waiting"]["reason"]
        elif state.get("terminated") is not None:
            reason = _ended(state["terminated"])
    if reason == "Completed" and any(c.get("ready") and "running" in _state(c) for c in containers):
        return "Running" if is_true(pod, "Ready") else "NotReady"
    return reason


def _restarts(statuses: list[Object], now: float) -> str:
    count = sum(container.get("restartCount", 0) for container in statuses)
    ends = [((container.get("lastState") or {}).get("terminated") or {}).get("finishedAt") for container in statuses]
    last = max(filter(None, ends), default=None)
    return f"{count} ({since(last, now)} ago)" if count and last else str(count)


def _gates(pod: Object) -> str:
    gates = (pod.get("spec") or {}).get("readinessGates") or []
    return f"{sum(is_true(pod, gate['conditionType']) for gate in gates)}/{len(gates)}" if gates else "<none>"
