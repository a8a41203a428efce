"""Send probe traffic: a user's request to the main host, and the same rows to both revisions.

No response tells which revision gave it. With the host of the tag `latest`, each revision has its own host, and each
round compares one request to either: the canary's side has half of these requests. Without it, the canary's side is
the main host, and nine requests to the host `prev` are the other side: if the canary is as good as the previous
revision, an error falls on the main host with a probability of 1/10.
"""

from __future__ import annotations

import itertools
import random
import time
from dataclasses import dataclass, field
from typing import Any

from kserve_nb.access.ingress import LostError, PredictError, Rows, host_of
from kserve_nb.gates.criteria.evidence import Outcome, Pair, Side
from kserve_nb.gates.plan import ProbeTraffic
from kserve_nb.rollout.discriminating_input import candidates_of
from kserve_nb.rollout.reader import RolloutReader
from kserve_nb.values.rollout_status import RolloutStatus
from kserve_nb.values.text.readable_error import short_repr

_REFERENCES = 9  # requests to the previous revision for each one to the main host, without the host `latest`


@dataclass(frozen=True)
class RoundResult:
    """The outcomes of one round, and the pair of answers to the same rows if both revisions answered."""

    outcomes: tuple[Outcome, ...] = ()
    pairs: tuple[Pair, ...] = ()


@dataclass(frozen=True)
class _Answer:
    failed: bool
    took_ms: float
    predictions: tuple[Any, ...] | None = None


@dataclass
class Prober:
    """Sends rounds of requests. Keeps only an input to which the revisions gave different answers."""

    rollout: RolloutReader
    traffic: ProbeTraffic
    _rows: Rows = field(init=False)
    _turns: Any = field(init=False)
    _known: tuple[int, tuple[Any, ...], tuple[Any, ...]] | None = None  # row, answers of the canary and the previous
    _draw: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        self._rows = self.traffic.rows or candidates_of(self.rollout)
        order = list(range(len(self._rows)))
        self._draw.shuffle(order)
        self._turns = itertools.cycle(order)

    def forget(self) -> None:
        """Forget what is known about the answers: the canary is another revision."""
        self._known = None

    def round(self, status: RolloutStatus) -> RoundResult:
        """Send one round, with the traffic as it is."""
        latest, previous = status.latest, status.previous
        if latest is None or previous is None or not previous.url or latest.revision == previous.revision:
            return RoundResult()
        hosts = {"main": host_of(status.url), "prev": host_of(previous.url)}
        row = next(self._turns)
        if not latest.url:
            return self._against_main(hosts, row, latest.percent)
        hosts["latest"] = host_of(latest.url)
        user = self._user(hosts["main"], row, latest.percent, 0.0)
        sides = ["latest", "prev"]
        self._draw.shuffle(sides)
        answers = {side: answer for side in sides if (answer := self._send(hosts[side], row))}
        outcomes = [_compared(answers[side], 0.5, side) for side in answers]
        return RoundResult((*user, *outcomes), self._pair(row, answers))

    def _against_main(self, hosts: dict[str, str], row: int, percent: int) -> RoundResult:
        """A round without the host `latest`."""
        share = 1 / (1 + _REFERENCES)
        answers = [answer for _ in range(_REFERENCES) if (answer := self._send(hosts["prev"], row))]
        outcomes = [_compared(answer, share, "prev") for answer in answers]
        old = next((answer.predictions for answer in answers if answer.predictions is not None), None)
        user = self._user(hosts["main"], row, percent, share, old)
        return RoundResult((*user, *outcomes))

    def _user(
        self, host: str, row: int, percent: int, share: float, old: tuple[Any, ...] | None = None
    ) -> list[Outcome]:
        """A request to the main host. Half of them use the input that shows which revision answers.

        Args:
            old: what the previous revision answers to the row, if known.
        """
        uses_known = self._known is not None and self._draw.random() < 0.5
        row = self._known[0] if self._known and uses_known else row
        answer = self._send(host, row)
        if answer is None:
            return []
        by: Side = ""
        if self._known and row == self._known[0]:
            by = "canary" if answer.predictions == self._known[1] else (
                "previous" if answer.predictions == self._known[2] else "")
        elif old is not None and answer.predictions not in (None, old):
            self._known = (row, answer.predictions or (), old)
        return [Outcome(share, share > 0, answer.failed, answer.took_ms, by, user=True, percent=percent)]

    def _pair(self, row: int, answers: dict[str, _Answer]) -> tuple[Pair, ...]:
        new, old = (answers[side].predictions if side in answers else None for side in ("latest", "prev"))
        if new is None or old is None:
            return ()
        if new != old and self._known is None:
            self._known = (row, new, old)
        if not self.traffic.labels:
            return (Pair(new != old),)
        right = (_hashable(self.traffic.labels[row]),)
        shown = tuple(short_repr(values[0]) for values in (new, old) if values)
        return (Pair(new != old, new == right, old == right, short_repr(right[0]), shown),)

    def _send(self, host: str, row: int) -> _Answer | None:
        """The answer to one row; None if our own port-forward lost the request."""
        began = time.perf_counter()
        try:
            response = self.rollout.ingress.request(host, self.rollout.name, [self._rows[row]])
        except LostError:
            return None
        except PredictError:
            return _Answer(True, 0.0)
        took_ms = 1000 * (time.perf_counter() - began)
        if response.status != 200:
            return _Answer(True, took_ms)
        try:
            return _Answer(False, took_ms, tuple(_hashable(value) for value in response.predictions))
        except PredictError:
            return _Answer(True, took_ms)


def _compared(answer: _Answer, share: float, side: str) -> Outcome:
    """The outcome of a request to the host of a tag."""
    by: Side = "canary" if side == "latest" else "previous"
    return Outcome(share, side == "latest", answer.failed, answer.took_ms, by)


def _hashable(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple(sorted((key, _hashable(each)) for key, each in value.items()))
    return tuple(_hashable(each) for each in value) if isinstance(value, list | tuple) else value
