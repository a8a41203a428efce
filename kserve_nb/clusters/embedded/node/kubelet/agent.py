"""The kubelet: runs the pods that are assigned to its node, with one worker per pod, and reports the node."""

from __future__ import annotations

import asyncio
import logging
import shutil
from pathlib import Path

from kserve_nb.clusters.embedded import log_rotation
from kserve_nb.clusters.embedded.apimachinery.kinds import NODE, POD
from kserve_nb.clusters.embedded.apimachinery.objects import Object, Objects, Settings, WatchEvent
from kserve_nb.clusters.embedded.node.kubelet.kubelet_events import KubeletEvents
from kserve_nb.clusters.embedded.node.kubelet.node_status import NodeStatus
from kserve_nb.clusters.embedded.node.kubelet.pod_record import NodeContext
from kserve_nb.clusters.embedded.node.kubelet.pod_worker import PodWorker
from kserve_nb.clusters.embedded.node.kubelet.runtime_client import RuntimeClient

log = logging.getLogger(__name__)
RETRY_S = 1.0
LOG_MONITOR_INTERVAL_S = 10.0  # the kubelet's containerLogMonitorInterval
POD_NETWORK = "10.244"
HOST_IP = "172.18.0.2"  # used if the Node object has no address


class Kubelet:
    """Runs the pods of one node. `folder` is the cluster's state folder, `socket` the runtime's socket file."""

    def __init__(self, objects: Objects, settings: Settings, folder: Path, socket: Path):
        self._objects, self._settings, self._folder = objects, settings, folder
        self._runtime = RuntimeClient(socket, self._remove_leftovers)
        self._workers: dict[str, PodWorker] = {}  # by pod uid
        events = KubeletEvents(objects, settings.node)
        self._node = NodeContext(objects, settings, self._runtime, events, folder, self._host_ip(), self._free_pod_ip)
        self._status = NodeStatus(objects, settings, self._runtime, events, folder)
        self._last_ip = 1

    async def run(self) -> None:
        """Run pods until cancelled. Their processes continue after that: the next kubelet adopts them."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._runtime.run())
            group.create_task(self._status.run())
            group.create_task(self._rotate_logs())
            await self._runtime.wait_for_list()
            self._end_unknown_pods()
            async for event in self._objects.watch(POD):
                self._handle(event, group)

    def _handle(self, event: WatchEvent, group: asyncio.TaskGroup) -> None:
        pod = event.object
        if event.type == "BOOKMARK" or pod["spec"].get("nodeName") != self._settings.node:
            return
        uid = pod["metadata"]["uid"]
        worker = self._workers.get(uid)
        if event.type == "DELETED":
            if worker is not None:
                worker.remove()
        elif worker is not None:
            worker.update(pod)
        elif self._exists(pod):  # the last events of a pod can arrive after its worker has removed it
            worker = self._workers[uid] = PodWorker(self._node, pod)
            worker.update(pod)
            group.create_task(self._run_pod(uid, worker))

    def _exists(self, pod: Object) -> bool:
        meta = pod["metadata"]
        stored = self._objects.find(POD, meta["namespace"], meta["name"])
        return stored is not None and stored["metadata"]["uid"] == meta["uid"]

    async def _run_pod(self, uid: str, worker: PodWorker) -> None:
        """Run one pod. After an unexpected error, a new worker continues from the pod's status."""
        while True:
            try:
                await worker.run()
            except Exception as error:
                log.exception("pod %s/%s failed and is retried in %g s", worker.record.namespace, worker.record.name,
                              RETRY_S)
                if isinstance(error, OSError):  # for example a full disk
                    worker.record.event("Warning", "Failed", f"Error: {error.strerror}: {error.filename}")
                await asyncio.sleep(RETRY_S)
                pod, gone = worker.record.pod, worker.gone.is_set()
                worker = self._workers[uid] = PodWorker(self._node, pod)
                worker.update(pod)
                if gone:
                    worker.remove()
            else:
                del self._workers[uid]
                return

    async def _rotate_logs(self) -> None:
        """Rotate the logs of all containers that have become too large. Never returns."""
        interval_s = max(self._settings.window_s(LOG_MONITOR_INTERVAL_S), 1.0)
        while True:
            await asyncio.sleep(interval_s)
            for uid in list(self._workers):
                for log_file in (self._folder / "pods" / uid / "logs").glob("*/*.log"):
                    if log_rotation.is_too_large(log_file):
                        await asyncio.to_thread(log_rotation.rotate, log_file)

    def _end_unknown_pods(self) -> None:
        """End the processes of pods that no longer exist, and remove their folders."""
        known = {p["metadata"]["uid"] for p in self._objects.list(POD)}
        for id_ in self._runtime.ids():
            if id_.partition("/")[0] not in known:
                self._runtime.abandon(id_)
        for folder in (self._folder / "pods").glob("*"):
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)

    def _remove_leftovers(self, id_: str) -> None:
        """Remove the folder of a pod that is gone: a process that started after its end may have written to it."""
        uid = id_.partition("/")[0]
        if uid not in self._workers:
            shutil.rmtree(self._folder / "pods" / uid, ignore_errors=True)

    def _host_ip(self) -> str:
        node: Object = self._objects.find(NODE, None, self._settings.node) or {}
        addresses = node.get("status", {}).get("addresses", [])
        return next((str(a["address"]) for a in addresses if a["type"] == "InternalIP"), HOST_IP)

    def _free_pod_ip(self) -> str:
        used = {worker.record.state.pod_ip for worker in self._workers.values()}
        while True:
            self._last_ip = self._last_ip % 65_000 + 1
            ip = f"{POD_NETWORK}.{self._last_ip // 254}.{self._last_ip % 254 + 1}"
            if ip not in used:
                return ip
