"""Counts the requests of each revision, from Envoy's statistics and the queues, in RevisionTraffic objects.

Envoy is not polled while there is no traffic. Its access log, which goes to `access_log_listener`, announces requests.
Then its counters are read, at most once per interval, until they no longer change.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable

from kserve_nb.clusters.embedded.apimachinery.kinds import REVISION, REVISION_TRAFFIC
from kserve_nb.clusters.embedded.apimachinery.objects import (
    Object,
    Objects,
    Settings,
    StatusError,
    owner_reference,
    utc,
)
from kserve_nb.clusters.embedded.gateway.envoy_admin import EnvoyAdmin, EnvoyUnavailableError
from kserve_nb.clusters.embedded.gateway.envoy_routes import Key

log = logging.getLogger(__name__)
INTERVAL_S, SHORTEST_S = 2.0, 0.2  # Knative's autoscaler runs every 2 s
_PATTERN = r"^cluster\.[^.]+/[^.]+\.upstream_rq_(total|retry|active|pending_active)$"
_NAME = re.compile(r"cluster\.(?P<namespace>[^./]+)/(?P<name>[^.]+)\.upstream_rq_(?P<what>\w+)")


class RequestCounts:
    """Observes the requests of all revisions.

    Args:
        waiting: returns the number of requests that wait for a pod of a revision.
    """

    def __init__(self, objects: Objects, settings: Settings, admin: EnvoyAdmin, waiting: Callable[[Key], int]):
        self._objects, self._admin, self._waiting = objects, admin, waiting
        self._interval_s = max(SHORTEST_S, settings.window_s(INTERVAL_S))
        self._notified = asyncio.Event()
        self._lock = asyncio.Lock()
        self._last = time.time()

    def notify(self) -> None:
        """Read the counters soon: there were requests."""
        self._notified.set()

    async def run(self) -> None:
        """Read the counters after each notification, until they no longer change. Runs until cancelled."""
        self.notify()  # Envoy may have counted requests while this process was not running
        while True:
            await self._notified.wait()
            self._notified.clear()
            if await self.observe():
                self.notify()
            await asyncio.sleep(self._interval_s)

    async def observe(self) -> bool:
        """Read the counters and write the RevisionTraffic objects. True if there was any traffic."""
        async with self._lock:
            try:
                stats = await self._admin.stats(_PATTERN)
            except EnvoyUnavailableError:
                return False  # a restarted Envoy sends a notification with its first request
            now = time.time()
            # After an idle period the new requests are no older than one interval, because Envoy notifies at once.
            passed_s, self._last = min(max(now - self._last, 0.001), self._interval_s), now
            moving = [key for key, counters in _by_revision(stats).items()
                      if self._account(key, counters, now, passed_s)]
            return bool(moving)

    def waiting_changed(self, key: Key) -> None:
        """Write at once that requests wait for a pod, or no longer do: the autoscaler starts pods because of it."""
        self._write(key, {"waiting": self._waiting(key), "lastRequestTime": utc(time.time())})
        self.notify()

    def _account(self, key: Key, counters: dict[str, int], now: float, passed_s: float) -> bool:
        before = (self._objects.find(REVISION_TRAFFIC, *key) or {}).get("status") or {}
        counter, last = counters.get("total", 0) - counters.get("retry", 0), before.get("counter", 0)
        # The object also holds Envoy's counter, so that a restarted server process can continue the count.
        new = counter - last if counter >= last else counter  # a restarted Envoy counts from 0
        active = counters.get("active", 0) + counters.get("pending_active", 0)
        waiting = self._waiting(key)  # Envoy counts them as active
        status: Object = {"counter": counter, "requests": before.get("requests", 0) + new, "waiting": waiting,
                          "concurrency": float(max(0, active - waiting)), "rps": round(new / passed_s, 3)}
        if new or active:
            status["lastRequestTime"] = utc(now)
        self._write(key, status)
        return bool(new or active)

    def _write(self, key: Key, status: Object) -> None:
        try:
            self._put(key, status)
        except StatusError as error:  # the revision or its namespace is being deleted
            log.debug("cannot write the request count of revision %s: %s", key, error)

    def _put(self, key: Key, status: Object) -> None:
        traffic = self._objects.find(REVISION_TRAFFIC, *key)
        if traffic is None:
            revision = self._objects.find(REVISION, *key)
            if revision is None or "lastRequestTime" not in status:
                return
            traffic = self._objects.create(REVISION_TRAFFIC, {
                "apiVersion": REVISION_TRAFFIC.api_version, "kind": REVISION_TRAFFIC.kind,
                "metadata": {"namespace": key[0], "name": key[1], "ownerReferences": [owner_reference(revision)]}})
        empty = {"requests": 0, "concurrency": 0.0, "rps": 0.0}
        traffic["status"] = {**empty, **(traffic.get("status") or {}), **status}
        self._objects.update_status(REVISION_TRAFFIC, traffic)


def _by_revision(stats: dict[str, int | str]) -> dict[Key, dict[str, int]]:
    found: dict[Key, dict[str, int]] = {}
    for name, value in stats.items():
        if match := _NAME.fullmatch(name):
            found.setdefault((match["namespace"], match["name"]), {})[match["what"]] = int(value)
    return found
