"""The result of a check: one printed line when it passes, an exception with three lines when it fails."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from kserve_nb.access.api_client import RefusedError
from kserve_nb.access.ingress import PredictError
from kserve_nb.rollout.errors import NotPossibleError

P = ParamSpec("P")
Outcome = tuple[str, dict[str, Any]]  # of a passed check: its line, and the values that it compared


class HasDoctor(Protocol):
    """A class whose methods are checks. `doctor()` returns the first blocker in one line, or an empty string."""

    @property
    def doctor(self) -> Callable[[], str]:
        """Examines the cluster after a check has failed."""


H = TypeVar("H", bound=HasDoctor)


@dataclass(frozen=True)
class Passed:
    """The record of a passed check. A cell that ends with one displays nothing more, because its line is printed.

    >>> Passed("promoted", "00002 serves 100 % (LATEST=100, PREV empty)").check
    'promoted'
    """

    check: str
    line: str
    seen: Mapping[str, Any] = field(default_factory=dict)

    def _ipython_display_(self) -> None:
        """Display nothing: the line has been printed."""


class CheckFailed(AssertionError):  # noqa: N818 - the name that notebooks print
    """A failed check: what was expected, what was found, and what to do. IPython shows only these three lines.

    >>> print(CheckFailed("The canary is not promoted", "LATEST 100", "LATEST 10", "rollout.promote()"))
    ✖ The canary is not promoted
      expected LATEST 100     saw LATEST 10
      do: rollout.promote()
    """

    def __init__(self, title: str, expected: str, saw: str, do: str):
        self.title, self.expected, self.saw, self.do = title, expected, saw, do
        self.doctor = ""
        super().__init__(title)

    def __str__(self) -> str:
        found = f"; the doctor: {_one_line(self.doctor)}" if self.doctor else ""
        seen = f"  expected {_one_line(self.expected)}     saw {_one_line(self.saw)}"
        return f"✖ {self.title}\n{seen}\n  do: {_one_line(self.do)}{found}"

    def _render_traceback_(self) -> list[str]:
        return str(self).splitlines()


def check(
    method: Callable[Concatenate[H, P], Outcome],
) -> Callable[Concatenate[H, P], Passed]:
    """Turn a method that returns an outcome into a check, which prints the outcome's line and returns a record.

    A missing cluster, namespace, InferenceService or tag host fails the check with three lines as well. After every
    failure the doctor examines the cluster, and its first blocker is appended to the third line.
    """

    @functools.wraps(method)
    def run(self: H, /, *args: P.args, **kwargs: P.kwargs) -> Passed:
        try:
            line, seen = method(self, *args, **kwargs)
        except (RefusedError, NotPossibleError, PredictError) as error:
            fact, _, next_step = str(error).partition(". ")
            expected = "an answer" if isinstance(error, PredictError) else "the earlier steps have been run"
            failed = CheckFailed("There is nothing to check yet", expected, fact, next_step or "lab.doctor()")
            failed.doctor = self.doctor()
            raise failed from None
        except CheckFailed as failed:
            failed.doctor = self.doctor()
            raise
        print(f"✔ {line}")  # noqa: T201 - a check's output is its line
        return Passed(method.__name__, line, seen)

    return run


def step(do: str, more: str, hint: bool) -> str:
    """The third line of a failed check: the next step, and with `hint` the exact command."""
    return f"{do}: {more}" if hint else f"{do} (hint=True tells how)"


def _one_line(text: str) -> str:
    return " ".join(text.split())
