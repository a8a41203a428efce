"""What changed lately: kept a while for watches that begin in the past, and handed to those that are open."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from kserve_nb.clusters.embedded.api.entry import Entry
from kserve_nb.clusters.embedded.objects import ExpiredError, Kind

# Changes of one kind that a late watch can still ask for: so many, or so many bytes of objects.
KEPT_PER_KIND, KEPT_BYTES_PER_KIND = 1000, 2**20


@dataclass(slots=True)
class Change:
    """One change of one object: the object after it (of DELETED: the last there was) and before it."""

    kind: Kind
    type: Literal["ADDED", "MODIFIED", "DELETED"]
    entry: Entry
    before: Entry | None
    lines: dict[Hashable, bytes] = field(default_factory=dict)  # what watchers were sent, by representation


class Subscription:
    """The changes of some kinds, in order, for one reader."""

    def __init__(self, kinds: Iterable[Kind], most: int | None):
        self.kinds = tuple(kinds)
        self.closed = False
        self._most = most
        self._pending: deque[Change] = deque()
        self._wake = asyncio.Event()

    def push(self, change: Change) -> None:
        """Hand a change to the reader. One that lags by more than `most` changes is closed: it must begin anew."""
        if self._most is not None and len(self._pending) >= self._most:
            self.close()
            return
        self._pending.append(change)
        self._wake.set()

    async def batch(self) -> list[Change]:
        """All changes since the last call, at least one; empty once the subscription is closed."""
        await self._wake.wait()
        changes = list(self._pending)
        self._pending.clear()
        if not self.closed:
            self._wake.clear()
        return changes

    def close(self) -> None:
        """Wake the reader for the last time."""
        self.closed = True
        self._wake.set()


class History:
    """The latest changes of every kind and the subscriptions to what comes."""

    def __init__(self, version: int):
        self._floor: dict[Kind, int] = {}
        self._start = version
        self._changes: dict[Kind, deque[Change]] = {}
        self._bytes: Counter[Kind] = Counter()
        self._subscriptions: dict[Kind | None, list[Subscription]] = {}  # of all kinds: under None

    def append(self, change: Change) -> None:
        """Keep a change and hand it to all who wait for it."""
        kept = self._changes.setdefault(change.kind, deque())
        kept.append(change)
        self._bytes[change.kind] += len(change.entry.data)
        while len(kept) > KEPT_PER_KIND or (self._bytes[change.kind] > KEPT_BYTES_PER_KIND and len(kept) > 1):
            forgotten = kept.popleft().entry
            self._bytes[change.kind] -= len(forgotten.data)
            self._floor[change.kind] = forgotten.version
        for subscription in (*self._subscriptions.get(change.kind, ()), *self._subscriptions.get(None, ())):
            subscription.push(change)

    def since(self, kind: Kind, version: int) -> list[Change]:
        """The changes after a version. Raises ExpiredError where some of them are no longer kept."""
        floor = self._floor.get(kind, self._start)
        if version < floor:
            raise ExpiredError(410, "Expired", f"too old resource version: {version} ({floor})")
        return [change for change in self._changes.get(kind, ()) if change.entry.version > version]

    def subscribe(self, kinds: Iterable[Kind], most: int | None = None) -> Subscription:
        """Hand out every change of these kinds, or of all kinds, from now on. End it with `unsubscribe`."""
        subscription = Subscription(kinds, most)
        for kind in subscription.kinds or (None,):
            self._subscriptions.setdefault(kind, []).append(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Hand it nothing more."""
        subscription.close()
        for kind in subscription.kinds or (None,):
            self._subscriptions[kind].remove(subscription)

    def close(self) -> None:
        """Close all subscriptions, as a server does before it stops."""
        for subscriptions in self._subscriptions.values():
            for subscription in subscriptions:
                subscription.close()
