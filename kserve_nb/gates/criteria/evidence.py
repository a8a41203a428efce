"""Counts of requests to the canary and to the previous revision, small enough to be stored in a ConfigMap."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from kserve_nb.gates.criteria.latency_histogram import LatencyHistogram

_MOST_SEEN = 5
Side = Literal["canary", "previous", ""]


@dataclass(frozen=True)
class Outcome:
    """The result of one request, and the revision that answered it.

    >>> Outcome(share=0.1, canary_side=True, failed=True).took_ms
    0.0
    """

    share: float  # the canary's share of the compared requests; 0: not part of a comparison
    canary_side: bool = False  # whether it went to that side
    failed: bool = False
    took_ms: float = 0.0
    answered_by: Side = ""  # the revision that answered; empty if unknown
    user: bool = False  # sent to the main host, as users do
    percent: int = 0  # for a user's request: the canary's percent in the traffic list


@dataclass(frozen=True)
class Pair:
    """The answers of both revisions to the same rows: do they differ, and which of them is right?"""

    differ: bool
    canary_right: bool | None = None  # None: the right answer is unknown
    previous_right: bool | None = None
    label: str = ""  # the right answer, and the answers, as they are shown in a message
    answers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reading:
    """The latest value of a Prometheus query, and how often in a row it was above and below its limit."""

    value: float | None = None
    samples: float | None = None
    above: int = 0
    below: int = 0


@dataclass(frozen=True)
class Evidence:
    """The counts from which all gates derive their results. They cover the whole rollout, except those of the step.

    >>> evidence = Evidence().add([Outcome(0.1, canary_side=True, failed=True)])
    >>> evidence.errors, evidence.canary_failed
    ({0.1: (1, 0)}, 1)
    """

    errors: Mapping[float, tuple[int, int]] = field(default_factory=dict)  # (canary's errors, all), by canary's share
    canary: int = 0  # requests that the canary answered or may have failed
    canary_failed: int = 0
    previous: int = 0
    previous_failed: int = 0
    split: Mapping[int, tuple[int, int]] = field(default_factory=dict)  # canary's answers and all, by percent
    users: int = 0  # requests to the main host
    users_failed: int = 0
    canary_ms: LatencyHistogram = field(default_factory=LatencyHistogram)
    previous_ms: LatencyHistogram = field(default_factory=LatencyHistogram)
    pairs: int = 0
    differ: int = 0
    labelled: int = 0
    worse: int = 0  # only the previous revision was right
    better: int = 0  # only the canary was right
    both_right: int = 0
    labels_seen: tuple[str, ...] = ()  # a few of the labels and answers, as long as no answer was right
    answers_seen: tuple[str, ...] = ()
    readings: Mapping[str, Reading] = field(default_factory=dict)  # by the gate's name
    step_canary: int = 0  # requests in this step that the canary answered or may have failed
    step_users: int = 0

    def add(self, outcomes: Iterable[Outcome], pairs: Iterable[Pair] = ()) -> Evidence:
        """The evidence with these requests as well."""
        found = list(outcomes)
        counted = self
        for outcome in found:
            counted = counted._count(outcome)
        for pair in pairs:
            counted = counted._count_pair(pair)
        return replace(
            counted,
            canary_ms=self.canary_ms.add(_times(found, "canary")),
            previous_ms=self.previous_ms.add(_times(found, "previous")),
        )

    @property
    def some_right(self) -> bool:
        """Whether any answer to a row with a label was right."""
        return bool(self.worse or self.better or self.both_right)

    def next_step(self) -> Evidence:
        """The evidence at the beginning of the next step."""
        return replace(self, step_canary=0, step_users=0)

    def to_dict(self) -> dict[str, Any]:
        """The evidence for a JSON document."""
        return asdict(self)

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Evidence:
        """Read what `to_dict` returned. JSON has turned the keys into strings."""
        return cls(**{
            **data,
            "errors": {float(share): (int(a), int(b)) for share, (a, b) in data["errors"].items()},
            "split": {int(percent): (int(a), int(b)) for percent, (a, b) in data["split"].items()},
            "canary_ms": _histogram(data["canary_ms"]),
            "previous_ms": _histogram(data["previous_ms"]),
            "labels_seen": tuple(data.get("labels_seen", ())), "answers_seen": tuple(data.get("answers_seen", ())),
            "readings": {name: Reading(**reading) for name, reading in data["readings"].items()},
        })

    def _count(self, outcome: Outcome) -> Evidence:
        """Count one request. All failures on the canary's side count as its own, so no upper bound is too low."""
        compared_failure = outcome.failed and outcome.share > 0
        canary = outcome.answered_by == "canary" or (compared_failure and outcome.canary_side)
        previous = outcome.answered_by == "previous" or (compared_failure and not outcome.canary_side)
        failed = int(outcome.failed)
        user = int(outcome.user)
        return replace(
            self,
            errors=_errors(self.errors, outcome),
            canary=self.canary + canary,
            canary_failed=self.canary_failed + canary * failed,
            previous=self.previous + previous,
            previous_failed=self.previous_failed + previous * failed,
            split=_split(self.split, outcome),
            users=self.users + user,
            users_failed=self.users_failed + user * failed,
            step_canary=self.step_canary + canary,
            step_users=self.step_users + user,
        )

    def _count_pair(self, pair: Pair) -> Evidence:
        known = pair.canary_right is not None and pair.previous_right is not None
        right = bool(pair.canary_right or pair.previous_right)
        no_match = known and not right and not self.some_right
        return replace(
            self,
            both_right=self.both_right + bool(pair.canary_right and pair.previous_right),
            labels_seen=_few(self.labels_seen, [pair.label]) if no_match else () if right else self.labels_seen,
            answers_seen=_few(self.answers_seen, pair.answers) if no_match else () if right else self.answers_seen,
            pairs=self.pairs + 1,
            differ=self.differ + pair.differ,
            labelled=self.labelled + known,
            worse=self.worse + (known and bool(pair.previous_right) and not pair.canary_right),
            better=self.better + (known and bool(pair.canary_right) and not pair.previous_right),
        )


def _few(seen: tuple[str, ...], more: Iterable[str]) -> tuple[str, ...]:
    """The first few different texts."""
    return tuple(dict.fromkeys([*seen, *filter(None, more)]))[:_MOST_SEEN]


def _errors(errors: Mapping[float, tuple[int, int]], outcome: Outcome) -> Mapping[float, tuple[int, int]]:
    if not outcome.failed or not outcome.share:
        return errors
    canary, other = errors.get(outcome.share, (0, 0))
    return {**errors, outcome.share: (canary + outcome.canary_side, other + (not outcome.canary_side))}


def _split(split: Mapping[int, tuple[int, int]], outcome: Outcome) -> Mapping[int, tuple[int, int]]:
    if not outcome.user or outcome.failed or not outcome.answered_by:
        return split
    hits, answers = split.get(outcome.percent, (0, 0))
    return {**split, outcome.percent: (hits + (outcome.answered_by == "canary"), answers + 1)}


def _times(outcomes: Iterable[Outcome], side: Side) -> list[float]:
    return [outcome.took_ms for outcome in outcomes if outcome.answered_by == side and not outcome.failed]


def _histogram(data: Mapping[str, Any]) -> LatencyHistogram:
    return LatencyHistogram({int(key): int(count) for key, count in data["counts"].items()})
