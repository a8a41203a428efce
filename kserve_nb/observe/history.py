"""The history of a rollout: small frames, and the lanes and sentences made of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal

from kserve_nb.observe.snapshot import Event, Snapshot
from kserve_nb.values.pods import Pod
from kserve_nb.values.revisions import short
from kserve_nb.values.text.foreign_text import last_line as last_line

_PODS_KEPT = 30
_RUN_S = 5.0  # batches of requests at most this far apart are one run
PodWord = Literal["ready", "starting", "ending", "failing"]


@dataclass(frozen=True)
class TimelineFrame:
    """The part of a snapshot that a picture of the whole history needs."""

    at: float
    seen: bool  # False if the cluster did not respond: the fields below are unknown then
    requested: str = ""  # "10 %"; "no percent" without the field, which gives all users the newest revision
    model: str = ""
    phase: str = ""
    traffic: tuple[tuple[str, int], ...] = ()  # routed: revision and percent
    pods: tuple[tuple[str, str, PodWord], ...] = ()  # name, revision, state
    why: str = ""  # what is missing, or what failed

    @classmethod
    def of(cls, snapshot: Snapshot, at: float) -> TimelineFrame:
        """The frame of a snapshot."""
        if snapshot.state in ("stale", "loading"):
            return cls(at, seen=False)
        status = snapshot.status
        percent = None if status is None else status.requested_percent
        requested = "" if status is None else "no percent" if percent is None else f"{percent} %"
        return cls(
            at=at,
            seen=True,
            requested=requested,
            model=status.model if status else "",
            phase=snapshot.phase,
            traffic=tuple(sorted(snapshot.routed.items())),
            pods=tuple((pod.name, pod.revision, pod_word(pod)) for pod in snapshot.pods[:_PODS_KEPT]),
            why=last_line(snapshot.failure) or snapshot.missing,
        )

    def same(self, other: TimelineFrame) -> bool:
        """Whether only the time differs."""
        return self == TimelineFrame(self.at, *(getattr(other, name) for name in _WHAT))


_WHAT = ("seen", "requested", "model", "phase", "traffic", "pods", "why")


@dataclass(frozen=True)
class RequestBatch:
    """How a batch of requests was answered."""

    at: float
    latest: str  # revision name
    hits: int  # requests that it answered
    sent: int  # attributed requests
    failed: int = 0

    @property
    def percent(self) -> float:
        """The percent of the requests that LATEST answered."""
        return 100 * self.hits / self.sent if self.sent else 0.0


@dataclass(frozen=True)
class RolloutHistory:
    """Frames in order, the cluster's own events, and the moment at which the history ends."""

    name: str
    frames: tuple[TimelineFrame, ...] = ()
    events: tuple[Event, ...] = ()
    until: float = 0.0
    samples: tuple[RequestBatch, ...] = ()  # requests sent meanwhile

    def since(self, at: float) -> RolloutHistory:
        """The part after a moment; the state at that moment is its first frame."""
        before = [frame for frame in self.frames if frame.at <= at][-1:]
        frames = [TimelineFrame(at, *(getattr(frame, name) for name in _WHAT)) for frame in before]
        frames += [frame for frame in self.frames if frame.at > at]
        events = tuple(event for event in self.events if event.at >= at)
        samples = tuple(sample for sample in self.samples if sample.at >= at)
        return replace(self, frames=tuple(frames), events=events, samples=samples)

    def at(self, moment: float) -> TimelineFrame | None:
        """The last frame before a moment."""
        return next((frame for frame in reversed(self.frames) if frame.at <= moment), None)


@dataclass(frozen=True)
class Span:
    """Something that stayed the same from one moment to another."""

    start: float
    end: float
    what: str
    percent: int = 0


@dataclass(frozen=True)
class TimelineLanes:
    """A history as lanes on one axis: traffic and pods of each revision, requests for changes, unobserved times."""

    start: float
    end: float
    traffic: dict[str, tuple[Span, ...]] = field(default_factory=dict)  # by revision
    pods: dict[str, dict[str, tuple[Span, ...]]] = field(default_factory=dict)  # by revision, then by pod
    actions: tuple[tuple[float, str], ...] = ()
    unobserved: tuple[Span, ...] = ()


