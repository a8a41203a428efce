"""The feed of one rollout: watches its objects, combines them into one snapshot and publishes it to subscribers."""

from __future__ import annotations

import functools
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from kserve_nb.access.api_client import INFERENCE_SERVICE, POD, Client, RefusedError, Resource
from kserve_nb.observe.feed.object_watch import ObjectWatch
from kserve_nb.observe.feed.story_recording import StoryRecording
from kserve_nb.observe.feed.throttle import Clock, SystemClock, Throttle
from kserve_nb.observe.history import RequestBatch, RolloutHistory, TimelineFrame
from kserve_nb.observe.snapshot import KINDS, DeletedPod, Observed, Snapshot, belongs_to, snapshot_of
from kserve_nb.rollout.sampling import Tally
from kserve_nb.values.pods import Pod
from kserve_nb.values.rollout_status import RolloutStatus
from kserve_nb.values.split import Split
from kserve_nb.values.story import StoryState

STALE_S = 5.0  # without an answer from the API server
GONE_POD_S = 60.0  # how long a deleted pod stays in the snapshot
_PING_S = 2.0  # between two pings of the API server
_REPUBLISH_S = 5.0  # without a change; a chart with a time axis must be redrawn although nothing has happened
_FRAMES_KEPT = 600
_GONE_PODS_KEPT = 20

Subscriber = Callable[[Snapshot], None]


