"""Gradual rollout: moves traffic to the latest revision step by step if a Route has a rollout-duration.

Source: knative.dev/serving pkg/reconciler/route/traffic/rollout.go. The state is stored in an annotation of the
Ingress.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from kserve_nb.clusters.embedded.control.knative.traffic_targets import Traffic

NANO = 1_000_000_000


@dataclass(frozen=True)
class Share:
    """A revision and its percent of the Route's traffic."""

    revision: str
    percent: int


@dataclass(frozen=True)
class Step:
    """When and by how many percent traffic moves. Times are nanoseconds, as in the annotation; 0: not known yet."""

    start: int = 0
    next: int = 0
    duration: int = 0
    size: int = 0


@dataclass(frozen=True)
class Configuration:
    """The shares of one Configuration's revisions in one group of targets, oldest revision first."""

    name: str
    tag: str
    percent: int
    shares: tuple[Share, ...]
    step: Step = field(default_factory=Step)


Rollout = tuple[Configuration, ...]


def current(traffic: Traffic) -> Rollout:
    """The shares that the Route's traffic requests, without intermediate steps (`BuildRollout`)."""
    return tuple(sorted((
        Configuration(t.configuration, tag, t.percent, (Share(t.revision, t.percent),))
        for tag, group in traffic.groups.items() for t in group if t.latest and t.percent
    ), key=lambda c: (c.tag, c.name)))


def is_done(rollout: Rollout) -> bool:
    """Whether no Configuration's traffic is split between two revisions."""
    return all(len(c.shares) < 2 for c in rollout)


def shares(rollout: Rollout, tag: str, configuration: str) -> tuple[Share, ...]:
    """The shares of a Configuration in a group of targets; empty if it has none."""
    return next((c.shares for c in rollout if (c.tag, c.name) == (tag, configuration)), ())


def observe_ready(rollout: Rollout, now: int, duration_s: float, second: float = 1.0) -> Rollout:
    """Plan the steps of rollouts that have begun, once the gateway serves the first step (`ObserveReady`).

    Args:
        second: the real duration of one second of the rollout, in seconds.
    """
    def planned(c: Configuration) -> Configuration:
        if c.step.duration or not c.step.start:
            return c
        least = max(1.0, math.ceil((now - c.step.start) / NANO / second))
        return replace(c, step=_plan(c, now, least, duration_s, second))
    return tuple(planned(c) for c in rollout)


def _plan(c: Configuration, now: int, least: float, duration_s: float, second: float) -> Step:
    """Plan steps of at least 1 % that are no faster than the gateway can follow (`computeProperties`)."""
    rest = max(1.0, duration_s - least)
    count = min(max(1.0, rest / least), float(c.percent - 1))
    pause = int(rest / count * NANO * second)
    return Step(c.step.start, now + pause, pause, math.floor((c.percent - 1) / count + 0.5))


def advance(wanted: Rollout, before: Rollout, now: int) -> tuple[Rollout, int]:
    """The rollout as it should be now, and the time of its next step (0: none) (`Step`)."""
    if not before:
        return wanted, 0
    known = {(c.tag, c.name): c for c in before}
    result = []
    for goal in wanted:
        previous = known.get((goal.tag, goal.name))
        result.append(goal if previous is None or goal.percent <= 1 else _step_configuration(goal, previous, now))
    return tuple(result), min((c.step.next for c in result if c.step.next), default=0)


def _step_configuration(goal: Configuration, previous: Configuration, now: int) -> Configuration:
    """Continue a rollout, or begin one with 1 % for the new revision (`stepConfig`)."""
    held = _adjust(goal.percent, previous)
    new = goal.shares[0].revision
    if not previous.shares or new == previous.shares[-1].revision:
        if len(held) < 2:
            return goal
        going = replace(goal, shares=held, step=previous.step)
        return _take_step(going, now) if going.step.size and now >= going.step.next else going
    taken = max((i for i, share in enumerate(held) if share.percent), default=-1)
    held = tuple(replace(s, percent=s.percent - 1) if i == taken else s for i, s in enumerate(held))
    return replace(goal, shares=(*(s for s in held if s.percent), Share(new, 1)), step=Step(start=now))


def _adjust(percent: int, c: Configuration) -> tuple[Share, ...]:
    """Add percent to the newest revision or take them from the oldest ones (`adjustPercentage`)."""
    more, held = percent - c.percent, list(c.shares)
    if not held or not more:
        return tuple(held)
    if more > 0:
        held[-1] = replace(held[-1], percent=held[-1].percent + more)
        return tuple(held)
    less = -more
    while held and held[0].percent <= less:
        less -= held.pop(0).percent
    if held:
        held[0] = replace(held[0], percent=held[0].percent - less)
    return tuple(held)


def _take_step(c: Configuration, now: int) -> Configuration:
    """Move the percent of one step from the older revisions to the newest (`stepRevisions`)."""
    older, newest, rest = list(c.shares[:-1]), c.shares[-1], c.step.size
    while older and older[-1].percent <= rest:
        rest -= older.pop().percent
    if older:
        older[-1] = replace(older[-1], percent=older[-1].percent - rest)
    newest = replace(newest, percent=c.percent - sum(share.percent for share in older))
    step = replace(c.step, next=now + c.step.duration) if older else Step()
    return replace(c, shares=(*older, newest), step=step)


def to_json(rollout: Rollout) -> str:
    """The text of the annotation, with fields in the order of the Go struct."""
    if not rollout:
        return "{}"
    return json.dumps({"configurations": [_configuration_json(c) for c in rollout]}, separators=(",", ":"))


def _configuration_json(c: Configuration) -> dict[str, object]:
    tag = {"tag": c.tag} if c.tag else {}
    step = {"starttime": c.step.start, "nextStepTime": c.step.next, "stepDuration": c.step.duration,
            "stepSize": c.step.size}
    return {"configurationName": c.name, **tag, "percent": c.percent,
            "revisions": [{"revisionName": s.revision, "percent": s.percent} for s in c.shares],
            "stepParams": {key: value for key, value in step.items() if value}}


def from_json(text: str) -> Rollout:
    """The rollout in an annotation; empty if it is missing, malformed or inconsistent (`deserializeRollout`)."""
    try:
        found = tuple(_configuration_from(c) for c in json.loads(text or "{}").get("configurations", []))
    except (ValueError, KeyError, TypeError, AttributeError):
        return ()
    return found if _adds_up(found) else ()


def _configuration_from(c: dict[str, object]) -> Configuration:
    revisions: Iterable[dict[str, object]] = c.get("revisions") or []  # type: ignore[assignment]  # a wrong type raises below
    step: dict[str, int] = c.get("stepParams") or {}  # type: ignore[assignment]  # a wrong type raises below
    return Configuration(
        str(c["configurationName"]), str(c.get("tag", "")), int(str(c["percent"])),
        tuple(Share(str(r["revisionName"]), int(str(r["percent"]))) for r in revisions),
        Step(*(int(step.get(key, 0)) for key in ("starttime", "nextStepTime", "stepDuration", "stepSize"))))


def _adds_up(rollout: Rollout) -> bool:
    return all(c.percent <= 100 and 0 <= c.step.size <= c.percent and sum(s.percent for s in c.shares) == c.percent
               for c in rollout)
