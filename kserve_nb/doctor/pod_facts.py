"""The state of one pod: why a container does not run, what a pod still waits for, and since when."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kserve_nb.access.api_client import Object
from kserve_nb.values.condition import conditions_of
from kserve_nb.values.text.foreign_text import last_line

DOWNLOADER = "storage-initializer"  # KServe's init container, which downloads the model
SERVER = "kserve-container"
_FAILED_WAITING = {
    "CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull", "InvalidImageName",
    "ImageInspectError", "RegistryUnavailable", "CreateContainerConfigError", "CreateContainerError",
    "RunContainerError", "PostStartHookError", "StartError",
}  # fmt: skip
_NO_MODEL_FILE = re.compile(r"fail to locate model file for model \S+ under dir [^\s,]+")


@dataclass(frozen=True)
class ContainerFailure:
    """Why a container does not run: the deepest cause that Kubernetes records."""

    pod: str
    container: str
    reason: str  # Error, OOMKilled, CrashLoopBackOff, ImagePullBackOff …
    exit_code: int | None
    log: str  # the end of its log, or the kubelet's message
    arguments: tuple[str, ...] = ()  # the container's arguments; the storage-initializer's first one is the model's URI

    @property
    def last_words(self) -> str:
        """The last line of the log, without its time and logger; the reason when there is no log."""
        return last_line(self.log) or self.reason


@dataclass(frozen=True)
class PodProgress:
    """What a pod without a failure still waits for."""

    pod: str
    container: str  # empty before a container has started
    state: str  # in words: "init container storage-initializer is running"
    since: str  # RFC 3339; empty when Kubernetes does not record it


def failure_of(pod: Object, log: str = "") -> ContainerFailure | None:
    """Why a pod's first failing container does not run; None when none has failed."""
    for row in _container_rows(pod):
        state, last = row.get("state") or {}, row.get("lastState") or {}
        waiting = state.get("waiting") or {}
        ended = state.get("terminated") or last.get("terminated") or {}
        if row.get("ready") or not (ended.get("exitCode") or waiting.get("reason") in _FAILED_WAITING):
            continue
        reason = _reason(waiting, ended)
        words = ended.get("message") or log or waiting.get("message") or ""
        return ContainerFailure(
            pod["metadata"]["name"], row["name"], reason, ended.get("exitCode"), words, _arguments(pod, row["name"])
        )
    return None


def progress_of(pod: Object) -> PodProgress | None:
    """What a pod still waits for; None when it is ready."""
    name = str(pod["metadata"]["name"])
    conditions = conditions_of(pod)
    ready = conditions.get("Ready")
    if ready is not None and ready.status == "True":
        return None
    since = str(pod["metadata"].get("creationTimestamp") or "")
    for row in _container_rows(pod):
        state = row.get("state") or {}
        kind = "init container" if _is_init(pod, row) else "container"
        running = state.get("running")
        if running is not None and not row.get("ready"):
            words = "is running" if _is_init(pod, row) else "is running and not ready yet"
            return PodProgress(name, row["name"], f"{kind} {row['name']} {words}", running.get("startedAt") or since)
        waiting = state.get("waiting")
        if waiting is not None:
            reason = waiting.get("reason") or "Waiting"
            return PodProgress(name, "", f"{kind} {row['name']} is waiting: {reason}", since)
    return PodProgress(name, "", "no container has started", since)


def lacks_model_file(log: str) -> str:
    """KServe's message, in the log of a server, that the model's folder has no model file; empty if it is not there.

    >>> lacks_model_file("ERROR fail to locate model file for model a under dir /mnt/models,trying loading from ...")
    'fail to locate model file for model a under dir /mnt/models'
    """
    found = _NO_MODEL_FILE.search(log)
    return found[0] if found else ""


def unschedulable(pod: Object) -> str:
    """The scheduler's message about a pod without a node; empty when it has one."""
    scheduled = conditions_of(pod).get("PodScheduled")
    found = scheduled is not None and scheduled.status == "False" and scheduled.reason != "SchedulingGated"
    return scheduled.message if scheduled and found else ""


def requests_in_words(pod: Mapping[str, Any]) -> str:
    """What a pod's containers request: "1 cpu and 2Gi memory + 25m cpu"."""
    rows = [(container.get("resources") or {}).get("requests") or {} for container in pod["spec"]["containers"]]
    each = [" and ".join(f"{amount} {name}" for name, amount in row.items()) for row in rows if row]
    return " + ".join(each) or "nothing"


def seconds_between(earlier: str, now: float | None) -> float | None:
    """Seconds from an RFC 3339 time to now; None when either is unknown."""
    if not earlier or now is None:
        return None
    return max(now - datetime.fromisoformat(earlier).timestamp(), 0.0)


def _container_rows(pod: Object) -> list[dict[str, Any]]:
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def _is_init(pod: Object, row: Mapping[str, Any]) -> bool:
    rows = (pod.get("status") or {}).get("initContainerStatuses") or []
    return any(init["name"] == row["name"] for init in rows)


def _reason(waiting: Mapping[str, Any], ended: Mapping[str, Any]) -> str:
    """The most informative reason: a kill for memory is hidden behind the back-off that follows."""
    if ended.get("reason") == "OOMKilled":
        return "OOMKilled"
    return str(waiting.get("reason") or ended.get("reason") or "Error")


def _arguments(pod: Object, container: str) -> tuple[str, ...]:
    rows = [*(pod["spec"].get("initContainers") or []), *(pod["spec"].get("containers") or [])]
    return tuple(next((row.get("args") or [] for row in rows if row.get("name") == container), []))
