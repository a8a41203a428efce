"""The plan of a gated rollout: its steps, its gates, and its limits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from kserve_nb.access.model_input import InputError, checked_labels, checked_rows
from kserve_nb.gates.criteria.gate import Gate
from kserve_nb.gates.criteria.request_gates import ErrorsGate, SplitGate
from kserve_nb.values.text.readable_error import ReadableError, short_repr

OnInconclusive = Literal["hold", "rollback"]
DEFAULT_STEPS = (1, 5, 10, 25, 50, 100)
MOST_RATE = 200.0  # requests a second of the probe
_FEWEST_STEPS, _HUNDRED = 1, 100


class PlanError(ReadableError, ValueError):
    """A plan that cannot be followed; the message names the field, and the line if the plan is a file."""


@dataclass(frozen=True)
class ProbeTraffic:
    """Requests that the runner sends itself, as a source of evidence.

    In each round one request goes to the main host, as a user's. With the host of the tag `latest`, the same rows
    also go to both revisions, which no user notices. Without it, further requests go to the previous revision.

    >>> ProbeTraffic(rate=50).rate
    50
    """

    rate: float = 20.0  # rounds a second
    rows: Sequence[Sequence[Any]] = ()  # a list, an array or a data frame; empty: the rollout's rows
    labels: Sequence[Any] = ()  # the right answers to the rows

    def __post_init__(self) -> None:
        try:
            rows = () if _is_empty(self.rows) else tuple(map(tuple, checked_rows(self.rows)))
            labels = () if _is_empty(self.labels) else tuple(checked_labels(self.labels))
        except InputError as error:
            raise PlanError(f"probe: {error}") from None
        if isinstance(self.rate, bool) or not isinstance(self.rate, int | float):
            raise PlanError(f"probe: rate {short_repr(self.rate)} is not a number of rounds a second, such as 20.")
        object.__setattr__(self, "rows", rows)
        object.__setattr__(self, "labels", labels)


@dataclass(frozen=True)
class RolloutPlan:
    """The plan of a gated rollout.

    >>> RolloutPlan(steps=(10, 50, 100), bake_s=20).steps
    (10, 50, 100)
    >>> RolloutPlan(steps=(50, 10))
    Traceback (most recent call last):
    ...
    kserve_nb.gates.plan.PlanError: steps: 10 follows 50, but each step must be larger than the one before.
    """

    steps: tuple[int, ...] = DEFAULT_STEPS  # percents; 100 promotes; a first step of 0 probes before any user is sent
    gates: tuple[Gate, ...] = (ErrorsGate(), SplitGate())
    model: str = ""  # storageUri of the new model; empty: the canary exists already
    bake_s: float = 30.0  # the shortest time of a step
    minimum_exposure: int = 50  # requests to the canary in each step
    alpha: float = 0.05  # probability that a canary that is as good as the previous revision is stopped
    limit_s: float = 1800.0  # for the whole rollout
    ready_s: float = 300.0  # for the canary to become ready, and for traffic to move
    on_inconclusive: OnInconclusive = "hold"  # at the end of the limit
    probe: ProbeTraffic | None = field(default=None)

    def __post_init__(self) -> None:
        self._check_types()
        for name, problem in (
            ("steps", self._steps_problem()),
            ("gates", "" if self.gates else "there is none, and without a gate nothing stops a bad canary."),
            ("alpha", "" if 0 < self.alpha < 1 else f"{self.alpha} is not between 0 and 1."),
            ("bake", "" if 0 <= self.bake_s < math.inf else f"{self.bake_s} is not a duration."),
            ("limit", "" if self.bake_s < self.limit_s < math.inf else f"{self.limit_s} s is not longer than bake."),
            ("ready", "" if 0 < self.ready_s < math.inf else f"{self.ready_s} is not a duration."),
            ("minimumExposure", "" if self.minimum_exposure >= 0 else f"{self.minimum_exposure} is negative."),
            ("onInconclusive", "" if self.on_inconclusive in ("hold", "rollback") else
             f"{self.on_inconclusive!r} is neither hold nor rollback."),
            ("probe", self._probe_problem()),
        ):
            if problem:
                raise PlanError(f"{name}: {problem}")

    def _check_types(self) -> None:
        """Raise PlanError for a value of another type, which a plan in code can have."""
        seconds = "a number of seconds, such as 30"
        for name, value, types, what in (
            ("steps", self.steps, (tuple, list), "a list of percents, such as (10, 50, 100)"),
            ("gates", self.gates, (tuple, list), "a list of gates, such as (ErrorsGate(), SplitGate())"),
            ("model", self.model, (str,), "the storageUri of a model, or an empty text"),
            ("bake", self.bake_s, (int, float), seconds), ("limit", self.limit_s, (int, float), seconds),
            ("ready", self.ready_s, (int, float), seconds),
            ("alpha", self.alpha, (int, float), "a number, such as 0.05"),
            ("minimumExposure", self.minimum_exposure, (int,), "a whole number"),
            ("probe", self.probe, (ProbeTraffic, type(None)), "ProbeTraffic(…) or None"),
        ):
            if not isinstance(value, types) or isinstance(value, bool):
                raise PlanError(f"{name}: {short_repr(value)} is not {what}.")
        for gate in self.gates:
            if isinstance(gate, type) or not hasattr(gate, "judge"):
                raise PlanError(f"gates: {short_repr(gate)} is not a gate, such as ErrorsGate().")
        object.__setattr__(self, "steps", tuple(self.steps))
        object.__setattr__(self, "gates", tuple(self.gates))

    def alpha_of(self, gate: Gate) -> float:
        """The gate's part of alpha: all gates together stop a good canary with at most that probability."""
        return self.alpha / max(sum(each.has_alpha for each in self.gates), 1) if gate.has_alpha else self.alpha

    def _steps_problem(self) -> str:
        if len(self.steps) < _FEWEST_STEPS:
            return "there is none."
        for percent in self.steps:
            if isinstance(percent, bool) or not isinstance(percent, int) or not 0 <= percent <= _HUNDRED:
                return f"{percent!r} is not a whole number from 0 to 100."
        for before, after in zip(self.steps, self.steps[1:], strict=False):
            if after <= before:
                return f"{after} follows {before}, but each step must be larger than the one before."
        if self.steps[-1] != _HUNDRED:
            return f"the last step is {self.steps[-1]}, but it must be 100, which promotes."
        return "" if self.steps[0] < _HUNDRED else "the first step is 100, so that no gate can stop anything."

    def _probe_problem(self) -> str:
        probe = self.probe
        if probe is None:
            return ""
        if not 0 < probe.rate <= MOST_RATE:
            return f"the rate {probe.rate:g} is not above 0 and at most {MOST_RATE:g} rounds a second."
        if probe.labels and len(probe.labels) != len(probe.rows):
            return f"it has {len(probe.labels)} labels for {len(probe.rows)} rows."
        return ""


def _is_empty(values: Any) -> bool:
    return isinstance(values, list | tuple) and not values
