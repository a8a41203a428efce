"""Send the same rows to both revisions, through the hosts of their tags, and compare the answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kserve_nb.access.ingress import Rows
from kserve_nb.access.model_input import InputError, checked_labels, checked_rows, kinds_of
from kserve_nb.gates.criteria.answer_gates import LossGate
from kserve_nb.gates.criteria.evidence import Evidence, Pair
from kserve_nb.gates.criteria.gate import GateResult
from kserve_nb.rollout import sequential
from kserve_nb.rollout.discriminating_input import candidates_of
from kserve_nb.rollout.reader import RolloutReader
from kserve_nb.values.text.readable_error import short_repr

_MOST_SHOWN = 10
_EXPECTED_PERCENT = 5  # of the rows are expected to differ: the mean of the prior


@dataclass(frozen=True, repr=False)
class RevisionComparison:
    """The answers of two revisions to the same rows.

    >>> print(RevisionComparison([[1.0], [2.0]], [0, 1], [0, 2]))
    1 of 2 answers differ = 50.0 % [0.2–99.8]
    1 → 2: 1 times
    row [2.0]: previous 1, latest 2
    """

    rows: Rows
    previous: list[Any]
    latest: list[Any]

    @property
    def differing(self) -> list[int]:
        """The indexes of the rows on which the answers differ."""
        both = zip(self.previous, self.latest, strict=True)
        return [number for number, (old, new) in enumerate(both) if old != new]

    def against(self, labels: Sequence[Any], budget: float = 0.02, alpha: float = 0.05) -> GateResult:
        """Compare both revisions with the right answers: fails if the latest one is certainly worse.

        Only rows on which exactly one revision is right count (McNemar's test, as an e-process).

        >>> print(RevisionComparison([[1.0]], [0], [0]).against([0]).word)
        inconclusive

        Args:
            labels: the right answer to each row.
            budget: how much lower the accuracy of the latest revision may be.

        Raises:
            InputError: there is not one label for each row, or no label can equal an answer, as 1 and "1".
        """
        checked = checked_labels(labels, len(self.rows))
        expected, given = kinds_of(checked), kinds_of([*self.previous, *self.latest])
        if not expected.keys() & given.keys():
            raise InputError(
                "Cannot compare with these labels: no label equals an answer: labels are "
                f"{'/'.join(expected.values())}, answers are {'/'.join(given.values())}. Convert the labels to the "
                "type of the answers.")
        evidence = Evidence().add([], [
            Pair(old != new, new == label, old == label, short_repr(label), (short_repr(new), short_repr(old)))
            for old, new, label in zip(self.previous, self.latest, checked, strict=True)])
        return LossGate(budget).judge(evidence, 0, alpha)

    def to_dict(self) -> dict[str, Any]:
        """The comparison for a JSON document."""
        return {"rows": len(self.rows), "differing": [
            {"row": list(self.rows[n]), "previous": self.previous[n], "latest": self.latest[n]}
            for n in self.differing]}

    def __str__(self) -> str:
        count, total = len(self.differing), len(self.rows)
        low, high = sequential.band(count, total, _EXPECTED_PERCENT)
        confusion = Counter(f"{self.previous[n]} → {self.latest[n]}" for n in self.differing)
        share = 100 * count / total if total else 0
        lines = [f"{count} of {total} answers differ = {share:.1f} % [{low:.1f}–{high:.1f}]"]
        lines += [f"{what}: {times} times" for what, times in confusion.most_common()]
        lines += [f"row {list(self.rows[n])}: previous {self.previous[n]}, latest {self.latest[n]}"
                  for n in self.differing[:_MOST_SHOWN]]
        more = count - _MOST_SHOWN
        return "\n".join([*lines, f"and {more} more"] if more > 0 else lines)


def compare_revisions(rollout: RolloutReader, rows: Rows | None = None) -> RevisionComparison:
    """Send the rows to both revisions.

    Raises:
        NotPossibleError: no host leads to one of them only.
        InputError: these are not rows of finite numbers or texts.
    """
    chosen = candidates_of(rollout) if rows is None else checked_rows(rows)
    previous = rollout.predict(chosen, tag="prev")
    return RevisionComparison(chosen, previous, rollout.predict(chosen, tag="latest"))
