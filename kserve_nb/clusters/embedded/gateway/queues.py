"""Who waits for a place on a ready pod, revision by revision, first come, first served."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping

from kserve_nb.clusters.embedded.gateway.routes import Backend, Key

QUEUE_DEPTH = 10_000  # for a revision, as Knative's activator has it


class QueueFullError(Exception):
    """As many requests wait for this revision as may."""


class Queues:
    """Places on pods. `changed` is called when requests begin or cease to wait for a revision."""

    def __init__(self, changed: Callable[[Key], None]):
        self.backends: Mapping[Key, Backend] = {}
        self._changed = changed
        self._taken: Counter[str] = Counter()  # places by address
        self._waiters: defaultdict[Key, deque[asyncio.Future[None]]] = defaultdict(deque)
        self._waiting: Counter[Key] = Counter()

    def waiting(self, key: Key) -> int:
        """How many requests wait for a place on a pod of that revision."""
        return self._waiting[key]

    def update(self, backends: Mapping[Key, Backend]) -> None:
        """Tell which pods are ready now."""
        self.backends = backends
        for key, waiters in self._waiters.items():
            if self._free(key):
                self._wake(key, len(waiters))

    async def take(self, key: Key) -> str:
        """The address of a pod with a free place, once there is one; `leave` gives it back. Raises QueueFullError."""
        while not (free := self._free(key)):
            if self._waiting[key] >= QUEUE_DEPTH:
                raise QueueFullError
            await self._wait(key)
        address = random.choice(free)
        self._taken[address] += 1
        return address

    def leave(self, key: Key, address: str) -> None:
        """Give a place back."""
        self._taken[address] -= 1
        if not self._taken[address]:
            del self._taken[address]
        self._wake(key, 1)

    def _free(self, key: Key) -> list[str]:
        backend = self.backends.get(key, Backend())
        return [a for a in backend.addresses if not backend.concurrency or self._taken[a] < backend.concurrency]

    async def _wait(self, key: Key) -> None:
        woken = asyncio.get_running_loop().create_future()
        self._waiters[key].append(woken)
        self._count(key, 1)
        try:
            await woken
        except asyncio.CancelledError:
            if woken in self._waiters[key]:
                self._waiters[key].remove(woken)
            else:
                self._wake(key, 1)  # the place that this one will not take
            raise
        finally:
            self._count(key, -1)

    def _wake(self, key: Key, places: int) -> None:
        waiters = self._waiters[key]
        for _ in range(min(places, len(waiters))):
            waiter = waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)

    def _count(self, key: Key, step: int) -> None:
        before = self._waiting[key]
        self._waiting[key] += step
        if not before or not self._waiting[key]:
            self._changed(key)