class RolloutFeed:
    """The state of one rollout, published at most four times a second, until `close()`.

    It has one thread per kind of object, one that pings the API server, and one that publishes.
    """

    def __init__(self, client: Client, name: str, clock: Clock | None = None):
        self._client, self._name, self._clock = client, name, clock or SystemClock()
        self._lock = threading.RLock()
        self._subscribers: list[Subscriber] = []
        self._frames: deque[TimelineFrame] = deque(maxlen=_FRAMES_KEPT)
        self._samples: deque[RequestBatch] = deque(maxlen=_FRAMES_KEPT)
        self._gone_pods: tuple[DeletedPod, ...] = ()
        self._observed: Observed | None = None
        self._last_contact, self._outage = 0.0, ""  # when the API server last answered; why it does not answer now
        self._last_published = self._clock.now()
        self._changed, self._first, self._closed = threading.Event(), threading.Event(), threading.Event()
        self.snapshot = self._base = Snapshot(name, client.namespace, client.server)
        self._throttle = Throttle(self._update, self._clock, f"feed of {name}")
        self.recording = StoryRecording(name)
        self._watches: dict[Resource, ObjectWatch] = {}
        for kind in KINDS:
            keep, on_event = functools.partial(belongs_to, name, kind), functools.partial(self._on_event, kind)
            self._watches[kind] = ObjectWatch(client, kind, keep, on_event)
        self._ping_thread = threading.Thread(target=self._ping, name=f"ping for {name}", daemon=True)
        self._ping_thread.start()
        self._throttle.start()

    @property
    def closed(self) -> bool:
        """Whether all threads have ended."""
        watches_closed = all(watch.closed for watch in self._watches.values())
        return watches_closed and self._throttle.closed and not self._ping_thread.is_alive()

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call the subscriber with the snapshot, now and after each change, on the feed's thread."""
        with self._lock:
            self._subscribers.append(subscriber)
            subscriber(self.snapshot)

    def unsubscribe(self, subscriber: Subscriber) -> int:
        """Stop calling the subscriber; returns the number of subscribers left."""
        with self._lock:
            self._subscribers.remove(subscriber)
            return len(self._subscribers)

    def wait_first(self, timeout_s: float) -> bool:
        """Wait until the first complete snapshot or the first error; returns False after the timeout."""
        return self._first.wait(timeout_s)

    def add_requests(self, batch: Tally) -> None:
        """Add a batch of requests to the count."""
        sample = RequestBatch(self._clock.now(), batch.latest, batch.hits, batch.split.attributed, batch.split.failed)
        with self._lock:
            self._samples.append(sample)
            self._observed = (self._observed or Observed(replace(batch, split=Split({})))).plus(batch)
        self._on_change()

    def requests(self) -> Tally | None:
        """The requests counted since the traffic last moved; None before the first."""
        with self._lock:
            return self._observed.tally if self._observed else None

    def reset_requests(self) -> None:
        """Start the count again at zero."""
        with self._lock:
            self._observed = None
        self._on_change()

    def history(self) -> RolloutHistory:
        """Everything the feed has recorded since it started."""
        with self._lock:
            frames, samples = tuple(self._frames), tuple(self._samples)
            return RolloutHistory(self._name, frames, self.snapshot.events, self._clock.now(), samples)

    def close(self) -> None:
        """End the watches and the threads; a second call does nothing."""
        self._closed.set()
        self._throttle.close()
        for watch in self._watches.values():
            watch.close()
        if threading.current_thread() is not self._ping_thread:
            self._ping_thread.join(timeout=5)

    # --- contact with the API server -----------------------------------------------------------------------------

    def _on_event(self, kind: Resource) -> None:
        """Record the states after a watch event. Called on the thread of the watch."""
        if kind in (INFERENCE_SERVICE, POD):
            self._record_state()
        self._on_change()

    def _record_state(self) -> None:
        watches = [self._watches.get(kind) for kind in (INFERENCE_SERVICE, POD)]
        with self._lock:
            services, pods = (watch.objects() if watch and watch.synced else None for watch in watches)
            if services is not None and pods is not None:
                status = RolloutStatus.of(services[0]) if services else None
                self.recording.add(StoryState(self._clock.now(), status, tuple(map(Pod.of, pods))))

    def _on_change(self) -> None:
        self._changed.set()
        if self._synced():  # before that, an update has nothing to show, and delays the first one that has
            self._throttle.request()

    def _ping(self) -> None:
        while not self._closed.is_set():
            try:
                self._client.require_contact()
            except Exception as error:  # an exception would end the thread without a trace
                self._outage = str(error) if isinstance(error, RefusedError) else f"{type(error).__name__}: {error}"
                self._throttle.request()
            else:
                self._on_contact()
            self._closed.wait(_PING_S)

    def _on_contact(self) -> None:
        was_out, self._outage = bool(self._outage), ""
        self._last_contact = self._clock.now()
        if was_out:
            for watch in self._watches.values():
                watch.restart()
            self._on_change()

    # --- snapshots -----------------------------------------------------------------------------------------------

    def _update(self) -> None:
        changed = self._changed.is_set()
        self._changed.clear()
        with self._lock:
            if changed and self._synced():
                self._base = self._read()
            now = self._with_ages()
            if now != self.snapshot:
                self._record(now)
            elif self._clock.now() - self._last_published > _REPUBLISH_S:
                self._publish()
        if self._synced() or self._outage:
            self._first.set()

    def _synced(self) -> bool:
        return all(watch.synced for watch in tuple(self._watches.values()))

    def _read(self) -> Snapshot:
        """The snapshot of the watched objects; the last good one with the error if a watch has failed."""
        error = next((watch.error for watch in self._watches.values() if watch.error), "")
        if error:
            return replace(self._base, state="error", reason=error, observed=self._observed)
        self._last_contact = self._last_contact or self._clock.now()  # the lists can arrive before the first ping
        found = snapshot_of(self._name, {kind: watch.objects() for kind, watch in self._watches.items()})
        present = {pod.name for pod in found.pods}
        gone = [DeletedPod(pod, self._clock.now()) for pod in self._base.pods if pod.name not in present]
        self._gone_pods = (*self._gone_pods, *gone)[-_GONE_PODS_KEPT:]
        return replace(found, namespace=self._client.namespace, source=self._client.server, observed=self._observed)

    def _with_ages(self) -> Snapshot:
        """The snapshot with what changes by time alone: its age, and which deleted pods are still shown."""
        now = self._clock.now()
        self._gone_pods = tuple(gone for gone in self._gone_pods if now - gone.deleted_at < GONE_POD_S)
        timed = replace(self._base, deleted_pods=self._gone_pods, at=self._last_contact)
        silent_s = now - self._last_contact if self._last_contact else 0.0
        if silent_s > STALE_S or (self._outage and not self._last_contact):
            return replace(timed, state="stale", age_s=int(silent_s // STALE_S * STALE_S), reason=self._outage)
        return timed

    def _record(self, now: Snapshot) -> None:
        self.snapshot = replace(now, seq=self.snapshot.seq + 1)
        frame = TimelineFrame.of(self.snapshot, self._clock.now())
        if not self._frames or not frame.same(self._frames[-1]):
            self._frames.append(frame)
        self._publish()

    def _publish(self) -> None:
        self._last_published = self._clock.now()
        for subscriber in tuple(self._subscribers):
            subscriber(self.snapshot)
