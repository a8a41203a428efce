"""Everything known about one rollout at one moment, as one value: the source of widgets, texts and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from kserve_nb.access.api_client import (
    EVENT,
    INFERENCE_SERVICE,
    KNATIVE_SERVICE,
    POD,
    REVISION,
    ROUTE,
    Object,
    Resource,
)
from kserve_nb.observe.conditions import LadderCondition, ladder_of
from kserve_nb.rollout import progress
from kserve_nb.rollout.sampling import Tally
from kserve_nb.values.labels import INFERENCE_SERVICE_LABEL
from kserve_nb.values.pods import Pod
from kserve_nb.values.related_objects import event_is_about, predictor_service
from kserve_nb.values.revisions import Revision
from kserve_nb.values.rollout_status import RolloutStatus, TrafficTarget

KINDS = (INFERENCE_SERVICE, KNATIVE_SERVICE, ROUTE, REVISION, POD, EVENT)
Phase = Literal["not seen yet", "absent", "failed", "moving", "settled"]
State = Literal["loading", "live", "stale", "error", "closed"]
_EVENTS_KEPT = 200
_STEPS_KEPT = 200


@dataclass(frozen=True)
class Event:
    """One row of `kubectl get events` about an object of the rollout."""

    at: float  # when it last occurred, seconds since 1970
    kind: str
    name: str
    reason: str
    message: str
    warning: bool = False
    count: int = 1

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> Event:
        """Read an Event object of the core API."""
        involved = obj.get("involvedObject") or {}
        times = (obj.get("lastTimestamp"), obj.get("eventTime"), obj["metadata"].get("creationTimestamp"))
        return cls(
            at=moment(next((text for text in times if text), "")),
            kind=involved.get("kind") or "",
            name=involved.get("name") or "",
            reason=obj.get("reason") or "",
            message=obj.get("message") or "",
            warning=obj.get("type") == "Warning",
            count=obj.get("count") or 1,
        )


@dataclass(frozen=True)
class DeletedPod:
    """A pod that has been deleted, and when: it stays visible for a while, for a learner who looked away."""

    pod: Pod
    deleted_at: float


@dataclass(frozen=True)
class Observed:
    """The answers to the requests sent since traffic last moved, batch by batch."""

    tally: Tally
    path: tuple[tuple[int, int], ...] = ()  # after each batch: (attributed requests, those that LATEST answered)
    mixed: int = 0  # requests that do not count, because traffic moved meanwhile

    def plus(self, batch: Tally) -> Observed:
        """Return these counts with one more batch added. A batch sent under another split starts a new count."""
        if batch.moved:
            return replace(self, mixed=self.mixed + batch.split.sent)
        mine = self.tally
        same = (mine.latest, mine.percent) == (batch.latest, batch.percent)
        tally = replace(batch, split=mine.split + batch.split) if same else batch
        step = (tally.split.attributed, tally.hits)
        path = (*self.path, step) if same else (step,)
        return replace(self, tally=tally, path=path[:: 2 if len(path) > _STEPS_KEPT else 1])


@dataclass(frozen=True)
class Snapshot:
    """A rollout at one moment. Two snapshots are equal if nothing that can be shown differs."""

    name: str
    namespace: str = ""
    source: str = ""  # HOST:PORT of the API server
    document: Mapping[str, Any] = field(default_factory=dict)  # the InferenceService without its status
    status: RolloutStatus | None = None
    route: tuple[TrafficTarget, ...] = ()  # the traffic targets of Knative's Route
    revisions: tuple[Revision, ...] = ()
    pods: tuple[Pod, ...] = ()
    deleted_pods: tuple[DeletedPod, ...] = ()
    events: tuple[Event, ...] = ()
    conditions: tuple[LadderCondition, ...] = ()  # the deepest first
    missing: str = ""  # what is missing until traffic has moved
    failure: str = ""  # the controller's message, if traffic will not move without help
    observed: Observed | None = None
    state: State = "loading"
    age_s: int = 0  # how old a stale snapshot is
    reason: str = ""  # why it is stale, or what the error is
    seq: int = field(default=0, compare=False)
    at: float = field(default=0.0, compare=False)  # when the cluster last responded, seconds since 1970

    @property
    def phase(self) -> Phase:
        """How far the rollout has come, in one word."""
        if self.status is None:
            return "not seen yet" if self.state == "loading" else "absent"
        return "failed" if self.failure else "moving" if self.missing else "settled"

    @property
    def requested(self) -> dict[str, int]:
        """The requested percent by revision name: the split after the controllers have acted on the spec."""
        if self.status is None or not self.status.latest_created:
            return {}
        return _sums(progress.expected_traffic(self.status))

    @property
    def routed(self) -> dict[str, int]:
        """The routed percent by revision name, from Knative's Route or else the traffic list."""
        rows = self.route or (self.status.traffic if self.status else ())
        return _sums((target.revision, target.percent) for target in rows)

    @property
    def sample(self) -> Tally | None:
        """The requests sent under the present split; None if there are none."""
        latest = self.status.latest if self.status else None
        seen = self.observed.tally if self.observed else None
        fits = seen and latest and (seen.latest, seen.percent) == (latest.revision, latest.percent)
        return seen if fits else None

    def as_json(self) -> dict[str, Any]:
        """The snapshot in JSON's types."""
        found: dict[str, Any] = json.loads(json.dumps(asdict(self), default=dict))
        return {**found, "phase": self.phase, "requested": self.requested, "routed": self.routed}


