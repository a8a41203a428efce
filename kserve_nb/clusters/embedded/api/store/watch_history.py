"""Recent changes of every kind: kept for a while for watches that start in the past, and sent to open watches."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from kserve_nb.clusters.embedded.api.entry import Entry
from kserve_nb.clusters.embedded.apimachinery.objects import ExpiredError, Kind

KEPT_PER_KIND, KEPT_BYTES_PER_KIND = 1000, 2**20  # changes of one kind that are kept for late watches
_CHANGE_BYTES = 512  # memory of a change without its object


@dataclass(slots=True)
class Change:
    """A change of an object: the object after it (for DELETED, the last version) and before it."""

    kind: Kind
    type: Literal["ADDED", "MODIFIED", "DELETED"]
    entry: Entry
    before: Entry | None
    lines: dict[Hashable, bytes] = field(default_factory=dict)  # its encoded watch events, by representation

    @property
    def size(self) -> int:
        """How many bytes the change keeps in memory."""
        return len(self.entry.data) + sum(map(len, self.lines.values())) + _CHANGE_BYTES


class WatchSubscription:
    """A queue with the changes of some kinds, for one reader.

    With `most_bytes`, the subscription is closed as soon as the changes that wait for the reader take more memory.
    """

    def __init__(self, kinds: Iterable[Kind], most_bytes: int | None):
        self.kinds = tuple(kinds)
        self.closed = False
        self._most_bytes = most_bytes
        self._pending: deque[Change] = deque()
        self._pending_bytes = 0
        self._wake = asyncio.Event()

    def push(self, change: Change) -> None:
        """Queue a change, or close the subscription if its reader is too far behind."""
        self._pending_bytes += change.size
        if self._most_bytes is not None and self._pending_bytes > self._most_bytes and self._pending:
            self._pending.clear()
            self.close()
        elif not self.closed:
            self._pending.append(change)
            self._wake.set()

    async def batch(self) -> list[Change]:
        """Wait for changes and return all that are queued; an empty list once the subscription is closed."""
        await self._wake.wait()
        changes = list(self._pending)
        self._pending.clear()
        self._pending_bytes = 0
        if not self.closed:
            self._wake.clear()
        return changes

    def close(self) -> None:
        """End the subscription: the reader still gets the queued changes, and no further ones."""
        self.closed = True
        self._wake.set()


class History:
    """The recent changes of every kind, and the subscriptions to further changes."""

    def __init__(self, version: int):
        self._floor: dict[Kind, int] = {}
        self._start = version
        self._changes: dict[Kind, deque[Change]] = {}
        self._bytes: Counter[Kind] = Counter()
        self._subscriptions: dict[Kind | None, list[WatchSubscription]] = {}  # None: subscriptions to all kinds

    def append(self, change: Change) -> None:
        """Keep a change and queue it for all subscriptions to its kind."""
        kept = self._changes.setdefault(change.kind, deque())
        kept.append(change)
        self._bytes[change.kind] += len(change.entry.data)
        while len(kept) > KEPT_PER_KIND or (self._bytes[change.kind] > KEPT_BYTES_PER_KIND and len(kept) > 1):
            dropped = kept.popleft().entry
            self._bytes[change.kind] -= len(dropped.data)
            self._floor[change.kind] = dropped.version
        for subscription in (*self._subscriptions.get(change.kind, ()), *self._subscriptions.get(None, ())):
            subscription.push(change)

    def since(self, kind: Kind, version: int) -> list[Change]:
        """The changes after a version. Raises ExpiredError if some of them are no longer kept."""
        floor = self._floor.get(kind, self._start)
        if version < floor:
            raise ExpiredError(410, "Expired", f"too old resource version: {version} ({floor})")
        return [change for change in self._changes.get(kind, ()) if change.entry.version > version]

    def subscribe(self, kinds: Iterable[Kind], most_bytes: int | None = None) -> WatchSubscription:
        """Queue every further change of these kinds, or of all kinds, for a new subscriber, until `unsubscribe`."""
        subscription = WatchSubscription(kinds, most_bytes)
        for kind in subscription.kinds or (None,):
            self._subscriptions.setdefault(kind, []).append(subscription)
        return subscription

    def unsubscribe(self, subscription: WatchSubscription) -> None:
        """Close a subscription and drop it."""
        subscription.close()
        for kind in subscription.kinds or (None,):
            self._subscriptions[kind].remove(subscription)

    def close(self) -> None:
        """Close all subscriptions: the server stops."""
        for subscriptions in self._subscriptions.values():
            for subscription in subscriptions:
                subscription.close()
