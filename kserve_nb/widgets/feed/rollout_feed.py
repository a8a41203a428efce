"""One feed a rollout: its objects are watched, made one snapshot, and handed to every widget that has joined."""

from __future__ import annotations

import functools
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from IPython import get_ipython  # type: ignore[attr-defined]  # IPython exports it without saying so

from kserve_nb.access.api_client import Client, RefusedError
from kserve_nb.observe.history import RequestBatch, RolloutHistory, TimelineFrame
from kserve_nb.observe.snapshot import KINDS, DeletedPod, Observed, Snapshot, belongs_to, clock, snapshot_of
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.rollout.sampling import Tally
from kserve_nb.values.split import Split
from kserve_nb.widgets.drawing.markup import with_faces
from kserve_nb.widgets.feed.object_watch import Watch
from kserve_nb.widgets.feed.throttle import Clock, Machine, Pace

STALE_S = 5.0  # without an answer of the cluster
FIRST_LOOK_S = 2.0  # that a cell waits for, so that its saved text is not empty
GHOST_S = 60.0  # that a pod stays in view after it went
_CONTACT_S = 2.0  # between two questions whether the cluster is there
_TELL_S = 5.0  # after which the last snapshot is handed on once more
_FRAMES_KEPT = 600
_GHOSTS_KEPT = 20

Taker = Callable[[Snapshot], None]


