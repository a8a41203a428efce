"""Send requests, say which revision answered and how we know, count, and judge the split."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

from kserve_nb.access.ingress import Ingress, LostError, PredictError, Response, Rows
from kserve_nb.rollout.rollout import NotPossibleError, Rollout
from kserve_nb.values.render import split_line
from kserve_nb.values.rollout_status import RolloutStatus, Split, short

ALPHA = 0.001  # a false alarm of one test; two in a row, the second on a fresh sample twice the size, 1e-6
HALF_WIDTH = 0.02  # of the 95 % interval: a wider one cannot tell 10 % from 12 %
FEWEST = 100  # requests that a verdict needs at the least, as at 0 and 100 %
CAP = 3000  # requests of one check
_SENDERS = 4  # requests under way at a time: bounded, and enough for two cores
MISSED = 1e-9  # chance that the search for an input on which the revisions disagree never meets LATEST

_Outcome = Response | PredictError  # PredictError: none came
Word = Literal["consistent", "not", "too few", "unseen"]


def _candidates() -> Rows:
    """Flowers over the whole range of iris's features: where two classifiers disagree, it is between the species."""
    axes = ((4.5, 5.5, 6.5, 7.5), (2.2, 3.0, 3.8), (1.5, 3.0, 4.2, 4.8, 5.4, 6.6), (0.3, 1.0, 1.5, 1.8, 2.4))
    return tuple(itertools.product(*axes))


IRIS_CANDIDATES = _candidates()


@dataclass(frozen=True)
class DiscriminatingInput:
    """An input whose answer tells which revision gave it."""

    rows: Rows
    answers: dict[str, tuple[Any, ...]]  # known ones, by revision name
    how: str  # how we know, in one sentence
    otherwise: str | None = None  # who answers unlike those known, where nobody else can
    alike: bool = False  # all of them answer the same: nobody can tell who did

    def revision_of(self, predictions: Sequence[Any]) -> str | None:
        """Which revision answers so; None where none of those known does."""
        return next((name for name, known in self.answers.items() if known == tuple(predictions)), self.otherwise)


@dataclass(frozen=True, repr=False)
class Tally:
    """The answers to a number of requests: who gave them, how we know, and what was asked for meanwhile."""

    split: Split
    latest: str  # revision name of the LATEST target
    percent: int  # what LATEST was to get
    how: str
    moved: bool = False  # traffic changed under way: two samples in one, no verdict is possible
    alike: bool = False  # the revisions answer alike: the split cannot be seen in answers

    @property
    def hits(self) -> int:
        """Answers of the latest revision."""
        return self.split.counts.get(self.latest, 0)

    def verdict(self, percent: int | None = None) -> Verdict:
        """Judge the split against a percent, that of the traffic list by default."""
        percent = self.percent if percent is None else percent
        if self.alike:
            return Verdict("unseen", 0, 0, percent, 0.0, 100.0, 1.0)
        return judge(self.hits, self.split.attributed, percent)

    def __repr__(self) -> str:
        judged = repr(self.verdict())
        if self.moved:
            judged = "traffic changed meanwhile: send again"
        elif not self.split.attributed and not self.alike:
            judged = "nobody can tell which revision answered"
        return f"{split_line(self.split)}\n{judged}\nhow we know: {self.how}"


@dataclass(frozen=True, repr=False)
class Verdict:
    """What a sample says about a percent: consistent with it, not it, too few to tell, or unseen: no answer tells."""

    word: Word
    hits: int
    sent: int
    percent: int
    low: float  # 95 % interval (Wilson), in percent
    high: float
    p_value: float  # two-sided exact binomial test
    more: int = 0  # requests still needed for an interval of +-2 points
    none_chance: float = 0.0  # chance that as few requests never reach LATEST

    def __repr__(self) -> str:
        if self.word == "unseen":
            return f"{self.percent} % cannot be seen in the answers: the revisions answer alike"
        seen = f"{self.hits} of {self.sent} = {_share(self.hits, self.sent)} % [{self.low:.1f}–{self.high:.1f}]"
        if self.word == "consistent":
            return f"consistent with {self.percent} %: {seen}"
        if self.word == "not":
            chance = f"p = {self.p_value:.0e}" if self.p_value else "p is too small to write down"
            return f"not {self.percent} %: {seen}, {chance}"
        missed = f"; none at all happens in {100 * self.none_chance:.0f} % of cases" if self.none_chance > ALPHA else ""
        return f"too few to tell {self.percent} %: {seen}{missed}. Send {self.more} more"


