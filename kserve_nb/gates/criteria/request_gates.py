"""Gates on requests: errors, the observed split, and response times."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from kserve_nb.gates.criteria.e_process import log_evidence
from kserve_nb.gates.criteria.evidence import Evidence
from kserve_nb.gates.criteria.gate import GateResult, OnFailure, first_factor
from kserve_nb.gates.criteria.latency_histogram import LatencyHistogram
from kserve_nb.rollout import sequential

_FEWEST = 20  # requests: below, an extrapolation of the number needed says nothing


@dataclass(frozen=True)
class ErrorsGate:
    """Fails when the canary has more errors; passes when its error rate is at most `budget` above the previous one.

    One test covers all steps, whatever their percents.

    >>> print(ErrorsGate().judge(Evidence(errors={0.1: (2, 0)}, canary=2, canary_failed=2), 10, alpha=0.05))
    ✖ errors: 2 of 2 errors were on the canary's side, which had 10 % of the requests
    """

    budget: float = 0.05
    name: ClassVar[str] = "errors"
    on_failure: ClassVar[OnFailure] = "rollback"
    has_alpha: ClassVar[bool] = True

    def judge(self, evidence: Evidence, percent: int, alpha: float) -> GateResult:
        """Decide by the errors of both sides, and by the error rates."""
        on_canary, all_errors = (sum(pair) for pair in zip(*_errors(evidence), strict=True))
        weight = max(log_evidence(evidence.errors) / math.log(1 / alpha), 0.0)
        if self.has_failed(evidence, alpha):
            shares = ", ".join(f"{100 * share:.0f} %" for share in sorted(evidence.errors))
            summary = (f"{on_canary} of {all_errors} errors were on the canary's side, "
                       f"which had {shares} of the requests")
            return GateResult(self.name, "fail", summary, evidence.canary, weight=weight)
        excess = self._excess(evidence, 1, alpha)
        summary = (f"{evidence.canary_failed} of {evidence.canary} requests failed on the canary, "
                f"{evidence.previous_failed} of {evidence.previous} on the previous revision; "
                f"at most {100 * max(excess, 0):.1f} points more errors")
        if excess <= self.budget:
            return GateResult(self.name, "pass", summary, evidence.canary, weight=weight)
        return GateResult(self.name, "inconclusive", summary, evidence.canary, self._needed(evidence, alpha), weight)

    def has_failed(self, evidence: Evidence, alpha: float) -> bool:
        """Whether the errors show that the canary is worse; cheap enough to call after every request."""
        return log_evidence(evidence.errors) >= math.log(1 / alpha)

    def _excess(self, evidence: Evidence, factor: float, alpha: float) -> float:
        """The upper bound of the canary's error rate minus the lower bound of the previous revision's."""
        upper = _bound(evidence.canary_failed, evidence.canary, self.budget, factor, alpha)[1]
        lower = _bound(evidence.previous_failed, evidence.previous, self.budget, factor, alpha)[0]
        return (upper - lower) / 100

    def _needed(self, evidence: Evidence, alpha: float) -> int | None:
        counts = evidence if evidence.canary >= _FEWEST else Evidence(canary=_FEWEST, previous=_FEWEST)
        factor = first_factor(lambda factor: self._excess(counts, factor, alpha) <= self.budget)
        return None if factor is None else round(factor * counts.canary)


@dataclass(frozen=True)
class SplitGate:
    """Fails when users do not get the requested split; passes when the band of the share is narrow enough.

    A failure means that traffic is not routed as requested. It says nothing about the canary, so the runner holds.

    >>> print(SplitGate().judge(Evidence(split={10: (60, 200)}), 10, alpha=0.05))
    ✖ split: 10 % requested, 30.0 % observed [17.7–44.7], n = 200
    """

    tolerance: float = 10  # half of the width of a band that is narrow enough, in points
    name: ClassVar[str] = "split"
    on_failure: ClassVar[OnFailure] = "hold"
    has_alpha: ClassVar[bool] = True

    def judge(self, evidence: Evidence, percent: int, alpha: float) -> GateResult:
        """Decide by the answers to users whose revision is known."""
        hits, answers = evidence.split.get(percent, (0, 0))
        log = sum(max(sequential.evidence(*counts, share), -math.inf) for share, counts in evidence.split.items())
        low, high = sequential.band(hits, answers, percent, alpha)
        observed = 100 * hits / answers if answers else 0.0
        summary = f"{percent} % requested, {observed:.1f} % observed [{low:.1f}–{high:.1f}]"
        weight = max(log / math.log(1 / alpha), 0.0)
        if log >= math.log(1 / alpha):
            return GateResult(self.name, "fail", f"{summary}, n = {answers}", answers, weight=weight)
        if percent in (0, 100) or high - low <= 2 * self.tolerance:
            return GateResult(self.name, "pass", f"{summary}, n = {answers}", answers, weight=weight)
        return GateResult(self.name, "inconclusive", summary, answers, self._needed(percent, alpha), weight)

    def _needed(self, percent: int, alpha: float) -> int | None:
        def is_enough(factor: float) -> bool:
            answers = round(_FEWEST * factor)
            low, high = sequential.band(round(answers * percent / 100), answers, percent, alpha)
            return high - low <= 2 * self.tolerance

        factor = first_factor(is_enough)
        return None if factor is None else round(_FEWEST * factor)


@dataclass(frozen=True)
class LatencyGate:
    """Compares a quantile of the canary's response times with that of the previous revision in the same window.

    It fails when the quantile is certainly more than `increase` (a fraction) plus `slack_ms` above that of the
    previous revision, and passes when it certainly is not.
    """

    quantile: float = 0.95
    increase: float = 0.2
    slack_ms: float = 5.0
    name: ClassVar[str] = "latency"
    on_failure: ClassVar[OnFailure] = "rollback"
    has_alpha: ClassVar[bool] = True

    def judge(self, evidence: Evidence, percent: int, alpha: float) -> GateResult:
        """Decide by the anytime-valid bands of both quantiles."""
        canary, previous = evidence.canary_ms, evidence.previous_ms
        low, high = canary.bounds(self.quantile, alpha / 2)
        reference_low, reference_high = previous.bounds(self.quantile, alpha / 2)
        summary = (f"p{100 * self.quantile:g} in ms: canary {_ms(canary, self.quantile)} [{low:.0f}–{_finite(high)}], "
                f"previous {_ms(previous, self.quantile)} [{reference_low:.0f}–{_finite(reference_high)}]")
        n = min(canary.total, previous.total)
        if low > self._limit(reference_high):
            return GateResult(self.name, "fail", summary, n, weight=1.0)
        if high <= self._limit(reference_low):
            return GateResult(self.name, "pass", summary, n)
        return GateResult(self.name, "inconclusive", summary, n, self._needed(n, alpha))

    def _limit(self, reference_ms: float) -> float:
        return reference_ms * (1 + self.increase) + self.slack_ms

    def _needed(self, n: int, alpha: float) -> int | None:
        """Requests until the bands have an upper end; beyond, the number depends on the times themselves."""
        def has_upper_end(factor: float) -> bool:
            counts = LatencyHistogram({0: round(_FEWEST * factor)})
            return counts.bounds(self.quantile, alpha / 2)[1] < math.inf

        factor = first_factor(has_upper_end)
        needed = None if factor is None else round(_FEWEST * factor)
        return needed if needed is not None and needed > n else None


def _errors(evidence: Evidence) -> list[tuple[int, int]]:
    """The canary's errors and all errors, by share; never empty."""
    return [(0, 0), *((canary, canary + other) for canary, other in evidence.errors.values())]


def _bound(failed: int, requests: int, budget: float, factor: float, alpha: float) -> tuple[float, float]:
    return sequential.band(round(failed * factor), round(requests * factor), 100 * budget, alpha / 2)


def _ms(times: LatencyHistogram, quantile: float) -> str:
    return f"{times.quantile(quantile):.0f}"


def _finite(value: float) -> str:
    return "∞" if value == math.inf else f"{value:.0f}"
