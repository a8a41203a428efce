"""The READY, STATUS and RESTARTS columns of `kubectl get pods`.

k8s.io/kubernetes pkg/printers/internalversion/printers.go, printPod.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True)
class PodColumns:
    """What kubectl prints about a pod, and the message behind its STATUS."""

    ready: int
    total: int
    status: str
    restarts: int
    restarted_at: str = ""  # RFC 3339: when a container last ended before a restart
    message: str = ""


def pod_columns(pod: Row) -> PodColumns:
    """Compute the columns of a Pod object.

    >>> pod_columns({"metadata": {}, "spec": {"containers": [{}, {}]}, "status": {"phase": "Pending"}})
    PodColumns(ready=0, total=2, status='Pending', restarts=0, restarted_at='', message='')
    """
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    containers = status.get("containerStatuses") or []
    word, message, initializing, sidecars = _init_status(status, spec)
    counted: Sequence[Row] = status.get("initContainerStatuses") or []
    ready = sum(1 for sidecar in sidecars if sidecar.get("ready"))
    if not initializing or _is_true(status, "Initialized"):
        counted = [*sidecars, *containers]
        word, message = _container_status(status, word, message)
        ready += sum(1 for container in containers if container.get("ready") and "running" in _state(container))
    ends = [((container.get("lastState") or {}).get("terminated") or {}).get("finishedAt") for container in counted]
    word, message = _deletion_status(pod, word, message)
    return PodColumns(
        ready=ready,
        total=len(spec.get("containers") or containers) + sum(map(_is_sidecar, spec.get("initContainers") or [])),
        status=word,
        restarts=sum(container.get("restartCount") or 0 for container in counted),
        restarted_at=max(filter(None, ends), default=""),
        message=message,
    )


def _init_status(status: Row, spec: Row) -> tuple[str, str, bool, list[Row]]:
    """STATUS and message, whether an init container still holds the pod back, and the running sidecars."""
    word, message = status.get("reason") or status.get("phase") or "Pending", status.get("message") or ""
    if any(row.get("type") == "PodScheduled" and row.get("reason") == "SchedulingGated" for row in _conditions(status)):
        word = "SchedulingGated"
    of_spec = spec.get("initContainers") or []
    sidecars = {row.get("name") for row in of_spec if _is_sidecar(row)}
    running: list[Row] = []
    for index, container in enumerate(status.get("initContainerStatuses") or []):
        terminated, waiting = _state(container).get("terminated"), _state(container).get("waiting") or {}
        if terminated is not None and terminated.get("exitCode", 0) == 0:
            continue
        if container.get("name") in sidecars and container.get("started"):
            running.append(container)
            continue
        if terminated is not None:
            return f"Init:{_ended(terminated)}", terminated.get("message") or "", True, running
        why = waiting.get("message") or ""
        if waiting.get("reason") and waiting["reason"] != "PodInitializing":
            return f"Init:{waiting['reason']}", why, True, running
        return f"Init:{index}/{len(of_spec or status['initContainerStatuses'])}", why, True, running
    return word, message, False, running


def _container_status(status: Row, word: str, message: str) -> tuple[str, str]:
    """STATUS and message of the first container that does not simply run."""
    containers = status.get("containerStatuses") or []
    for container in reversed(containers):
        waiting, terminated = _state(container).get("waiting") or {}, _state(container).get("terminated")
        if waiting.get("reason"):
            word, message = waiting["reason"], waiting.get("message") or ""
        elif terminated is not None:
            word, message = _ended(terminated), terminated.get("message") or ""
    if word == "Completed" and any(row.get("ready") and "running" in _state(row) for row in containers):
        return ("Running" if _is_true(status, "Ready") else "NotReady"), ""
    return word, message


def _deletion_status(pod: Row, word: str, message: str) -> tuple[str, str]:
    status = pod.get("status") or {}
    if not pod["metadata"].get("deletionTimestamp"):
        return word, message
    if status.get("reason") == "NodeLost":
        return "Unknown", message
    return (word, message) if status.get("phase") in ("Succeeded", "Failed") else ("Terminating", "")


def _state(container: Row) -> Row:
    state: Row = container.get("state") or {}
    return state


def _is_sidecar(container: Row) -> bool:
    return container.get("restartPolicy") == "Always"


def _ended(terminated: Row) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    return f"Signal:{terminated['signal']}" if terminated.get("signal") else f"ExitCode:{terminated.get('exitCode', 0)}"


def _conditions(status: Row) -> Sequence[Row]:
    return status.get("conditions") or ()


def _is_true(status: Row, type_: str) -> bool:
    return any(row.get("type") == type_ and row.get("status") == "True" for row in _conditions(status))
