"""The one loop that runs every reconciler: queue of keys in, changes out.

A reconciler is a pure function of one object and a view of all others. It returns what to write; the loop writes it,
in order, and asks again when a write met a newer object. Nothing here knows what any reconciler does.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from kserve_nb.clusters.embedded.objects import Kind, Object, Objects, Settings, StatusError, WatchEvent, key_of

log = logging.getLogger(__name__)
Key = tuple[str | None, str]
RETRY_FIRST_S, RETRY_MOST_S = 0.005, 10.0
REFUSED_MOST_S = 1000.0  # between passes over an object that its controller cannot do anything with (client-go's most)


@dataclass(frozen=True)
class Moment:
    """What a reconciler may know besides the objects: the time and the cluster's settings."""

    now: float  # POSIX seconds
    settings: Settings


@dataclass
class Changes:
    """What a reconciler wants written, in order."""

    writes: list[Callable[[Objects], object]] = field(default_factory=list)
    events: list[tuple[Object, str, str, str, str]] = field(default_factory=list)
    again_in_s: float | None = None
    failed: bool = False

    def create(self, kind: Kind, body: Object) -> None:
        self.writes.append(lambda objects: objects.create(kind, body))

    def update(self, kind: Kind, body: Object) -> None:
        self.writes.append(lambda objects: objects.update(kind, body))

    def update_status(self, kind: Kind, body: Object) -> None:
        self.writes.append(lambda objects: objects.update_status(kind, body))

    def delete(self, kind: Kind, obj: Object, *, grace_period_s: float | None = None) -> None:
        namespace, name = key_of(obj)
        uid = obj["metadata"].get("uid")
        self.writes.append(
            lambda objects: objects.delete(kind, namespace, name, uid=uid, grace_period_s=grace_period_s))

    def event(self, about: Object, type_: str, reason: str, message: str, component: str) -> None:
        """Record an Event of `type_` Normal or Warning about an object, from the named controller."""
        self.events.append((about, type_, reason, message, component))

    def again(self, in_s: float) -> None:
        """Ask for another pass after so many seconds, or sooner if another change asks sooner."""
        self.again_in_s = in_s if self.again_in_s is None else min(self.again_in_s, in_s)

    def retry(self) -> None:
        """Ask for other passes, each after a longer pause, as a controller does whose pass returned an error."""
        self.failed = True


@dataclass(frozen=True)
class Reconciler:
    """A pure function and what wakes it: its own kind, children by owner reference, and other kinds by a mapping.

    With a lag for a kind, a pass begins so many seconds after a change of that kind woke it first, and sees all that
    happened until then.
    """

    name: str
    kind: Kind
    reconcile: Callable[[Object, Objects, Moment], Changes]
    owns: tuple[Kind, ...] = ()
    watches: Mapping[Kind, Callable[[Object, Objects], Iterable[Key]]] = field(default_factory=dict)
    lags_s: Mapping[Kind, float] = field(default_factory=dict)


def woken_by(reconciler: Reconciler, kind: Kind, obj: Object, view: Objects) -> Iterator[Key]:
    """The objects that a reconciler has to look at because an object of `kind` changed."""
    if reconciler.kind == kind:
        yield key_of(obj)
    if kind in reconciler.owns:
        for owner in obj["metadata"].get("ownerReferences", []):
            if (owner["kind"], owner["apiVersion"]) == (reconciler.kind.kind, reconciler.kind.api_version):
                yield obj["metadata"].get("namespace"), owner["name"]
    if kind in reconciler.watches:
        yield from reconciler.watches[kind](obj, view)


class Loop:
    """Runs reconcilers over a store until it is cancelled."""

    def __init__(self, objects: Objects, settings: Settings, reconcilers: Iterable[Reconciler],
                 record: Callable[[Objects, Moment, tuple[Object, str, str, str, str]], None]):
        self.objects, self.settings, self.reconcilers, self._record = objects, settings, tuple(reconcilers), record
        self._queue: dict[tuple[int, Key], None] = {}  # ordered, without doubles
        self._timers: dict[tuple[int, Key], asyncio.TimerHandle] = {}
        self._failures: dict[tuple[int, Key], int] = {}
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Watch and reconcile for ever."""
        kinds = {k for r in self.reconcilers for k in (r.kind, *r.owns, *r.watches)}
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch(*kinds))
            group.create_task(self._work())

    async def _watch(self, *kinds: Kind) -> None:
        by_kind = {(k.api_version, k.kind): k for k in kinds}
        async for event in self.objects.watch(*kinds):
            if event.type != "BOOKMARK":
                try:
                    self._enqueue(by_kind[event.object["apiVersion"], event.object["kind"]], event)
                except Exception:  # one odd object must not end the loop for all others
                    log.exception("nobody can be woken by %s", key_of(event.object))

    def _enqueue(self, kind: Kind, event: WatchEvent) -> None:
        for index, reconciler in enumerate(self.reconcilers):
            lag_s = reconciler.lags_s.get(kind, 0.0)
            for key in woken_by(reconciler, kind, event.object, self.objects):
                if lag_s:
                    self._add_later(index, key, lag_s)
                else:
                    self._add(index, key)

    def _add(self, index: int, key: Key) -> None:
        self._queue[index, key] = None
        self._wake.set()

    def _add_later(self, index: int, key: Key, delay_s: float) -> None:
        loop, entry = asyncio.get_running_loop(), (index, key)
        timer = self._timers.get(entry)
        if timer is not None and timer.when() <= loop.time() + delay_s:
            return
        if timer is not None:
            timer.cancel()
        self._timers[entry] = loop.call_later(delay_s, self._due, entry)

    def _due(self, entry: tuple[int, Key]) -> None:
        del self._timers[entry]
        self._add(*entry)

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            while self._queue:
                entry = next(iter(self._queue))
                del self._queue[entry]
                self._pass(*entry)
                await asyncio.sleep(0)  # requests and watches get their turn between two passes
            self._wake.clear()

    def _pass(self, index: int, key: Key) -> None:
        reconciler = self.reconcilers[index]
        obj = self.objects.find(reconciler.kind, *key)
        if obj is None:
            self._failures.pop((index, key), None)
            return
        moment = Moment(time.time(), self.settings)
        try:
            changes = reconciler.reconcile(obj, self.objects, moment)
            for write in changes.writes:
                write(self.objects)
            for event in changes.events:
                self._record(self.objects, moment, event)
        except StatusError as error:
            self._retry(index, key, error)
        except Exception:
            log.exception("%s failed for %s", reconciler.name, key)
            self._retry(index, key, None)
        else:
            self._settle(index, key, changes)

    def _settle(self, index: int, key: Key, changes: Changes) -> None:
        if changes.failed:
            self._retry(index, key, None, REFUSED_MOST_S)
        else:
            self._failures.pop((index, key), None)
        if changes.again_in_s is not None:
            self._add_later(index, key, changes.again_in_s)

    def _retry(self, index: int, key: Key, error: StatusError | None, most_s: float = RETRY_MOST_S) -> None:
        count = self._failures[index, key] = self._failures.get((index, key), 0) + 1
        if error is not None and count > 3:
            log.warning("%s of %s is refused: %s", self.reconcilers[index].name, key, error.message)
        self._add_later(index, key, min(RETRY_FIRST_S * 2 ** min(count, 30), most_s))