def lanes_of(history: RolloutHistory) -> TimelineLanes:
    """Arrange a history as lanes on one axis of time."""
    ends = [*(frame.at for frame in history.frames[1:]), history.until]
    timed = list(zip(history.frames, ends, strict=True)) if history.frames else []
    traffic: dict[str, list[Span]] = {}
    pods: dict[str, dict[str, list[Span]]] = {}
    gaps: list[Span] = []
    for frame, end in timed:
        if not frame.seen:
            _join(gaps, Span(frame.at, end, "unobserved"))
        for revision, percent in frame.traffic:
            _join(traffic.setdefault(revision, []), Span(frame.at, end, f"{percent} %", percent))
        for name, revision, word in frame.pods:
            _join(pods.setdefault(revision, {}).setdefault(name, []), Span(frame.at, end, word))
    return TimelineLanes(
        start=history.frames[0].at if history.frames else history.until,
        end=history.until,
        traffic={name: tuple(traffic.get(name, ())) for name in sorted({*traffic, *pods})},
        pods={revision: _by_start(found) for revision, found in pods.items()},
        actions=tuple(_actions(history.frames)),
        unobserved=tuple(gaps),
    )


def narrative(history: RolloutHistory) -> tuple[tuple[float, str], ...]:
    """The history as sentences, one per change: requested, routed, and pods that started or ended."""
    lines: list[tuple[float, str]] = []
    known = [frame for frame in history.frames if frame.seen]
    for frame in known[:1]:
        lines += [(frame.at, f"found {text}") for text in _all(TimelineFrame(0.0, True), frame)]
    for before, now in pairwise(known):
        lines += [(now.at, text) for text in _all(before, now)]
    lines += [(frame.at, "the cluster does not respond: what follows is unknown")
              for frame in history.frames[1:] if not frame.seen]  # fmt: skip
    lines += [(run.at, _answered(run)) for run in runs(history.samples)]
    return tuple(sorted(lines, key=lambda line: line[0]))


def runs(samples: Sequence[RequestBatch]) -> tuple[RequestBatch, ...]:
    """Batches that followed each other closely, added up; each sum has the time of its first batch."""
    added: list[RequestBatch] = []
    for before, now in zip((None, *samples), samples, strict=False):
        if before and before.latest == now.latest and now.at - before.at < _RUN_S:
            so_far = added.pop()
            hits, sent, failed = so_far.hits + now.hits, so_far.sent + now.sent, so_far.failed + now.failed
            added.append(replace(so_far, hits=hits, sent=sent, failed=failed))
        else:
            added.append(now)
    return tuple(added)


def _answered(run: RequestBatch) -> str:
    failed = f", {run.failed} failed" if run.failed else ""
    return f"requests: {run.hits} of {run.sent} answered by {short(run.latest)} ({run.percent:.1f} %){failed}"


def pod_word(pod: Pod) -> PodWord:
    """A pod's state: ready, starting, ending or failing."""
    if pod.terminating or pod.status in ("Succeeded", "Completed"):
        return "ending"
    if pod.is_ready:
        return "ready"
    return "failing" if pod.failing else "starting"


def _by_start(pods: dict[str, list[Span]]) -> dict[str, tuple[Span, ...]]:
    return {name: tuple(spans) for name, spans in sorted(pods.items(), key=lambda item: item[1][0].start)}


def _join(spans: list[Span], new: Span) -> None:
    """Add a span, or extend the last one if it continues unchanged."""
    if spans and spans[-1].end == new.start and spans[-1].what == new.what:
        spans[-1] = Span(spans[-1].start, new.end, new.what, new.percent)
    else:
        spans.append(new)


def _all(before: TimelineFrame, now: TimelineFrame) -> list[str]:
    return [*_requested(before, now), *_moved(before, now), *_pods(before, now)]


def _actions(frames: Sequence[TimelineFrame]) -> Iterable[tuple[float, str]]:
    known = [frame for frame in frames if frame.seen]
    for frame in known[:1]:
        yield from ((frame.at, f"found {text}") for text in _requested(TimelineFrame(0.0, True), frame))
    for before, now in pairwise(known):
        for text in _requested(before, now):
            yield now.at, text


def _requested(before: TimelineFrame, now: TimelineFrame) -> list[str]:
    if (before.requested, before.model) == (now.requested, now.model):
        return []
    if not now.requested:
        return ["deleted"]
    percent = [now.requested] if now.requested != before.requested else []
    model = [now.model.rpartition("/")[2]] if now.model != before.model else []
    return ["requested: " + " for ".join(percent + model)]


def _moved(before: TimelineFrame, now: TimelineFrame) -> list[str]:
    if before.traffic == now.traffic:
        return []
    return ["routed: " + (" · ".join(f"{percent} % → {short(name)}" for name, percent in now.traffic) or "nobody")]


def _pods(before: TimelineFrame, now: TimelineFrame) -> list[str]:
    was = {name: (revision, word) for name, revision, word in before.pods}
    is_ = {name: (revision, word) for name, revision, word in now.pods}
    changed = [found for name, found in is_.items() if was.get(name) != found]
    gone = [revision for name, (revision, _) in was.items() if name not in is_]
    return [f"pod of {short(r)}: {word}" for r, word in changed] + [f"pod of {short(r)}: gone" for r in gone]
