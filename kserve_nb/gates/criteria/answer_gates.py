"""Gates on answers: the same rows are sent to both revisions through the hosts of their tags, so no user notices."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from kserve_nb.gates.criteria.e_process import log_evidence
from kserve_nb.gates.criteria.evidence import Evidence
from kserve_nb.gates.criteria.gate import GateResult, OnFailure, first_factor
from kserve_nb.rollout import sequential

_FEWEST = 20
_NO_PAIRS = "no row was answered by both revisions: the probe and the host of the tag latest are needed (rollout.tag())"
_NO_LABELS = ("no row with a label was answered by both revisions: the plan's probe needs rows and labels, and the "
              "canary the host of the tag latest (rollout.tag())")


@dataclass(frozen=True)
class AgreementGate:
    """Fails when the revisions certainly disagree on more than `budget` of the rows; passes when they certainly do not.

    >>> print(AgreementGate(budget=0.1).judge(Evidence(pairs=400, differ=8), 10, alpha=0.05))
    ✔ agreement: the revisions differ on 8 of 400 rows [0.4–5.8 %], the budget is 10 %
    """

    budget: float = 0.1
    name: ClassVar[str] = "agreement"
    on_failure: ClassVar[OnFailure] = "rollback"
    has_alpha: ClassVar[bool] = True

    def judge(self, evidence: Evidence, percent: int, alpha: float) -> GateResult:
        """Decide by the share of the rows on which the answers differ."""
        if not evidence.pairs:
            return GateResult(self.name, "inconclusive", _NO_PAIRS, 0)
        low, high = self._band(evidence, 1, alpha)
        summary = (f"the revisions differ on {evidence.differ} of {evidence.pairs} rows [{low:.1f}–{high:.1f} %], "
                f"the budget is {100 * self.budget:g} %")
        if low > 100 * self.budget:
            return GateResult(self.name, "fail", summary, evidence.pairs, weight=1.0)
        if high <= 100 * self.budget:
            return GateResult(self.name, "pass", summary, evidence.pairs)
        factor = first_factor(lambda factor: self._band(evidence, factor, alpha)[1] <= 100 * self.budget)
        needed = None if factor is None or evidence.pairs < _FEWEST else round(factor * evidence.pairs)
        return GateResult(self.name, "inconclusive", summary, evidence.pairs, needed)

    def _band(self, evidence: Evidence, factor: float, alpha: float) -> tuple[float, float]:
        return sequential.band(
            round(evidence.differ * factor), round(evidence.pairs * factor), 100 * self.budget, alpha)


@dataclass(frozen=True)
class LossGate:
    """Compares wrong answers to rows with known labels. Fails when the canary is worse.

    Only rows on which exactly one revision is right count. If both are equally good, each of them is a fair coin
    (McNemar's test, as an e-process). It passes when the canary's accuracy is certainly at most `budget` lower. As
    long as no label equals an answer, it is inconclusive and names some of both.

    >>> print(LossGate().judge(Evidence(labelled=40, worse=12, better=0), 5, alpha=0.05))
    ✖ loss: of 40 labelled rows only the previous revision was right on 12, only the canary on 0
    """

    budget: float = 0.02
    name: ClassVar[str] = "loss"
    on_failure: ClassVar[OnFailure] = "rollback"
    has_alpha: ClassVar[bool] = True

    def judge(self, evidence: Evidence, percent: int, alpha: float) -> GateResult:
        """Decide by the rows on which exactly one revision is right."""
        n, worse, better = evidence.labelled, evidence.worse, evidence.better
        if not n:
            return GateResult(self.name, "inconclusive", _NO_LABELS, 0)
        if not evidence.some_right:
            return GateResult(self.name, "inconclusive", _no_match(evidence), n)
        log = log_evidence({0.5: (worse, better)})
        weight = max(log / math.log(1 / alpha), 0.0)
        summary = f"of {n} labelled rows only the previous revision was right on {worse}, only the canary on {better}"
        if log >= math.log(1 / alpha):
            return GateResult(self.name, "fail", summary, n, weight=weight)
        if self._excess(evidence, 1, alpha) <= self.budget:
            return GateResult(self.name, "pass", summary, n, weight=weight)
        factor = first_factor(lambda factor: self._excess(evidence, factor, alpha) <= self.budget)
        needed = None if factor is None or n < _FEWEST else round(factor * n)
        return GateResult(self.name, "inconclusive", summary, n, needed, weight)

    def _excess(self, evidence: Evidence, factor: float, alpha: float) -> float:
        n = round(evidence.labelled * factor)
        upper = sequential.band(round(evidence.worse * factor), n, 100 * self.budget, alpha / 2)[1]
        lower = sequential.band(round(evidence.better * factor), n, 100 * self.budget, alpha / 2)[0]
        return (upper - lower) / 100


def _no_match(evidence: Evidence) -> str:
    """Why nothing can be decided while no label equals an answer."""
    seen = (f" The labels are {', '.join(evidence.labels_seen)}; the answers were {', '.join(evidence.answers_seen)}."
            if evidence.labels_seen and evidence.answers_seen else "")
    return (f"no revision was right on any of {evidence.labelled} labelled rows.{seen} Write the labels as the models "
            "answer (1 and '1' differ), one for each row, in the order of the rows")
