"""What went through the gateway, revision by revision: RevisionTraffic objects from Envoy's counters and the queues.

Nobody asks Envoy while there is no traffic. Envoy rings after requests (its access log goes to a socket of ours); then
its counters are read, at most once an interval, until they stand still.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable

from kserve_nb.clusters.embedded.gateway.admin import Admin, SilentError
from kserve_nb.clusters.embedded.gateway.routes import Key
from kserve_nb.clusters.embedded.kinds import REVISION, REVISION_TRAFFIC
from kserve_nb.clusters.embedded.objects import Object, Objects, Settings, StatusError, owner_reference, utc

log = logging.getLogger(__name__)
INTERVAL_S, SHORTEST_S = 2.0, 0.2  # Knative's autoscaler looks every 2 s
_PATTERN = r"^cluster\.[^.]+/[^.]+\.upstream_rq_(total|retry|active|pending_active)$"
_NAME = re.compile(r"cluster\.(?P<namespace>[^./]+)/(?P<name>[^.]+)\.upstream_rq_(?P<what>\w+)")


class Traffic:
    """Observes the traffic of all revisions. `waiting` tells how many requests wait for a pod of one."""

    def __init__(self, objects: Objects, settings: Settings, admin: Admin, waiting: Callable[[Key], int]):
        self._objects, self._admin, self._waiting = objects, admin, waiting
        self._interval_s = max(SHORTEST_S, settings.window_s(INTERVAL_S))
        self._rung = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._last = time.time()

    def ring(self) -> None:
        """Say that there were requests."""
        self._rung.set()

    async def run(self) -> None:
        """Read the counters whenever somebody rings, and until they stand still, for ever."""
        self.ring()  # an Envoy that outlived the last server has counted on
        while True:
            await self._rung.wait()
            self._rung.clear()
            if await self.observe():
                self.ring()
            await asyncio.sleep(self._interval_s)

    async def observe(self) -> bool:
        """Read the counters and write what they say. Whether there was any traffic."""
        async with self._one_at_a_time:
            try:
                stats = await self._admin.stats(_PATTERN)
            except SilentError:
                return False  # a new Envoy rings again
            now = time.time()
            # After a quiet time what is new has come within moments: Envoy has rung at once.
            passed_s, self._last = min(max(now - self._last, 0.001), self._interval_s), now
            moving = [key for key, counters in _by_revision(stats).items()
                      if self._account(key, counters, now, passed_s)]
            return bool(moving)

    def waiting_changed(self, key: Key) -> None:
        """Write at once that requests wait for a pod, or that none does any more: the autoscaler waits for it."""
        self._write(key, {"waiting": self._waiting(key), "lastRequestTime": utc(time.time())})
        self.ring()

    def _account(self, key: Key, counters: dict[str, int], now: float, passed_s: float) -> bool:
        before = (self._objects.find(REVISION_TRAFFIC, *key) or {}).get("status") or {}
        counter, last = counters.get("total", 0) - counters.get("retry", 0), before.get("counter", 0)
        # Beside what the autoscaler reads, the object holds Envoy's counter, so that another server can count on.
        new = counter - last if counter >= last else counter  # an Envoy that was started again counts from 0
        active = counters.get("active", 0) + counters.get("pending_active", 0)
        waiting = self._waiting(key)  # to Envoy they are on their way to a backend
        status: Object = {"counter": counter, "requests": before.get("requests", 0) + new, "waiting": waiting,
                          "concurrency": float(max(0, active - waiting)), "rps": round(new / passed_s, 3)}
        if new or active:
            status["lastRequestTime"] = utc(now)
        self._write(key, status)
        return bool(new or active)

    def _write(self, key: Key, status: Object) -> None:
        try:
            self._put(key, status)
        except StatusError as error:  # the revision or its namespace is on its way out
            log.debug("traffic of %s is not noted: %s", key, error)

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
