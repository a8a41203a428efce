"""How a number of requests were answered, counted by revision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Split:
    """How a number of requests were answered: the observed split, not the requested one.

    >>> Split({"00001": 9, "00002": 1}) + Split({"00002": 1}, failed=1)
    Split(counts={'00001': 9, '00002': 2}, failed=1, unattributed=0, lost=0)
    """

    counts: Mapping[str, int]  # by revision name
    failed: int = 0  # no response, or another status than 200
    unattributed: int = 0  # answered, but the answer does not show by which revision
    lost: int = 0  # cut off by our own port-forward before the gateway: they show nothing about a revision

    @property
    def sent(self) -> int:
        """All requests except the lost ones."""
        return self.attributed + self.failed + self.unattributed

    @property
    def attributed(self) -> int:
        """Requests whose answer shows which revision gave it."""
        return sum(self.counts.values())

    def __add__(self, other: Split) -> Split:
        names = {**self.counts, **other.counts}
        counts = {name: self.counts.get(name, 0) + other.counts.get(name, 0) for name in names}
        lost = self.lost + other.lost
        return Split(counts, self.failed + other.failed, self.unattributed + other.unattributed, lost)
