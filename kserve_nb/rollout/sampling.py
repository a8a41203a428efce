"""Send a number of requests and count which revision answered each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from kserve_nb.access.ingress import LostError, PredictError, Response, Rows
from kserve_nb.rollout import sequential
from kserve_nb.rollout.discriminating_input import DiscriminatingInput, find_discriminating_input
from kserve_nb.rollout.reader import RolloutReader
from kserve_nb.rollout.statistics import Verdict, judge
from kserve_nb.values.split import Split
from kserve_nb.values.text.render import split_line

CAP = 3000  # requests of one call
_SENDERS = 4  # threads that send: bounded, and enough for two cores

_Outcome = Response | PredictError  # PredictError: no response came


@dataclass(frozen=True, repr=False)
class Tally:
    """How a number of requests were answered, by revision, and what percent LATEST should have received.

    >>> tally = rollout.send(100)
    >>> tally.split.sent, tally.latest
    (100, 'sklearn-iris-predictor-00002')
    """

    split: Split
    latest: str  # revision name of the LATEST target
    percent: int  # the percent of the traffic that LATEST should receive
    how: str  # how an answer shows its revision
    moved: bool = False  # traffic changed meanwhile: these are two samples in one, which nothing can be concluded from
    alike: bool = False  # the revisions give the same answers, which therefore do not show the split

    @property
    def hits(self) -> int:
        """Requests that the latest revision answered."""
        return self.split.counts.get(self.latest, 0)

    @property
    def band(self) -> tuple[float, float]:
        """The anytime-valid 95 % band of LATEST's share, in percent: valid however often you look at it."""
        return sequential.band(self.hits, self.split.attributed, self.percent)

    def verdict(self, percent: int | None = None) -> Verdict:
        """Compare the split with a percent, by default with the one in the traffic list."""
        percent = self.percent if percent is None else percent
        if self.alike:
            return Verdict("unseen", 0, 0, percent, 0.0, 100.0, 1.0)
        return judge(self.hits, self.split.attributed, percent)

    def __repr__(self) -> str:
        judged = repr(self.verdict())
        if self.moved:
            judged = "traffic changed meanwhile: send again"
        elif not self.split.attributed and not self.alike:
            judged = "no answer shows which revision gave it"
        return f"{split_line(self.split)}\n{judged}\nhow we know: {self.how}"


def send(
    rollout: RolloutReader,
    count: int = 300,
    *,
    candidates: Rows | None = None,
    known: DiscriminatingInput | None = None,
) -> Tally:
    """Send requests to the main host and count which revision answered.

    If the revisions give the same answers, the requests are sent all the same and the tally says that no answer
    shows its revision.

    Args:
        candidates: rows to search for one to which the revisions give different answers; by default the rollout's
            rows.
        known: such an input, if one was found earlier.
    """
    if not 1 <= count <= CAP:
        raise ValueError(f"{count} requests: send 1 to {CAP} at a time.")
    before = rollout.status()
    chosen = known or find_discriminating_input(rollout, before, candidates)
    responses = _send(rollout, chosen.rows, count)
    after = rollout.status()
    latest = before.latest
    return Tally(
        split=_count(responses, chosen),
        latest=latest.revision if latest else "",
        percent=latest.percent if latest else 0,
        how=chosen.how,
        moved=before.traffic != after.traffic,
        alike=chosen.alike,
    )


def _send(rollout: RolloutReader, rows: Rows, count: int) -> list[_Outcome]:
    """The outcomes of equal requests, sent by several threads."""
    host = rollout.host()

    def attempt(_number: int) -> _Outcome:
        try:
            return rollout.ingress.request(host, rollout.name, rows)
        except PredictError as error:
            return error

    with ThreadPoolExecutor(_SENDERS) as pool:
        return list(pool.map(attempt, range(count)))


def _count(responses: Sequence[_Outcome], chosen: DiscriminatingInput) -> Split:
    counts: Counter[str] = Counter(dict.fromkeys(chosen.answers, 0))
    failed = unattributed = lost = 0
    for response in responses:
        if isinstance(response, LostError):
            lost += 1
            continue
        if isinstance(response, PredictError) or response.status != 200:
            failed += 1
            continue
        name = chosen.revision_of(_predictions(response))
        if name is None:
            unattributed += 1
        else:
            counts[name] += 1
    return Split(dict(counts), failed, unattributed, lost)


def _predictions(response: Response) -> list[Any]:
    try:
        return response.predictions
    except PredictError:
        return []
