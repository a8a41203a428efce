"""The node agent: runs the pods that are bound to the node, each by a `Life` of its own."""

from __future__ import annotations

import asyncio
import logging
import shutil
from pathlib import Path

from kserve_nb.clusters.embedded.kinds import NODE, POD
from kserve_nb.clusters.embedded.node.kubelet.pod_events import Recorder
from kserve_nb.clusters.embedded.node.kubelet.pod_lifecycle import Life
from kserve_nb.clusters.embedded.node.kubelet.pod_record import Host
from kserve_nb.clusters.embedded.node.kubelet.runtime_client import Runtime
from kserve_nb.clusters.embedded.objects import Object, Objects, Settings, WatchEvent

log = logging.getLogger(__name__)
FAILED_AGAIN_S = 1.0
POD_NETWORK = "10.244"
HOST_IP = "172.18.0.2"  # where the Node object does not say one


class Node:
    """Runs the pods of one node. `folder` is the cluster's state folder, `socket` where the runtime listens."""

    def __init__(self, objects: Objects, settings: Settings, folder: Path, socket: Path):
        self._objects, self._settings, self._folder = objects, settings, folder
        self._runtime = Runtime(socket, self._tidy)
        self._lives: dict[str, Life] = {}  # by pod uid
        self._host = Host(objects, settings, self._runtime, Recorder(objects, settings.node), folder,
                          self._host_ip(), self._free_pod_ip)
        self._last_ip = 1

    async def run(self) -> None:
        """Run pods until cancelled. Their processes go on after that: the next Node takes them up."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._runtime.run())
            await self._runtime.known()
            self._end_orphans()
            async for event in self._objects.watch(POD):
                self._notice(event, group)

    def _notice(self, event: WatchEvent, group: asyncio.TaskGroup) -> None:
        pod = event.object
        if event.type == "BOOKMARK" or pod["spec"].get("nodeName") != self._settings.node:
            return
        uid = pod["metadata"]["uid"]
        life = self._lives.get(uid)
        if event.type == "DELETED":
            if life is not None:
                life.remove()
        elif life is not None:
            life.update(pod)
        else:
            life = self._lives[uid] = Life(self._host, pod)
            life.update(pod)
            group.create_task(self._live(uid, life))

    async def _live(self, uid: str, life: Life) -> None:
        """Run one pod; a failure of ours is logged and the pod taken up again from what its status says."""
        while True:
            try:
                await life.run()
            except Exception:
                log.exception("pod %s/%s", life.record.namespace, life.record.name)
                await asyncio.sleep(FAILED_AGAIN_S)
                pod, gone = life.record.pod, life.gone.is_set()
                life = self._lives[uid] = Life(self._host, pod)
                life.update(pod)
                if gone:
                    life.remove()
            else:
                del self._lives[uid]
                return

    def _end_orphans(self) -> None:
        """End what still runs of pods that are no longer there, and remove their folders."""
        there = {p["metadata"]["uid"] for p in self._objects.list(POD)}
        for id_ in self._runtime.ids():
            if id_.partition("/")[0] not in there:
                self._runtime.abandon(id_)
        for folder in (self._folder / "pods").glob("*"):
            if folder.name not in there:
                shutil.rmtree(folder, ignore_errors=True)

    def _tidy(self, id_: str) -> None:
        """Remove the folder of a pod that is gone: a process that came up after its end may have written there."""
        uid = id_.partition("/")[0]
        if uid not in self._lives:
            shutil.rmtree(self._folder / "pods" / uid, ignore_errors=True)

    def _host_ip(self) -> str:
        node: Object = self._objects.find(NODE, None, self._settings.node) or {}
        addresses = node.get("status", {}).get("addresses", [])
        return next((str(a["address"]) for a in addresses if a["type"] == "InternalIP"), HOST_IP)

    def _free_pod_ip(self) -> str:
        used = {life.record.seen.pod_ip for life in self._lives.values()}
        while True:
            self._last_ip = self._last_ip % 65_000 + 1
            ip = f"{POD_NETWORK}.{self._last_ip // 254}.{self._last_ip % 254 + 1}"
            if ip not in used:
                return ip
