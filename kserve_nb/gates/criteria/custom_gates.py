"""Gates that users define: a Python function, and a Prometheus query."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import ClassVar

from kserve_nb.gates.criteria.evidence import Evidence, Reading
from kserve_nb.gates.criteria.gate import GateResult, GateWord, OnFailure

GateFunction = Callable[[Evidence], bool | None]
_IN_A_ROW = 3  # readings of a query on one side of its limit, before the gate decides


@dataclass(frozen=True)
class FunctionGate:
    """Calls a Python function with the evidence: True passes, False fails, None is inconclusive.

    The function is a callable, or `module:function`. An exception in it is inconclusive: it says nothing about the
    canary.

    >>> print(FunctionGate(lambda evidence: evidence.users_failed == 0).judge(Evidence(), 10, alpha=0.05))
    ✔ python: <lambda> returned True
    """

    function: GateFunction | str
    name: ClassVar[str] = "python"
    on_failure: ClassVar[OnFailure] = "rollback"
    has_alpha: ClassVar[bool] = False

    def judge(self, evidence: Evidence, percent: int, alpha: float) -> GateResult:
        """Decide by the value that the function returns."""
        called = self.function if isinstance(self.function, str) else self.function.__name__
        try:
            returned = self.load()(evidence)
        except Exception as error:
            summary = f"{called} raised {type(error).__name__}: {error}"
            return GateResult(self.name, "inconclusive", summary, evidence.canary)
        word: GateWord = "inconclusive" if returned is None else "pass" if returned else "fail"
        return GateResult(self.name, word, f"{called} returned {returned}", evidence.canary)

    def load(self) -> GateFunction:
        """The function itself. Raises ImportError, AttributeError or TypeError if there is none of this name."""
        if not isinstance(self.function, str):
            return self.function
        module, _, name = self.function.partition(":")
        found: GateFunction = getattr(import_module(module), name)
        if not callable(found):
            raise TypeError(f"{self.function} is not a function")
        return found


@dataclass(frozen=True)
class PrometheusGate:
    """Compares the value of a Prometheus query with a limit.

    Without a value, or with too few samples, it is inconclusive: missing data says nothing about the canary. It
    decides after three readings in a row on the same side of the limit. `samples` is a query for the number of
    requests behind the value.
    """

    url: str
    query: str
    at_most: float
    samples: str = ""
    minimum: int = 100
    name: ClassVar[str] = "prometheus"
    on_failure: ClassVar[OnFailure] = "rollback"
    has_alpha: ClassVar[bool] = False

    def judge(self, evidence: Evidence, percent: int, alpha: float) -> GateResult:
        """Decide by the latest readings of the query."""
        reading = evidence.readings.get(self.query, Reading())
        n = round(reading.samples or 0)
        if reading.value is None:
            return GateResult(self.name, "inconclusive", f"the query has no value: {self.query}", n)
        summary = f"{self.query} is {reading.value:g}, the limit is {self.at_most:g}"
        if self.samples and n < self.minimum:
            return GateResult(self.name, "inconclusive", summary, n, self.minimum)
        if reading.above >= _IN_A_ROW:
            return GateResult(self.name, "fail", summary, n, weight=1.0)
        if reading.below >= _IN_A_ROW:
            return GateResult(self.name, "pass", summary, n)
        return GateResult(self.name, "inconclusive", f"{summary}; {_IN_A_ROW} readings in a row are needed", n)

    def read(self, last: Reading, value: float | None, samples: float | None) -> Reading:
        """The next reading of the query, which counts readings in a row."""
        if value is None:
            return Reading()
        above = value > self.at_most
        return Reading(value, samples, last.above + 1 if above else 0, 0 if above else last.below + 1)
