"""The queue of each revision: requests that wait for a free slot on one of its ready pods, first come, first served.

A slot is one request that a pod may handle at a time. Their number is the revision's `containerConcurrency`.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import Callable, Mapping

from kserve_nb.clusters.embedded.gateway.envoy_routes import Key, RevisionBackend

QUEUE_DEPTH = 10_000  # waiting requests per revision, the limit of Knative's activator


class QueueFullError(Exception):
    """The queue of a revision has reached its limit."""


class RequestQueues:
    """The queues of all revisions.

    Args:
        changed: called with a revision when the first request begins to wait for it, and when the last one stops.
    """

    def __init__(self, changed: Callable[[Key], None]):
        self.backends: Mapping[Key, RevisionBackend] = {}
        self.updated = asyncio.Event()  # set once the revisions are known
        self._changed = changed
        self._used_slots: Counter[str] = Counter()  # by address of the pod
        self._waiters: dict[Key, deque[asyncio.Future[None]]] = {}
        self._waiting: dict[Key, int] = {}

    def waiting(self, key: Key) -> int:
        """The number of requests that wait for a slot on a pod of that revision."""
        return self._waiting.get(key, 0)

    def update(self, backends: Mapping[Key, RevisionBackend]) -> None:
        """Replace the list of ready pods, and let waiting requests continue where there are slots now."""
        self.backends = backends
        self.updated.set()
        for key, waiters in list(self._waiters.items()):
            if self._free(key):
                self._wake(key, len(waiters))

    async def acquire(self, key: Key) -> str:
        """Wait for a free slot and return its pod's address; `release` frees it again. Raises QueueFullError."""
        while not (free := self._free(key)):
            if self.waiting(key) >= QUEUE_DEPTH:
                raise QueueFullError
            await self._wait(key)
        address = random.choice(free)
        self._used_slots[address] += 1
        return address

    def release(self, key: Key, address: str) -> None:
        """Free a slot."""
        self._used_slots[address] -= 1
        if not self._used_slots[address]:
            del self._used_slots[address]
        self._wake(key, 1)

    def _free(self, key: Key) -> list[str]:
        backend = self.backends.get(key, RevisionBackend())
        return [a for a in backend.addresses if not backend.concurrency or self._used_slots[a] < backend.concurrency]

    async def _wait(self, key: Key) -> None:
        woken = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(key, deque()).append(woken)
        self._count(key, 1)
        try:
            await woken
        except asyncio.CancelledError:
            if woken in self._waiters.get(key, ()):
                self._waiters[key].remove(woken)
                self._forget_if_empty(key)
            else:
                self._wake(key, 1)  # pass the slot on to the next request
            raise
        finally:
            self._count(key, -1)

    def _wake(self, key: Key, slots: int) -> None:
        waiters = self._waiters.get(key, deque())
        for _ in range(min(slots, len(waiters))):
            waiter = waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
        self._forget_if_empty(key)

    def _forget_if_empty(self, key: Key) -> None:
        if not self._waiters.get(key, True):
            del self._waiters[key]

    def _count(self, key: Key, step: int) -> None:
        before = self.waiting(key)
        self._waiting[key] = before + step
        if not self._waiting[key]:
            del self._waiting[key]
        if not before or not self.waiting(key):
            self._changed(key)