def snapshot_of(name: str, objects: Mapping[Resource, Sequence[Object]]) -> Snapshot:
    """The snapshot of one InferenceService, from the objects of its namespace. The caller adds times and state."""
    isvc, knative = _named(objects, INFERENCE_SERVICE, name), predictor_service(objects.get(KNATIVE_SERVICE, ()), name)
    route = _named(objects, ROUTE, knative["metadata"]["name"]) if knative else None
    status = RolloutStatus.of(isvc) if isvc else None
    return Snapshot(
        name=name,
        document=_document(isvc) if isvc else {},
        status=status,
        route=tuple(TrafficTarget.of(row) for row in ((route or {}).get("status") or {}).get("traffic") or []),
        revisions=tuple(sorted(map(Revision.of, objects.get(REVISION, ())), key=lambda revision: revision.name)),
        pods=tuple(sorted(map(Pod.of, objects.get(POD, ())), key=lambda pod: (pod.revision, pod.name))),
        events=_events(event for event in objects.get(EVENT, ()) if event_is_about(event, name, knative)),
        conditions=ladder_of(isvc, knative, route, objects.get(REVISION, ()), objects.get(POD, ())) if isvc else (),
        missing=progress.missing(status, knative) if status else "",
        failure=progress.failure(status, knative) if status else "",
        state="live",
    )


def belongs_to(name: str, kind: Resource, obj: Mapping[str, Any]) -> bool:
    """Whether an object belongs to this InferenceService."""
    meta = obj["metadata"]
    if kind == EVENT:
        return True  # its Knative Service can have any name: `snapshot_of` chooses
    if kind == INFERENCE_SERVICE:
        return bool(meta["name"] == name)
    return bool((meta.get("labels") or {}).get(INFERENCE_SERVICE_LABEL) == name)


def moment(text: str) -> float:
    """Seconds since 1970 of an RFC 3339 time; 0 for an empty text.

    >>> moment("2026-11-23T09:14:51Z")
    1795425291.0
    """
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def clock(at: float) -> str:
    """The local time of day, `HH:MM:SS`."""
    return datetime.fromtimestamp(at).strftime("%H:%M:%S")


def _named(objects: Mapping[Resource, Sequence[Object]], kind: Resource, name: str) -> Object | None:
    return next((obj for obj in objects.get(kind, ()) if obj["metadata"]["name"] == name), None)


def _document(isvc: Object) -> dict[str, Any]:
    head: dict[str, Any] = {key: isvc[key] for key in ("apiVersion", "kind") if key in isvc}
    kept = ("name", "namespace", "labels", "annotations")
    meta = {key: isvc["metadata"][key] for key in kept if isvc["metadata"].get(key)}
    return {**head, "metadata": meta, "spec": isvc.get("spec") or {}}


def _events(objects: Iterable[Object]) -> tuple[Event, ...]:
    return tuple(sorted(map(Event.of, objects), key=lambda event: event.at)[-_EVENTS_KEPT:])


def _sums(rows: Iterable[tuple[str, int]]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for revision, percent in rows:
        sums[revision] = sums.get(revision, 0) + percent
    return sums
