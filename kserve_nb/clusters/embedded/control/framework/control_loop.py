"""The loop that runs all reconcilers: it queues changed objects, calls the reconcilers and writes their changes.

It contains no rule of any reconciler. A reconciler whose write is refused, for example because the object has changed
meanwhile, runs again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable

from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Objects, Settings, StatusError, WatchEvent, key_of
from kserve_nb.clusters.embedded.control.framework.reconciler import (
    Changes,
    Event,
    Key,
    Moment,
    Reconciler,
    keys_to_queue,
)

log = logging.getLogger(__name__)
RETRY_FIRST_S, RETRY_MOST_S = 0.005, 10.0
FAILED_MOST_S = 1000.0  # longest back-off after `Changes.retry`, the default of client-go's rate limiter
_Entry = tuple[int, Key]  # index of the reconciler, and the object


class ControlLoop:
    """Runs reconcilers over a store until it is cancelled."""

    def __init__(self, objects: Objects, settings: Settings, reconcilers: Iterable[Reconciler],
                 record: Callable[[Objects, Moment, Event], None]):
        self.objects, self.settings, self.reconcilers, self._record = objects, settings, tuple(reconcilers), record
        self._queue: dict[_Entry, None] = {}  # ordered, without duplicates
        self._timers: dict[_Entry, asyncio.TimerHandle] = {}
        self._failures: dict[_Entry, int] = {}
        self._queued = asyncio.Event()

    async def run(self) -> None:
        """Watch and reconcile until cancelled."""
        kinds = {k for r in self.reconcilers for k in (r.kind, *r.owns, *r.watches)}
        all_kinds = any(reconciler.watches_others for reconciler in self.reconcilers)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch(*(() if all_kinds else kinds)))
            group.create_task(self._work())

    async def _watch(self, *kinds: Kind) -> None:
        async for event in self.objects.watch(*kinds):
            kind = self.objects.kinds.of_object(event.object)
            if event.type != "BOOKMARK" and kind is not None:
                try:
                    self._enqueue(kind, event)
                except Exception:  # one malformed object must not stop the loop for all others
                    log.exception("cannot queue a reconciler for the change of %s", key_of(event.object))

    def _enqueue(self, kind: Kind, event: WatchEvent) -> None:
        for index, reconciler in enumerate(self.reconcilers):
            delay_s = reconciler.delays_s.get(kind, 0.0)
            for key in keys_to_queue(reconciler, kind, event.object, self.objects):
                if delay_s:
                    self._add_later((index, key), delay_s)
                else:
                    self._add((index, key))

    def _add(self, entry: _Entry) -> None:
        self._queue[entry] = None
        self._queued.set()

    def _add_later(self, entry: _Entry, delay_s: float) -> None:
        loop = asyncio.get_running_loop()
        timer = self._timers.get(entry)
        if timer is not None and timer.when() <= loop.time() + delay_s:
            return
        if timer is not None:
            timer.cancel()
        self._timers[entry] = loop.call_later(delay_s, self._timer_due, entry)

    def _timer_due(self, entry: _Entry) -> None:
        del self._timers[entry]
        self._add(entry)

    async def _work(self) -> None:
        while True:
            await self._queued.wait()
            while self._queue:
                entry = next(iter(self._queue))
                del self._queue[entry]
                self._reconcile(entry)
                await asyncio.sleep(0)  # let requests and watches run between two reconcilers
            self._queued.clear()

    def _reconcile(self, entry: _Entry) -> None:
        index, key = entry
        reconciler = self.reconcilers[index]
        obj = self.objects.find(reconciler.kind, *key)
        if obj is None:
            self._failures.pop(entry, None)
            return
        moment = Moment(time.time(), self.settings)
        try:
            changes = reconciler.reconcile(obj, self.objects, moment)
            objects = self.objects.as_manager(reconciler.manager)
            for write in changes.writes:
                write(objects)
            for event in changes.events:
                self._record(objects, moment, event)
        except StatusError as error:
            self._retry(entry, error)
        except Exception:
            log.exception("reconciler %s failed for %s", reconciler.name, key)
            self._retry(entry, None)
        else:
            self._requeue(entry, changes)

    def _requeue(self, entry: _Entry, changes: Changes) -> None:
        if changes.failed:
            self._retry(entry, None, FAILED_MOST_S)
        else:
            self._failures.pop(entry, None)
        if changes.requeue_after_s is not None:
            self._add_later(entry, changes.requeue_after_s)

    def _retry(self, entry: _Entry, error: StatusError | None, most_s: float = RETRY_MOST_S) -> None:
        count = self._failures[entry] = self._failures.get(entry, 0) + 1
        if error is not None and count > 3:
            log.warning("a write of reconciler %s for %s was refused %d times: %s",
                        self.reconcilers[entry[0]].name, entry[1], count, error.message)
        self._add_later(entry, min(RETRY_FIRST_S * 2 ** min(count, 30), most_s))
