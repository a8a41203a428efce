"""The Node object's status, as a kubelet reports it: Ready, DiskPressure, and how pods are separated from the user.

Source of texts: kubernetes pkg/kubelet/nodestatus/setters.go.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from kserve_nb.clusters.embedded.apimachinery.kinds import NODE
from kserve_nb.clusters.embedded.apimachinery.objects import Object, Objects, Settings, utc
from kserve_nb.clusters.embedded.node.kubelet.kubelet_events import KubeletEvents
from kserve_nb.clusters.embedded.node.kubelet.runtime_client import RuntimeClient

log = logging.getLogger(__name__)
SYNC_S = 5.0
RUNTIME_DOWN_S = 30.0  # the kubelet's own patience; the runtime also needs some of it to start on a busy machine
LOW_DISK_BYTES = 100 << 20  # an absolute limit: a kubelet's 10 % would report many a laptop whose disk has room
SANDBOX_ANNOTATION = "embedded.kserve-nb.dev/sandbox"

_READY = ("Ready", "True", "KubeletReady", "kubelet is posting ready status")
_NOT_READY = ("Ready", "False", "KubeletNotReady", "container runtime is down")
_DISK = ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure")
_NO_DISK = ("DiskPressure", "True", "KubeletHasDiskPressure", "kubelet has disk pressure")
_EVENTS = {_READY: "NodeReady", _NOT_READY: "NodeNotReady", _DISK: "NodeHasNoDiskPressure",
           _NO_DISK: "NodeHasDiskPressure"}


class NodeStatus:
    """Keeps the conditions of the Node object up to date.

    Args:
        folder: the cluster's state folder, whose disk counts.
        now_s: the clock for the runtime's absence.
    """

    def __init__(self, objects: Objects, settings: Settings, runtime: RuntimeClient, events: KubeletEvents,
                 folder: Path, now_s: Callable[[], float] = time.monotonic):
        self._objects, self._settings, self._runtime, self._events = objects, settings, runtime, events
        self._folder, self._now_s = folder, now_s
        self._responded_s = now_s()

    async def run(self) -> None:
        """Update the Node object periodically. Never returns."""
        while True:
            try:
                self.update()
            except Exception as error:  # a full disk: the store cannot be written until there is room
                log.warning("cannot update the node's status, trying again in %.0f s: %s", SYNC_S, error)
            await asyncio.sleep(SYNC_S)

    def update(self) -> None:
        """Write what has changed, with an event for each change of a condition."""
        if self._runtime.is_connected:
            self._responded_s = self._now_s()
        down = self._now_s() - self._responded_s > RUNTIME_DOWN_S
        node = self._objects.find(NODE, None, self._settings.node)
        if node is None:
            return
        self._annotate(node)
        low = shutil.disk_usage(self._folder).free < LOW_DISK_BYTES
        conditions = node.get("status", {}).get("conditions", [])
        changed = [wanted for wanted in (_NOT_READY if down else _READY, _NO_DISK if low else _DISK)
                   if _apply(conditions, wanted)]
        if changed:
            self._objects.update_status(NODE, node)
        for wanted in changed:
            self._events.record_node("Normal", _EVENTS[wanted],
                                     f"Node {self._settings.node} status is now: {_EVENTS[wanted]}")

    def _annotate(self, node: Object) -> None:
        annotations = node["metadata"].setdefault("annotations", {})
        if self._runtime.sandbox and annotations.get(SANDBOX_ANNOTATION) != self._runtime.sandbox:
            annotations[SANDBOX_ANNOTATION] = self._runtime.sandbox
            node["metadata"] = self._objects.update(NODE, node)["metadata"]


def _apply(conditions: list[Object], wanted: tuple[str, str, str, str]) -> bool:
    """Set a condition. Whether its status has changed."""
    type_, status, reason, message = wanted
    found = next((c for c in conditions if c["type"] == type_), None)
    if found is None or found["status"] == status:
        return False
    now = utc(time.time())
    found |= {"status": status, "reason": reason, "message": message, "lastHeartbeatTime": now,
              "lastTransitionTime": now}
    return True
