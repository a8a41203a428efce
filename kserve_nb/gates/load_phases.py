"""The phases of a load: it is divided at each change of traffic, with one line for each percent. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from kserve_nb.gates.load_generator import LoadResult

_MARGIN_S = 0.5  # left out on both sides of a change: the watch reports it a moment after the gateway uses it


@dataclass(frozen=True)
class LoadChange:
    """A change of traffic during a load, in seconds since the first request was due."""

    at_s: float
    requested_percent: int | None
    routed_percent: int | None  # the percent of the revision that was LATEST when the load began

    @property
    def label(self) -> str:
        """The change in a few characters: `50 %`, `promoted`."""
        return "promoted" if self.requested_percent is None else f"{self.requested_percent} %"


@dataclass(frozen=True)
class LoadPhase:
    """The part of a load in which the traffic was the same."""

    change: LoadChange
    until_s: float
    result: LoadResult

    def __str__(self) -> str:
        return f"{self.change.at_s:.0f}–{self.until_s:.0f} s: {self.result.sentence}"


def phases(result: LoadResult, changes: Sequence[LoadChange]) -> tuple[LoadPhase, ...]:
    """The phases of a load. Requests within half a second of a change are not counted; empty phases are left out.

    >>> from kserve_nb.gates.load_generator import Shot
    >>> shots = tuple(Shot(n, n, n + 0.01, "a-00002" if n > 4 else "a-00001") for n in range(9))
    >>> changes = (LoadChange(0, 0, 0), LoadChange(4.4, None, 100))
    >>> print(*phases(LoadResult(shots, 1, "a-00002", 0, 0), changes), sep="\\n")
    0–4 s: requested 0 % · routed 0 % · observed 0.0 % [0.0–53.2], n = 4 · 0 of 4 failed
    4–8 s: requested no percent · routed 100 % · observed 100.0 % [46.8–100.0], n = 4 · 0 of 4 failed
    """
    end = max((shot.due_s for shot in result.shots), default=0.0)
    after = [*(change.at_s for change in changes[1:]), end + _MARGIN_S]
    found = []
    for number, (change, until_s) in enumerate(zip(changes, after, strict=True)):
        start = change.at_s + (_MARGIN_S if number else -_MARGIN_S)
        shots = tuple(shot for shot in result.shots if start <= shot.due_s <= until_s - _MARGIN_S)
        part = replace(result, shots=shots, requested_percent=change.requested_percent,
                       routed_percent=change.routed_percent)  # fmt: skip
        if shots:
            found.append(LoadPhase(change, min(until_s, end), part))
    return tuple(found)


def distinct(changes: Sequence[LoadChange]) -> tuple[LoadChange, ...]:
    """The changes of traffic, without those that have the same percents as the one before."""
    pairs = itertools.pairwise([None, *changes])
    return tuple(now for before, now in pairs if now is not None and (before is None or (
        before.requested_percent, before.routed_percent) != (now.requested_percent, now.routed_percent)))
