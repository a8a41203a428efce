"""Judge an observed split: exact binomial test, Wilson interval, and how many requests a verdict needs. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

ALPHA = 0.001  # false alarms of one test; a check repeats it on a second sample twice the size, which leaves 1e-6
HALF_WIDTH = 0.02  # the desired half width of the 95 % interval: a wider one cannot distinguish 10 % from 12 %
FEWEST = 100  # requests needed for a verdict, whatever the percent
_Z = NormalDist().inv_cdf(0.975)  # two-sided 95 %
_TIE = 1 + 1e-7  # two outcomes this close count as equally likely, as in scipy.stats.binomtest

Word = Literal["consistent", "not", "too few", "unseen"]


@dataclass(frozen=True, repr=False)
class Verdict:
    """What a sample shows about a percent: consistent, not this percent, too few requests, or unseen.

    It is `unseen` where the revisions give the same answers, so that no answer shows which revision it came from.
    """

    word: Word
    hits: int
    sent: int
    percent: int
    low: float  # 95 % interval (Wilson), in percent
    high: float
    p_value: float  # two-sided exact binomial test
    more: int = 0  # requests still needed for an interval of ±2 points
    none_chance: float = 0.0  # probability that this many requests never reach LATEST

    def __repr__(self) -> str:
        if self.word == "unseen":
            return f"{self.percent} % cannot be seen in the answers: the revisions answer alike"
        share = f"{100 * self.hits / self.sent:.1f}" if self.sent else "0"
        seen = f"{self.hits} of {self.sent} = {share} % [{self.low:.1f}–{self.high:.1f}]"
        if self.word == "consistent":
            return f"consistent with {self.percent} %: {seen}"
        if self.word == "not":
            chance = f"p = {self.p_value:.0e}" if self.p_value else "p is too small to write down"
            return f"not {self.percent} %: {seen}, {chance}"
        missed = f"; none at all happens in {100 * self.none_chance:.0f} % of cases" if self.none_chance > ALPHA else ""
        return f"too few to tell {self.percent} %: {seen}{missed}. Send {self.more} more"


def judge(hits: int, sent: int, percent: int) -> Verdict:
    """Compare the requests that reached LATEST with the percent that it should receive.

    >>> from kserve_nb import judge
    >>> judge(hits=100, sent=1000, percent=10)
    consistent with 10 %: 100 of 1000 = 10.0 % [8.3–12.0]
    >>> judge(hits=200, sent=1000, percent=10)
    not 10 %: 200 of 1000 = 20.0 % [17.6–22.6], p = 4e-21
    """
    low, high = interval(hits, sent)
    p_value = p_value_of(hits, sent, percent / 100)
    word: Word = "consistent"
    if sent and p_value < ALPHA:
        word = "not"
    elif sent < needed(percent):
        word = "too few"
    more = needed(percent) - sent if word == "too few" else 0
    return Verdict(word, hits, sent, percent, low, high, p_value, more, (1 - percent / 100) ** sent)


def p_value_of(hits: int, sent: int, share: float) -> float:
    """The two-sided exact binomial p-value: how probable an outcome at most as likely as this one is.

    >>> round(p_value_of(hits=0, sent=10, share=0.1), 6)
    0.61258
    """
    if share in (0.0, 1.0):
        return 1.0 if hits == share * sent else 0.0
    of_all = math.lgamma(sent + 1)

    def probability(k: int) -> float:
        ways = of_all - math.lgamma(k + 1) - math.lgamma(sent - k + 1)
        return math.exp(ways + k * math.log(share) + (sent - k) * math.log1p(-share))

    limit = probability(hits) * _TIE
    return min(1.0, math.fsum(p for p in map(probability, range(sent + 1)) if p <= limit))


def interval(hits: int, sent: int) -> tuple[float, float]:
    """The 95 % Wilson interval of a share, in percent. Valid for one look at a sample of a size chosen in advance.

    >>> [round(bound, 1) for bound in interval(hits=100, sent=1000)]
    [8.3, 12.0]
    """
    if not sent:
        return 0.0, 100.0
    share, z2 = hits / sent, _Z**2
    middle, width = share + z2 / (2 * sent), _Z * math.sqrt(share * (1 - share) / sent + z2 / (4 * sent**2))
    low, high = ((middle + side * width) / (1 + z2 / sent) for side in (-1, 1))
    return 100 * max(low, 0.0), 100 * min(high, 1.0)


def needed(percent: int) -> int:
    """Requests that make the 95 % interval around this percent at most ±2 points wide.

    >>> needed(10)
    865
    """
    share = percent / 100
    return max(math.ceil(1.96**2 * share * (1 - share) / HALF_WIDTH**2), FEWEST)
