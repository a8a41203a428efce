"""The states that an InferenceService passed through after a change, with their times. Many are too short to see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from kserve_nb.values.pods import Pod
from kserve_nb.values.revisions import short
from kserve_nb.values.rollout_status import RolloutStatus, TrafficTarget
from kserve_nb.values.text import render

NO_STORY = "No change has been recorded since this rollout was opened."
_HEADER = ("SECONDS", "READY", "PREV", "LATEST", "PODS", "WHAT HAPPENED")


@dataclass(frozen=True)
class StoryState:
    """An InferenceService and its pods after one watch event."""

    at: float  # seconds since 1970
    status: RolloutStatus | None  # None if the InferenceService does not exist
    pods: tuple[Pod, ...] = ()

    @property
    def edition(self) -> tuple[str, int] | None:
        """Differs between two states if the spec was changed, or the object created or deleted, between them."""
        return self.status.edition if self.status else None

    @property
    def columns(self) -> tuple[str, str, str, str]:
        """READY, PREV and LATEST with the revision that each names, and the pods."""
        if self.status is None:
            return "", "", "", _pods(self.pods)
        ready = self.status.conditions.get("Ready")
        targets = self.status.previous, self.status.latest
        previous, latest = map(_target, targets)
        return ready.status if ready else "", previous, latest, _pods(self.pods)


@dataclass(frozen=True, repr=False)
class Story:
    """The states since the last change of an InferenceService, in the order in which the API server reported them.

    Its text, for a change from 10 to 20 %:

    SECONDS   READY     PREV         LATEST       PODS                        WHAT HAPPENED
              True      90 → 00001   10 → 00002   00001 2/2, 00002 2/2        before the change
    0.00      True      90 → 00001   10 → 00002   00001 2/2, 00002 2/2        requested: 20 %; READY still …
    0.21      Unknown   80 → 00001   20 → 00002   00001 2/2, 00002 2/2        users: 80 % to 00001, 20 % to 00002
    0.33      True      80 → 00001   20 → 00002   00001 2/2, 00002 2/2
    """

    name: str
    states: tuple[StoryState, ...] = field(default=())  # the first is the one before the change

    @classmethod
    def of(cls, name: str, recorded: Sequence[StoryState]) -> Story:
        """The story of the last change among the recorded states."""
        pairs = enumerate(pairwise(recorded))
        changes = [n for n, (before, now) in pairs if now.edition and now.edition != before.edition]
        return cls(name, tuple(recorded[changes[-1] :])) if changes else cls(name)

    def __bool__(self) -> bool:
        return bool(self.states)

    def __repr__(self) -> str:
        return render.text(self.table) if self.states else NO_STORY

    def _repr_html_(self) -> str:
        if not self.states:
            return f"<p>{NO_STORY}</p>"
        header, rows = self.table
        return render.html((header, [[*map(_unbroken, row[:4]), *row[4:]] for row in rows]))

    @property
    def table(self) -> render.Table:
        """One row for each state that differs from the one before it."""
        first, start = self.states[0], self.states[1].at
        creation = first.status is None
        rows = [("", *first.columns, "no InferenceService" if creation else "before the change")]
        for before, now in pairwise(self.states):
            notes = "; ".join(_notes(before, now, creation))
            if notes or now.columns != before.columns:
                rows.append((f"{now.at - start:.2f}", *now.columns, notes))
        return (_HEADER,), rows


def _notes(before: StoryState, now: StoryState, creation: bool) -> list[str]:
    """What changed between two states, in words."""
    if now.status is None:
        return ["deleted"] if before.status else []
    notes = []
    if now.edition != before.edition:
        notes.append(_requested(before.status, now.status))
        if before.status and now.status.ready.status == "True" and now.status.traffic == before.status.traffic:
            notes.append("READY still describes the state before")
    if before.status and before.status.traffic != now.status.traffic:
        notes.append(_traffic(now.status))
    if creation:
        notes += _conditions(before.status, now.status)
    present = {pod.name for pod in now.pods}
    return notes + [f"pod of {short(pod.revision)} is gone" for pod in before.pods if pod.name not in present]


def _requested(before: RolloutStatus | None, now: RolloutStatus) -> str:
    model, percent = now.model.rpartition("/")[2], now.requested_percent
    if before is None or before.uid != now.uid:
        return f"created: {model}"
    words = []
    if percent != before.requested_percent:
        words.append("no percent, so all users" if percent is None else f"{percent} %")
    if now.model != before.model:
        words.append(model)
    if now.tag_routing != before.tag_routing:
        words.append(f"tag routing {'on' if now.tag_routing else 'off'}")
    return f"requested: {', '.join(words)}" if words else "the spec was changed"


def _traffic(status: RolloutStatus) -> str:
    """The traffic list in words."""
    latest, previous = status.latest, status.previous
    if latest is None:
        return "no revision serves"
    if previous is None:
        return f"{short(latest.revision)} gets {latest.percent} % of the users"
    if previous.revision != latest.revision:
        users = f"{previous.percent} % to {short(previous.revision)}, {latest.percent} % to {short(latest.revision)}"
        return f"users: {users}"
    both = f"both names are {short(latest.revision)}, which serves all users"
    if status.latest_created not in ("", latest.revision):
        return f"{both}: {short(status.latest_created)} is not ready yet"
    return both


def _conditions(before: RolloutStatus | None, now: RolloutStatus) -> list[str]:
    """The conditions that have become True or False."""
    was: Mapping[str, str] = {name: found.status for name, found in before.conditions.items()} if before else {}
    changed = [found for name, found in now.conditions.items() if was.get(name) != found.status]
    true = [found.type for found in changed if found.status == "True"]
    false = [found for found in changed if found.status == "False" and found.type != "Stopped"]
    return ([f"✔ {', '.join(true)}"] if true else []) + [f"✖ {found.type}: {found.reason}" for found in false]


def _unbroken(cell: str) -> str:
    """The cell with spaces at which no browser breaks a line."""
    return cell.replace(" ", "\u00a0")


def _target(target: TrafficTarget | None) -> str:
    return f"{target.percent} → {short(target.revision)}" if target else ""


def _pods(pods: Sequence[Pod]) -> str:
    ordered = sorted(pods, key=lambda pod: (pod.revision, pod.name))
    return ", ".join(f"{short(pod.revision)} {_pod(pod)}" for pod in ordered)


def _pod(pod: Pod) -> str:
    ready = f"{pod.ready}/{pod.containers}"
    if pod.terminating:
        return f"{ready} Terminating"
    return ready if pod.is_ready else pod.status if pod.failing else "starting"
