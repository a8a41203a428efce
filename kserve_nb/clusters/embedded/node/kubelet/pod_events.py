"""The node's events about pods (`Pulled`, `Created`, `Started`, `BackOff`, `Unhealthy`, `Killing` ...)."""

from __future__ import annotations

import time

from kserve_nb.clusters.embedded.kinds import EVENT
from kserve_nb.clusters.embedded.objects import Object, Objects, StatusError, utc


class Recorder:
    """Writes events; one that was seen before is counted up instead of written again."""

    def __init__(self, objects: Objects, node: str):
        self._objects, self._node = objects, node
        self._names: dict[tuple[str, str, str, str], str] = {}  # by pod uid, field, reason and message

    def record(self, pod: Object, type_: str, reason: str, message: str, container: str = "") -> None:
        """Record an event about a pod, or about one of its containers. An event that cannot be written is let go."""
        field = _field_path(pod, container)
        key = (pod["metadata"]["uid"], field, reason, message)
        try:
            if not self._count_up(pod, key):
                self._names[key] = self._create(pod, type_, reason, message, field)
        except StatusError:  # its namespace is going away
            pass

    def forget(self, pod: Object) -> None:
        """The pod is gone: there will be no more events about it."""
        self._names = {k: n for k, n in self._names.items() if k[0] != pod["metadata"]["uid"]}

    def _count_up(self, pod: Object, key: tuple[str, str, str, str]) -> bool:
        name = self._names.get(key)
        event = self._objects.find(EVENT, pod["metadata"]["namespace"], name) if name else None
        if event is None:
            return False
        event |= {"count": event["count"] + 1, "lastTimestamp": utc(time.time())}
        self._objects.update(EVENT, event)
        return True

    def _create(self, pod: Object, type_: str, reason: str, message: str, field: str) -> str:
        meta, now = pod["metadata"], utc(time.time())
        about = {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "namespace": meta["namespace"],
                 "uid": meta["uid"], "resourceVersion": meta.get("resourceVersion", "")}
        if field:
            about["fieldPath"] = field
        name = f"{meta['name']}.{time.time_ns():x}"
        self._objects.create(EVENT, {
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": meta["namespace"]},
            "involvedObject": about, "type": type_, "reason": reason, "message": message, "count": 1,
            "eventTime": None, "firstTimestamp": now, "lastTimestamp": now,
            "reportingComponent": "kubelet", "reportingInstance": self._node,
            "source": {"component": "kubelet", "host": self._node}})
        return name


def _field_path(pod: Object, container: str) -> str:
    for field in ("initContainers", "containers"):
        if any(c["name"] == container for c in pod["spec"].get(field, [])):
            return f"spec.{field}{{{container}}}"
    return ""
