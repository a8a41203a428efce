"""The interface of a gate, and its result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

from kserve_nb.gates.criteria.evidence import Evidence

GateWord = Literal["pass", "fail", "inconclusive"]
OnFailure = Literal["rollback", "hold"]


@dataclass(frozen=True)
class GateResult:
    """The result of one gate: pass, fail, or inconclusive with the number of requests that are needed.

    >>> print(GateResult("errors", "inconclusive", "no request failed", n=40, needed=260))
    ? errors: no request failed (n = 40, about 260 needed)
    """

    gate: str
    word: GateWord
    summary: str  # the evidence in one sentence
    n: int = 0  # requests so far
    needed: int | None = None  # in all, if the counts go on as they are; None: unknown
    weight: float = 0.0  # the evidence against the canary; 1 is the limit

    @property
    def sign(self) -> str:
        """A glyph for the result."""
        return {"pass": "✔", "fail": "✖", "inconclusive": "?"}[self.word]

    def __str__(self) -> str:
        needed = f", about {self.needed} needed" if self.needed is not None else ""
        count = f" (n = {self.n}{needed})" if self.word == "inconclusive" else ""
        return f"{self.sign} {self.gate}: {self.summary}{count}"


class Gate(Protocol):
    """A condition that a canary must meet. A gate has no state: its result follows from the evidence."""

    name: ClassVar[str]  # in plans and messages
    on_failure: ClassVar[OnFailure]  # what the runner does if the gate fails
    has_alpha: ClassVar[bool]  # whether it takes a part of the plan's alpha

    def judge(self, evidence: Evidence, percent: int, alpha: float) -> GateResult:
        """Judge the canary by the evidence.

        Args:
            percent: the traffic of the canary in this step.
            alpha: the probability of a failure, at any time, of a canary that is as good as the previous revision.
        """


def first_factor(is_enough: Callable[[float], bool], most: float = 2.0**20) -> float | None:
    """The factor by which counts must grow for a result, as the smallest power of √2; None if it is too large."""
    factor = 1.0
    while factor <= most:
        if is_enough(factor):
            return factor
        factor *= 2**0.5
    return None