def judge(hits: int, sent: int, percent: int) -> Verdict:
    """Judge how many of the requests reached LATEST against the percent that it was to get."""
    from scipy.stats import binomtest  # half a second: paid by those who judge

    if sent == 0:
        return Verdict("too few", 0, 0, percent, 0.0, 100.0, 1.0, needed(percent), 1.0)
    test = binomtest(hits, sent, percent / 100)
    interval = test.proportion_ci(0.95, method="wilson")
    p_value = float(test.pvalue)
    word: Word = "consistent"
    if p_value < ALPHA:
        word = "not"
    elif sent < needed(percent):
        word = "too few"
    more = needed(percent) - sent if word == "too few" else 0
    missed = (1 - percent / 100) ** sent
    return Verdict(word, hits, sent, percent, 100 * interval.low, 100 * interval.high, p_value, more, missed)


def interval(hits: int, sent: int) -> tuple[float, float]:
    """The 95 % interval (Wilson) of a share, in percent: what `judge` has, without half a second of import."""
    if not sent:
        return 0.0, 100.0
    share, z2 = hits / sent, 1.959964**2
    middle, width = share + z2 / (2 * sent), 1.959964 * math.sqrt(share * (1 - share) / sent + z2 / (4 * sent**2))
    low, high = ((middle + side * width) / (1 + z2 / sent) for side in (-1, 1))
    return 100 * max(low, 0.0), 100 * min(high, 1.0)


def needed(percent: int) -> int:
    """Requests for a 95 % interval of at most +-2 points around this percent."""
    share = percent / 100
    return max(math.ceil(1.96**2 * share * (1 - share) / HALF_WIDTH**2), FEWEST)


def send(
    rollout: Rollout, count: int = 300, *, candidates: Rows = IRIS_CANDIDATES, probe: DiscriminatingInput | None = None
) -> Tally:
    """Send requests through the main door, and count which revision answered.

    Where the revisions answer alike the requests are sent all the same, and the tally says that none of them tells.

    Args:
        candidates: rows among which to look for one on which the revisions disagree; the tutorial's models take iris.
        probe: where the telling input is known already.
    """
    if not 1 <= count <= CAP:
        raise ValueError(f"{count} requests: send 1 to {CAP} at a time.")
    before = rollout.status()
    probe = probe or find_discriminating_input(rollout, before, candidates)
    answers = _send(rollout, probe.rows, count)
    after = rollout.status()
    latest = before.latest
    return Tally(
        split=_count(answers, probe),
        latest=latest.revision if latest else "",
        percent=latest.percent if latest else 0,
        how=probe.how,
        moved=before.traffic != after.traffic,
        alike=probe.alike,
    )


