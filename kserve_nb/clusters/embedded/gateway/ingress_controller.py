"""The ingress controller: configures Envoy from the Ingress objects and writes their status."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

from kserve_nb.clusters.embedded.addresses import of_socket
from kserve_nb.clusters.embedded.apimachinery.kinds import INGRESS, VIRTUAL_SERVICE
from kserve_nb.clusters.embedded.apimachinery.objects import Object, Objects, Settings, StatusError, key_of
from kserve_nb.clusters.embedded.gateway import ingress_status
from kserve_nb.clusters.embedded.gateway.access_log_listener import listen
from kserve_nb.clusters.embedded.gateway.activator import Activator
from kserve_nb.clusters.embedded.gateway.envoy_admin import (
    ConfigurationRejectedError,
    EnvoyAdmin,
    EnvoyUnavailableError,
)
from kserve_nb.clusters.embedded.gateway.envoy_bootstrap import ACCESS_LOG_SOCKET, ACTIVATOR_SOCKET, ADMIN_SOCKET
from kserve_nb.clusters.embedded.gateway.envoy_files import REMOVE_AFTER_S, EnvoyFiles
from kserve_nb.clusters.embedded.gateway.envoy_routes import EnvoyConfig, Key, envoy_config
from kserve_nb.clusters.embedded.gateway.object_cache import KINDS, ObjectCache
from kserve_nb.clusters.embedded.gateway.request_counts import RequestCounts
from kserve_nb.clusters.embedded.gateway.request_queues import RequestQueues
from kserve_nb.values.labels import INGRESS_FINALIZER

log = logging.getLogger(__name__)
RETRY_S = 0.1


class Gateway:
    """The gateway of a cluster: the controller of a running Envoy, and the activator.

    The supervisor starts Envoy, with the command line of `write_bootstrap`, and may restart it at any time.

    Args:
        folder: contains the files from which Envoy reads its configuration.
        sockets: contains the socket files of Envoy's admin interface and of the activator.
    """

    def __init__(self, objects: Objects, settings: Settings, folder: Path, sockets: Path):
        self._objects, self._settings, self._folder = objects, settings, folder
        self._sockets = sockets
        self._changed = asyncio.Event()
        self._cache: ObjectCache | None = None
        self._rejected: EnvoyConfig | None = None

    async def run(self) -> None:
        """Serve until cancelled."""
        async with EnvoyAdmin(self._sockets / ADMIN_SOCKET) as admin:
            self._queues = RequestQueues(self._waiting_changed)
            self._counts = RequestCounts(self._objects, self._settings, admin, self._queues.waiting)
            self._files = EnvoyFiles(self._folder, admin)
            async with (Activator(self._queues).listening(self._sockets / ACTIVATOR_SOCKET),
                        listen(self._sockets / ACCESS_LOG_SOCKET, self._counts.notify), asyncio.TaskGroup() as group):
                group.create_task(self._counts.run())
                group.create_task(self._watch())
                group.create_task(self._work())

    def _waiting_changed(self, key: Key) -> None:
        self._counts.waiting_changed(key)

    async def _watch(self) -> None:
        async for event in self._objects.watch(*KINDS):
            # List the objects after the watch has begun, so that no later change is missed.
            if self._cache is None:
                self._cache = ObjectCache(self._objects)
                self._changed.set()
            if self._cache.apply(event):
                self._changed.set()

    async def _work(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._cache is None:
                continue
            try:
                await self._reconcile(self._cache)
            except (EnvoyUnavailableError, StatusError, OSError) as error:  # OSError: the disk is full
                log.info("the gateway could not be configured and will be in %g s: %s", RETRY_S, error)
                self._reconcile_later(RETRY_S)
            except Exception:  # one malformed object must not stop the gateway for all others
                log.exception("cannot configure the gateway from the current objects; waiting for their next change")

    def _reconcile_later(self, in_s: float) -> None:
        asyncio.get_running_loop().call_later(in_s, self._changed.set)

    async def _reconcile(self, cache: ObjectCache) -> None:
        """Configure Envoy from the objects as they are now, and report the result in their status."""
        ingresses = list(cache.all(INGRESS))
        staying = [i for i in ingresses if "deletionTimestamp" not in i["metadata"]]
        backends = cache.backends()
        self._queues.update(backends)
        wanted = envoy_config(staying, cache.all(VIRTUAL_SERVICE), backends,
                              of_socket(self._sockets / ACTIVATOR_SOCKET))
        if wanted == self._rejected:
            return
        new = [i for i in staying if not ingress_status.is_programmed(i)]
        for ingress in new:
            self._mark_waiting(ingress)
        try:
            has_unused_clusters = await self._files.apply(wanted)
        except ConfigurationRejectedError as error:
            log.error("%s", error)
            self._rejected = wanted
            self._report(new, rejection=str(error))
            return
        if has_unused_clusters:
            self._reconcile_later(REMOVE_AFTER_S)
        if new:
            await self._counts.observe()  # so that a revision that has just lost its traffic counts as recently used
        self._report(new)
        for ingress in ingresses:
            if ingress not in staying:
                self._release(ingress)

    def _mark_waiting(self, ingress: Object) -> None:
        """Add the gateway's finalizer to an Ingress, and report that its routes are being loaded."""
        current = self._objects.find(INGRESS, *key_of(ingress))
        if current is None or ingress_status.is_programmed(current):  # newer than the cache
            return
        if INGRESS_FINALIZER not in current["metadata"].get("finalizers", []):
            current["metadata"].setdefault("finalizers", []).append(INGRESS_FINALIZER)
            current = self._objects.update(INGRESS, current)
        current["status"] = ingress_status.waiting(current, time.time())
        self._objects.update_status(INGRESS, current)

    def _report(self, ingresses: list[Object], rejection: str | None = None) -> None:
        """Write the status of these Ingresses, unless their spec has changed meanwhile."""
        for ingress in ingresses:
            current = self._objects.find(INGRESS, *key_of(ingress))
            if current is None or current["metadata"]["generation"] != ingress["metadata"]["generation"]:
                continue
            now = time.time()
            current["status"] = (ingress_status.programmed(current, now, self._settings) if rejection is None
                                 else ingress_status.rejected(current, now, rejection))
            self._objects.update_status(INGRESS, current)

    def _release(self, ingress: Object) -> None:
        current = self._objects.find(INGRESS, *key_of(ingress))
        if current is not None and INGRESS_FINALIZER in current["metadata"].get("finalizers", []):
            current["metadata"]["finalizers"].remove(INGRESS_FINALIZER)
            self._objects.update(INGRESS, current)
