"""The kubelet's events about pods and the node (`Pulled`, `Started`, `BackOff`, `Unhealthy`, `NodeNotReady` ...)."""

from __future__ import annotations

import time

from kserve_nb.clusters.embedded.apimachinery.kinds import EVENT
from kserve_nb.clusters.embedded.apimachinery.objects import Object, Objects, StatusError, utc


class KubeletEvents:
    """Writes events. A repeated event increments the count of the existing one."""

    def __init__(self, objects: Objects, node: str):
        self._objects, self._node = objects, node
        self._names: dict[tuple[str, str, str, str], str] = {}  # by uid, field, reason and message

    def record(self, pod: Object, type_: str, reason: str, message: str, container: str = "") -> None:
        """Record an event about a pod or one of its containers. Events that cannot be written are dropped."""
        meta = pod["metadata"]
        about = {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "namespace": meta["namespace"],
                 "uid": meta["uid"], "resourceVersion": meta.get("resourceVersion", "")}
        field = _field_path(pod, container)
        self._record({**about, "fieldPath": field} if field else about, type_, reason, message)

    def record_node(self, type_: str, reason: str, message: str) -> None:
        """Record an event about the node."""
        self._record({"kind": "Node", "name": self._node, "uid": self._node}, type_, reason, message)

    def forget(self, pod: Object) -> None:
        """Stop counting events of a pod that is gone."""
        self._names = {k: n for k, n in self._names.items() if k[0] != pod["metadata"]["uid"]}

    def _record(self, about: Object, type_: str, reason: str, message: str) -> None:
        key = (about["uid"], about.get("fieldPath", ""), reason, message)
        try:
            if not self._increment(about, key):
                self._names[key] = self._create(about, type_, reason, message)
        except StatusError:  # the namespace is being deleted
            pass

    def _increment(self, about: Object, key: tuple[str, str, str, str]) -> bool:
        name = self._names.get(key)
        event = self._objects.find(EVENT, about.get("namespace", "default"), name) if name else None
        if event is None:
            return False
        event |= {"count": event["count"] + 1, "lastTimestamp": utc(time.time())}
        self._objects.update(EVENT, event)
        return True

    def _create(self, about: Object, type_: str, reason: str, message: str) -> str:
        name, now = f"{about['name']}.{time.time_ns():x}", utc(time.time())
        self._objects.create(EVENT, {
            "apiVersion": "v1", "kind": "Event",
            "metadata": {"name": name, "namespace": about.get("namespace", "default")},
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
