"""Find an input to which the revisions give different answers, so that an answer shows which revision gave it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kserve_nb.access.ingress import Rows
from kserve_nb.access.model_input import plain_rows
from kserve_nb.rollout.errors import NotPossibleError
from kserve_nb.rollout.reader import RolloutReader
from kserve_nb.values.revisions import short
from kserve_nb.values.rollout_status import RolloutStatus, TrafficTarget

MISSED = 1e-9  # probability that the search never reaches LATEST

# Flowers over the whole range of the iris features: classifiers disagree between the species.
IRIS_CANDIDATES: Rows = tuple(
    itertools.product((4.5, 5.5, 6.5, 7.5), (2.2, 3.0, 3.8), (1.5, 3.0, 4.2, 4.8, 5.4, 6.6), (0.3, 1.0, 1.5, 1.8, 2.4))
)


@dataclass(frozen=True)
class DiscriminatingInput:
    """An input, and the answer that each revision gives to it."""

    rows: Rows
    answers: dict[str, tuple[Any, ...]]  # by revision name
    how: str  # how an answer shows its revision, in one sentence
    otherwise: str | None = None  # the revision of every other answer, if only one remains
    alike: bool = False  # all revisions give the same answer, so no answer shows its revision

    def revision_of(self, predictions: Sequence[Any]) -> str | None:
        """The revision that gives these predictions; None if no known one does."""
        return next((name for name, known in self.answers.items() if known == tuple(predictions)), self.otherwise)


def find_discriminating_input(
    rollout: RolloutReader, status: RolloutStatus, candidates: Rows | None = None
) -> DiscriminatingInput:
    """A row to which the revisions in the traffic list give different answers, by default one of the rollout's rows.

    The host of a tag leads to one revision, and `prev-` exists in every canary and pin. Where `latest-` does not
    exist, requests go to the main host until an answer differs from the one of `prev-`.
    """
    candidates = candidates_of(rollout) if candidates is None else plain_rows(candidates)
    latest, previous = status.latest, status.previous
    if latest is None:
        raise NotPossibleError(f"{rollout.name}: no revision serves yet. First: await rollout.wait()")
    if previous is None or previous.revision == latest.revision:
        how = f"{short(latest.revision)} is the only revision"
        return DiscriminatingInput(candidates[:1], {}, how, latest.revision)
    old = tuple(rollout.predict(candidates, tag="prev"))
    if latest.percent == 0 and not latest.url:  # no host leads to it: it gave the answers unlike `old`
        how = f"answers to {len(candidates)} rows that differ from {short(previous.revision)}'s are "
        how += f"{short(latest.revision)}'s"
        return DiscriminatingInput(candidates, {previous.revision: old}, how, latest.revision)
    new = _latest_answers(rollout, candidates, old, 0 if latest.url else latest.percent)
    return _compared(candidates, previous, old, latest, new)


def candidates_of(rollout: RolloutReader) -> Rows:
    """The inputs of the rollout's model; flowers if it has none."""
    return IRIS_CANDIDATES if rollout.rows is None else rollout.rows


def requests_to_find(percent: int) -> int:
    """How many requests reach LATEST at least once, except in one of 1e9 searches.

    >>> requests_to_find(10)
    197
    """
    return math.ceil(math.log(MISSED) / math.log1p(-percent / 100)) if percent < 100 else 1


def _compared(
    rows: Rows, previous: TrafficTarget, old: tuple[Any, ...], latest: TrafficTarget, new: tuple[Any, ...]
) -> DiscriminatingInput:
    """One row on which both lists of answers differ; without one, any row and the reason."""
    differ = [n for n, (before, after) in enumerate(zip(old, new, strict=True)) if before != after]
    both = f"{short(previous.revision)} and {short(latest.revision)}"
    if not differ and latest.percent == 0:
        how = f"{both} answer alike; the traffic list gives {short(latest.revision)} nothing"
        return DiscriminatingInput(rows[:1], {}, how)
    if not differ:
        how = (
            f"{both} give the same answers to all {len(rows)} rows, so no answer shows which revision it came from; "
            "only the traffic list shows the split. Pass rows to which their answers differ: candidates=…"
        )
        return DiscriminatingInput(rows[:1], {}, how, alike=True)
    at = differ[len(differ) // 2]
    how = f"for {list(rows[at])} {short(previous.revision)} says {old[at]}, {short(latest.revision)} says {new[at]}"
    return DiscriminatingInput((rows[at],), {latest.revision: (new[at],), previous.revision: (old[at],)}, how)


def _latest_answers(rollout: RolloutReader, rows: Rows, old: tuple[Any, ...], percent: int) -> tuple[Any, ...]:
    """The answers of the latest revision's own host or, given a percent, the main host's first answers unlike `old`."""
    if not percent:
        return tuple(rollout.predict(rows, tag="latest"))
    host = rollout.host()
    for _ in range(requests_to_find(percent)):
        answer = tuple(rollout.ingress.predict(host, rollout.name, rows))
        if answer != old:
            return answer
    return old
