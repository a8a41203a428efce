"""How a check passes and fails: one line, or three."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from kserve_nb.access.api_client import RefusedError
from kserve_nb.access.ingress import PredictError
from kserve_nb.rollout.errors import NotPossibleError

P = ParamSpec("P")


class Asking(Protocol):
    """What has checks for methods: asked of a failure, it says what the doctor has found, or nothing."""

    @property
    def doctor(self) -> Callable[[], str]:
        """Names what blocks the way, in a line; empty where nothing does."""


A = TypeVar("A", bound=Asking)


@dataclass(frozen=True)
class Passed:
    """The record of a passed check: its line was printed already, so a cell that ends with it shows no more."""

    check: str
    line: str
    seen: Mapping[str, Any] = field(default_factory=dict)

    def _ipython_display_(self) -> None:
        """Shows nothing: the line is there."""


class CheckFailed(AssertionError):  # noqa: N818 - the name that notebooks print
    """A failed check; in IPython its traceback is only its lines."""

    def __init__(self, title: str, expected: str, saw: str, do: str):
        self.title, self.expected, self.saw, self.do = title, expected, saw, do
        self.doctor = ""
        super().__init__(title)

    def __str__(self) -> str:
        found = f"; the doctor: {_flat(self.doctor)}" if self.doctor else ""
        seen = f"  expected {_flat(self.expected)}     saw {_flat(self.saw)}"
        return f"✖ {self.title}\n{seen}\n  do: {_flat(self.do)}{found}"

    def _render_traceback_(self) -> list[str]:
        return str(self).splitlines()


def check(
    method: Callable[Concatenate[A, P], tuple[str, dict[str, Any]]],
) -> Callable[Concatenate[A, P], Passed]:
    """Make a check of a method that returns its line and what it saw: print the line, return the record.

    Where there is nothing to look at (no cluster, no namespace, no service, no door) it fails in three lines as well.
    The doctor is asked about every failure; what blocks the way stands at the end of the third line.
    """

    @functools.wraps(method)
    def run(self: A, /, *args: P.args, **kwargs: P.kwargs) -> Passed:
        try:
            line, seen = method(self, *args, **kwargs)
        except (RefusedError, NotPossibleError, PredictError) as error:
            fact, _, next_step = str(error).partition(". ")
            wanted = "an answer" if isinstance(error, PredictError) else "that the steps before are done"
            failed = CheckFailed("There is nothing to look at yet", wanted, fact, next_step or "lab.doctor()")
            failed.doctor = self.doctor()
            raise failed from None
        except CheckFailed as failed:
            failed.doctor = self.doctor()
            raise
        print(f"✔ {line}")  # noqa: T201 - a check's output is its line
        return Passed(method.__name__, line, seen)

    return run


def step(do: str, more: str, hint: bool) -> str:
    """The third line of a failure: the next step, and with a hint how exactly."""
    return f"{do}: {more}" if hint else f"{do} (hint=True tells how)"


def _flat(text: str) -> str:
    return " ".join(text.split())
