"""A question to answer before a change, and the comparison of the prediction with the cluster's answer. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from kserve_nb.observe.snapshot import Snapshot

Kind = Literal["choice", "number", "row"]
Fields = Mapping[str, str]  # what was entered, or what the cluster answers, by field
Reading = Callable[[Snapshot, Snapshot], Fields | None]  # (start, now) → the answer; None while it is not known yet
ONE = "answer"  # the only field of a choice or a number
ROW = ("PREV", "LATEST", "pods")


@dataclass(frozen=True)
class CourseQuestion:
    """A question with its form of answer, and a sentence for each wrong one."""

    id: str
    notebook: str
    text: str
    kind: Kind
    read: Reading | None = None  # how the cluster answers; None if the notebook passes a value
    options: Sequence[tuple[str, str]] = ()  # for a choice: label and value
    wrong: Mapping[str, str] = field(default_factory=dict)  # by value, or for a row by FIELD=VALUE
    otherwise: Mapping[str, str] = field(default_factory=dict)  # by field: for wrong values that are not listed
    right: str = "You predicted it."
    tolerance: float = 0.0  # for a number: the allowed difference
    unit: str = ""

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of the form."""
        return ROW if self.kind == "row" else (ONE,)

    def normalized(self, entered: Fields) -> dict[str, str]:
        """The prediction in the form in which it is compared. Raises ValueError that names a wrong value."""
        found = {name: str(entered.get(name, "")).strip().removesuffix("%").strip() for name in self.fields}
        for name, value in found.items():
            if self.kind == "choice" and value not in [option for _, option in self.options]:
                raise ValueError(f"Choose one of: {', '.join(label for label, _ in self.options)}.")
            if self.kind != "choice" and not _is_number(value) and not (name == "PREV" and value in ("", "-")):
                raise ValueError(f"{name}: {value!r} is not a number. For no previous revision, leave PREV empty.")
        return {name: "" if value == "-" else value for name, value in found.items()}

    def is_right(self, entered: Fields, answer: Fields) -> bool:
        """Whether all fields agree."""
        return all(self._agrees(name, entered, answer) for name in self.fields)

    def explain(self, entered: Fields, answer: Fields) -> tuple[str, ...]:
        """Why each wrong field is wrong; or one sentence if all are right."""
        if self.is_right(entered, answer):
            return (self.right,)
        return tuple(self._why(name, entered[name]) for name in self.fields if not self._agrees(name, entered, answer))

    def label(self, value: str) -> str:
        """A value as it is shown."""
        if self.kind == "choice":
            return next((label for label, option in self.options if option == value), value)
        return f"{value}{self.unit}" if value else "empty"

    def _agrees(self, name: str, entered: Fields, answer: Fields) -> bool:
        one, other = entered[name], answer[name]
        if self.kind != "choice" and one and other:
            return abs(float(one) - float(other)) <= self.tolerance
        return one == other

    def _why(self, name: str, value: str) -> str:
        key = f"{name}={value}" if self.kind == "row" else value
        return self.wrong.get(key) or self.otherwise.get(name) or "The cluster decided otherwise."


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