class Live:
    """A rollout as its cluster shows it, until `close()`, handed on at most 4 times a second.

    Its threads are one a kind of object, one that asks whether the cluster is there, and one that hands on.
    """

    def __init__(self, client: Client, name: str, clock: Clock | None = None):
        self._client, self._name, self._clock = client, name, clock or Machine()
        self._lock = threading.RLock()
        self._takers: list[Taker] = []
        self._frames: deque[TimelineFrame] = deque(maxlen=_FRAMES_KEPT)
        self._samples: deque[RequestBatch] = deque(maxlen=_FRAMES_KEPT)
        self._ghosts: tuple[DeletedPod, ...] = ()
        self._observed: Observed | None = None
        self._heard, self._outage = 0.0, ""  # when the cluster last answered, and why it does not
        self._told = self._clock.now()
        self._changed, self._first, self._closed = threading.Event(), threading.Event(), threading.Event()
        self.snapshot = self._base = Snapshot(name, client.namespace, client.server)
        self._pace = Pace(self._draw, self._clock, f"picture of {name}")
        self._watches = {
            kind: Watch(client, kind, functools.partial(belongs_to, name, kind), self._touch) for kind in KINDS
        }
        self._contact = threading.Thread(target=self._keep_contact, name=f"contact of {name}", daemon=True)
        self._contact.start()
        self._pace.start()

    @property
    def closed(self) -> bool:
        """Whether all its threads have ended."""
        return self._pace.closed and not self._contact.is_alive() and all(w.closed for w in self._watches.values())

    def join(self, taker: Taker) -> None:
        """Hand the snapshot to one more taker, now and whenever it changes, on the feed's thread."""
        with self._lock:
            self._takers.append(taker)
            taker(self.snapshot)

    def leave(self, taker: Taker) -> int:
        """Hand it nothing any more; says how many are left."""
        with self._lock:
            self._takers.remove(taker)
            return len(self._takers)

    def wait_first(self, timeout_s: float) -> bool:
        """Wait until the cluster was seen, or was not there; False where that takes longer."""
        return self._first.wait(timeout_s)

    def observe(self, batch: Tally) -> None:
        """Add the answers to a batch of requests."""
        sample = RequestBatch(self._clock.now(), batch.latest, batch.hits, batch.split.attributed, batch.split.failed)
        with self._lock:
            self._samples.append(sample)
            self._observed = (self._observed or Observed(replace(batch, split=Split({})))).plus(batch)
        self._touch()

    def sample(self) -> Tally | None:
        """The requests counted since traffic last moved."""
        with self._lock:
            return self._observed.tally if self._observed else None

    def forget(self) -> None:
        """Begin to count anew."""
        with self._lock:
            self._observed = None
        self._touch()

    def history(self) -> RolloutHistory:
        """What it went through since the feed began."""
        with self._lock:
            seen, samples = tuple(self._frames), tuple(self._samples)
            return RolloutHistory(self._name, seen, self.snapshot.events, self._clock.now(), samples)

    def close(self) -> None:
        """End the watches and the threads; a second time does nothing."""
        self._closed.set()
        self._pace.close()
        for watch in self._watches.values():
            watch.close()
        if threading.current_thread() is not self._contact:
            self._contact.join(timeout=5)

    # --- the cluster is there ------------------------------------------------------------------------------------

    def _touch(self) -> None:
        self._changed.set()
        self._pace.touch()

    def _keep_contact(self) -> None:
        while not self._closed.is_set():
            try:
                self._client.require_contact()
            except Exception as error:  # a thread has no cell to raise into
                self._outage = str(error) if isinstance(error, RefusedError) else f"{type(error).__name__}: {error}"
                self._pace.touch()
            else:
                self._back()
            self._closed.wait(_CONTACT_S)

    def _back(self) -> None:
        lost, self._outage = bool(self._outage), ""
        self._heard = self._clock.now()
        if lost:
            for watch in self._watches.values():
                watch.begin_anew()
            self._touch()

    # --- what is handed on ---------------------------------------------------------------------------------------

    def _draw(self) -> None:
        changed = self._changed.is_set()
        self._changed.clear()
        with self._lock:
            if changed and self._looked():
                self._base = self._look()
            now = self._timed()
            if now != self.snapshot:
                self._hand_on(now)
            elif self._clock.now() - self._told > _TELL_S:
                self._tell()  # nothing is new, but who draws an axis of time draws it longer
        if self._looked() or self._outage:
            self._first.set()

    def _looked(self) -> bool:
        return all(watch.looked for watch in self._watches.values())

    def _look(self) -> Snapshot:
        """The snapshot of the objects there are; the last good one with the reason, where they cannot be had."""
        error = next((watch.error for watch in self._watches.values() if watch.error), "")
        if error:
            return replace(self._base, state="error", reason=error, observed=self._observed)
        found = snapshot_of(self._name, {kind: watch.objects() for kind, watch in self._watches.items()})
        alive = {pod.name for pod in found.pods}
        gone = [DeletedPod(pod, self._clock.now()) for pod in self._base.pods if pod.name not in alive]
        self._ghosts = (*self._ghosts, *gone)[-_GHOSTS_KEPT:]
        return replace(found, namespace=self._client.namespace, source=self._client.server, observed=self._observed)

    def _timed(self) -> Snapshot:
        """What time alone changes: how old it is, and which ghosts are still shown."""
        now = self._clock.now()
        self._ghosts = tuple(ghost for ghost in self._ghosts if now - ghost.deleted_at < GHOST_S)
        timed = replace(self._base, deleted_pods=self._ghosts, at=self._heard)
        silent = now - self._heard if self._heard else 0.0
        if silent > STALE_S or (self._outage and not self._heard):
            return replace(timed, state="stale", age_s=int(silent // STALE_S * STALE_S), reason=self._outage)
        return timed

    def _hand_on(self, now: Snapshot) -> None:
        self.snapshot = replace(now, seq=self.snapshot.seq + 1)
        frame = TimelineFrame.of(self.snapshot, self._clock.now())
        if not self._frames or not frame.same(self._frames[-1]):
            self._frames.append(frame)
        self._tell()

    def _tell(self) -> None:
        self._told = self._clock.now()
        for taker in tuple(self._takers):
            taker(self.snapshot)


_LIVE: WeakKeyDictionary[Client, dict[str, Live]] = WeakKeyDictionary()
_LIVE_LOCK = threading.Lock()


def leave(widget: Any) -> None:
    """Give up a widget's seat, where it has come to have one: ipywidgets closes what could not be made as well."""
    seat: Seat | None = widget.__dict__.get("_seat")
    if seat is not None:
        seat.leave()


def faces_of(widget: Any, bundle: Any) -> dict[str, Any]:
    """A widget's mime bundle with its words as text and as HTML; the HTML says when that was, as it may be saved."""
    widget._seat.live.wait_first(FIRST_LOOK_S)
    seen_at = f"as seen at {clock(widget.snapshot.at)}" if widget.snapshot.at else "not seen yet"
    return with_faces(bundle, widget.text, widget.html + f"<div style='opacity:.7'>{seen_at}</div>")


_SEATS: WeakSet[Seat] = WeakSet()


def _running_cell() -> tuple[str, str]:
    """The notebook's cell that runs, and which of its runs this is; empty where nothing tells."""
    kernel = getattr(get_ipython(), "kernel", None)  # type: ignore[no-untyped-call]  # IPython does not type it
    parent = kernel.get_parent("shell") if kernel else {}
    metadata, header = (parent.get(part) or {} for part in ("metadata", "header"))
    return metadata.get("cellId") or "", header.get("msg_id") or ""


class Seat:
    """A widget's place at its rollout's feed: the first to sit down begins it, the last to get up ends it.

    A cell that is run again has no view any more of the widgets that its last run made: they get up.
    """

    def __init__(self, rollout: Rollout, taker: Taker):
        self._rollout, self._taker = rollout, taker
        self._cell, self._run = _running_cell()
        self.left = False
        with _LIVE_LOCK:
            feeds = _LIVE.setdefault(rollout.client, {})
            if rollout.name not in feeds:
                feeds[rollout.name] = Live(rollout.client, rollout.name)
            self.live = feeds[rollout.name]
        self.live.join(taker)
        _SEATS.add(self)
        for other in tuple(_SEATS):
            if self._cell and other._cell == self._cell and other._run != self._run:
                other.leave()

    def leave(self) -> None:
        """Get up; what was seen last is handed on once more, as closed. A second time does nothing."""
        if self.left:
            return
        self.left = True
        with _LIVE_LOCK:
            last = self.live.leave(self._taker) == 0
            if last:
                _LIVE.get(self._rollout.client, {}).pop(self._rollout.name, None)
        if last:
            self.live.close()
        self._taker(replace(self.live.snapshot, state="closed", age_s=0, reason=""))

