"""The gateway's agent: brings Envoy where the ingress objects want it, and tells them when it is there."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

from kserve_nb.clusters.embedded.gateway import ingress_status
from kserve_nb.clusters.embedded.gateway.activator import Activator
from kserve_nb.clusters.embedded.gateway.admin import Admin, RejectedError, SilentError
from kserve_nb.clusters.embedded.gateway.envoy_bootstrap import BELL_FILE, bell_document, replace
from kserve_nb.clusters.embedded.gateway.files import DROP_AFTER_S, Files
from kserve_nb.clusters.embedded.gateway.gateway_view import KINDS, View
from kserve_nb.clusters.embedded.gateway.queues import Queues
from kserve_nb.clusters.embedded.gateway.request_counts import Traffic
from kserve_nb.clusters.embedded.gateway.routes import Key, Routing, routing
from kserve_nb.clusters.embedded.gateway.traffic_signal import doorbell
from kserve_nb.clusters.embedded.kinds import INGRESS, VIRTUAL_SERVICE
from kserve_nb.clusters.embedded.objects import Object, Objects, Settings, StatusError, key_of
from kserve_nb.values.labels import INGRESS_FINALIZER

log = logging.getLogger(__name__)
RETRY_S = 0.1


class Gateway:
    """Runs the gateway of a cluster: Envoy's files in `folder`, its admin port, and the activator on its own port.

    Envoy itself is started by others, with the command line of `write_bootstrap`, and may be restarted at any time.
    """

    def __init__(self, objects: Objects, settings: Settings, folder: Path, admin_port: int, activator_port: int):
        self._objects, self._settings, self._folder = objects, settings, folder
        self._admin_port, self._activator_port = admin_port, activator_port
        self._changed = asyncio.Event()
        self._view: View | None = None
        self._refused: Routing | None = None

    async def run(self) -> None:
        """Serve until cancelled."""
        async with Admin(self._admin_port) as admin:
            self._queues = Queues(self._waiting_changed)
            self._traffic = Traffic(self._objects, self._settings, admin, self._queues.waiting)
            self._files = Files(self._folder, admin)
            async with (Activator(self._queues).listening(self._activator_port), doorbell(self._traffic.ring) as port,
                        asyncio.TaskGroup() as group):
                replace(self._folder / BELL_FILE, bell_document(port))
                group.create_task(self._traffic.run())
                group.create_task(self._watch())
                group.create_task(self._work())

    def _waiting_changed(self, key: Key) -> None:
        self._traffic.waiting_changed(key)

    async def _watch(self) -> None:
        async for event in self._objects.watch(*KINDS):
            # Not before the watch has begun: what is listed now is followed from here on, and nothing was routed yet.
            if self._view is None:
                self._view = View(self._objects)
                self._changed.set()
            if self._view.note(event):
                self._changed.set()

    async def _work(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._view is None:
                continue
            try:
                await self._pass(self._view)
            except (SilentError, StatusError) as error:
                log.info("the gateway is not yet where it should be, trying again: %s", error)
                self._call_again(RETRY_S)
            except Exception:  # anybody may write an object that nobody thought of: the others must be served on
                log.exception("the gateway cannot make sense of the objects and waits for their next change")

    def _call_again(self, in_s: float) -> None:
        asyncio.get_running_loop().call_later(in_s, self._changed.set)

    async def _pass(self, view: View) -> None:
        """One change of Envoy: all that the objects want at this moment."""
        ingresses = list(view.all(INGRESS))
        staying = [i for i in ingresses if "deletionTimestamp" not in i["metadata"]]
        backends = view.backends()
        self._queues.update(backends)
        wanted = routing(staying, view.all(VIRTUAL_SERVICE), backends, f"127.0.0.1:{self._activator_port}")
        if wanted == self._refused:
            return
        new = [i for i in staying if not ingress_status.is_programmed(i)]
        for ingress in new:
            self._adopt(ingress)
        try:
            left_over = await self._files.apply(wanted)
        except RejectedError as error:
            log.error("%s", error)
            self._refused = wanted
            self._report(new, refusal=str(error))
            return
        if left_over:
            self._call_again(DROP_AFTER_S)
        if new:
            await self._traffic.observe()  # before anybody may find a revision that lost its traffic unused
        self._report(new)
        for ingress in ingresses:
            if ingress not in staying:
                self._release(ingress)

    def _adopt(self, ingress: Object) -> None:
        current = self._objects.find(INGRESS, *key_of(ingress))
        if current is None or ingress_status.is_programmed(current):  # newer than the view
            return
        if INGRESS_FINALIZER not in current["metadata"].get("finalizers", []):
            current["metadata"].setdefault("finalizers", []).append(INGRESS_FINALIZER)
            current = self._objects.update(INGRESS, current)
        current["status"] = ingress_status.waiting(current, time.time())
        self._objects.update_status(INGRESS, current)

    def _report(self, ingresses: list[Object], refusal: str | None = None) -> None:
        """Say what became of these ingresses, where nobody has changed them meanwhile."""
        for ingress in ingresses:
            current = self._objects.find(INGRESS, *key_of(ingress))
            if current is None or current["metadata"]["generation"] != ingress["metadata"]["generation"]:
                continue
            now = time.time()
            current["status"] = (ingress_status.programmed(current, now, self._settings) if refusal is None
                                 else ingress_status.refused(current, now, refusal))
            self._objects.update_status(INGRESS, current)

    def _release(self, ingress: Object) -> None:
        current = self._objects.find(INGRESS, *key_of(ingress))
        if current is not None and INGRESS_FINALIZER in current["metadata"].get("finalizers", []):
            current["metadata"]["finalizers"].remove(INGRESS_FINALIZER)
            self._objects.update(INGRESS, current)