def find_discriminating_input(
    rollout: Rollout, status: RolloutStatus, candidates: Rows = IRIS_CANDIDATES
) -> DiscriminatingInput:
    """An input on which the revisions in the traffic list disagree.

    The tag hosts lead to one revision each: `prev-` is there in every canary and pin. Where `latest-` is not,
    the main door is asked until it answers unlike `prev-`.
    """
    latest, previous = status.latest, status.previous
    if latest is None:
        raise NotPossibleError(f"{rollout.name}: nobody is served yet. First: await rollout.wait()")
    if previous is None or previous.revision == latest.revision:
        return DiscriminatingInput(candidates[:1], {}, f"{short(latest.revision)} is all there is", latest.revision)
    old = tuple(rollout.predict(candidates, tag="prev"))
    if latest.percent == 0 and not latest.url:  # nobody can ask it: all we can see is that others do not answer
        how = f"answers unlike {short(previous.revision)} on {len(candidates)} rows are {short(latest.revision)}'s"
        return DiscriminatingInput(candidates, {previous.revision: old}, how, latest.revision)
    new = _ask_latest(rollout, candidates, old, 0 if latest.url else latest.percent)
    differ = [n for n, pair in enumerate(zip(old, new, strict=True)) if pair[0] != pair[1]]
    if not differ and latest.percent == 0:
        how = f"{short(previous.revision)} and {short(latest.revision)} answer alike; the traffic list gives"
        return DiscriminatingInput(candidates[:1], {}, f"{how} {short(latest.revision)} nothing")
    if not differ:
        both = f"{short(previous.revision)} and {short(latest.revision)}"
        how = (
            f"{both} answer alike on all {len(candidates)} rows, so no answer tells who gave it: the split is seen in "
            "the traffic list alone. candidates= may name rows on which they differ"
        )
        return DiscriminatingInput(candidates[:1], {}, how, alike=True)
    at = differ[len(differ) // 2]
    says = f"{short(previous.revision)} says {old[at]}, {short(latest.revision)} says {new[at]}"
    how = f"for {list(candidates[at])} {says}"
    return DiscriminatingInput((candidates[at],), {latest.revision: (new[at],), previous.revision: (old[at],)}, how)


def searches(percent: int) -> int:
    """Requests after which LATEST, that gets this percent, has been met but for one search in 1e9."""
    return math.ceil(math.log(MISSED) / math.log1p(-percent / 100)) if percent < 100 else 1


def _ask_latest(rollout: Rollout, rows: Rows, old: tuple[Any, ...], percent: int) -> tuple[Any, ...]:
    """What the latest revision says, by its own door, or (with a percent) by the main one's first answer unlike old."""
    if not percent:
        return tuple(rollout.predict(rows, tag="latest"))
    host = rollout.host()
    for _ in range(searches(percent)):
        answer = tuple(rollout.ingress.predict(host, rollout.name, rows))
        if answer != old:
            return answer
    return old


def _send(rollout: Rollout, rows: Rows, count: int) -> list[_Outcome]:
    """The answers to equal requests, some at a time."""
    host = rollout.host()

    def some(share: int) -> list[_Outcome]:
        ingress = rollout.ingress.again()
        return [_try(ingress, host, rollout.name, rows) for _ in range(share)]

    shares = [len(range(start, count, _SENDERS)) for start in range(_SENDERS)]
    with ThreadPoolExecutor(_SENDERS) as pool:
        return [answer for part in pool.map(some, shares) for answer in part]


def _try(ingress: Ingress, host: str, model: str, rows: Rows) -> _Outcome:
    try:
        return ingress.request(host, model, rows)
    except PredictError as error:
        return error


def _count(answers: Sequence[_Outcome], probe: DiscriminatingInput) -> Split:
    counts: Counter[str] = Counter(dict.fromkeys(probe.answers, 0))
    failed = unattributed = lost = 0
    for answer in answers:
        if isinstance(answer, LostError):
            lost += 1
            continue
        if isinstance(answer, PredictError) or answer.status != 200:
            failed += 1
            continue
        name = probe.revision_of(_predictions(answer))
        if name is None:
            unattributed += 1
        else:
            counts[name] += 1
    return Split(dict(counts), failed, unattributed, lost)


def _predictions(answer: Response) -> list[Any]:
    try:
        return answer.predictions
    except (json.JSONDecodeError, KeyError, IndexError):
        return []


def _share(hits: int, sent: int) -> str:
    return f"{100 * hits / sent:.1f}" if sent else "0"
