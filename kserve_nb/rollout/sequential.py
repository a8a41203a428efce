"""Judge a growing sample that somebody watches, with bounds that are valid at all looks together. Pure.

An interval for a fixed sample size holds at one look. Watched after every request, a 95 % Wilson interval excludes the
true share at some moment in about 43 % of runs. A confidence sequence excludes it in at most 5 % of runs, however often
somebody looks and whenever they stop.

The method is a beta-binomial mixture: E(s) = B(a+k, b+n-k) / B(a, b) / (s^k (1-s)^(n-k)) is a test martingale if the
true share is s, so that E(s) reaches 1/alpha with a probability of at most alpha (Ville's inequality). The band is all
s with E(s) < 1/alpha. Sources: Lindon and Malek 2022, arXiv 2011.03567; Howard, Ramdas, McAuliffe and Sekhon 2021,
Annals of Statistics 49(2).
"""

from __future__ import annotations

import math

ALPHA_ANYTIME = 0.05  # runs in which the band excludes the true share at any moment
_PRIOR_WEIGHT = 50.0  # the prior counts as this many requests, split as requested
_STEPS = 60  # halvings of an interval: more than a float can tell apart


def evidence(hits: int, sent: int, percent: float, prior_percent: float | None = None) -> float:
    """The logarithm of the evidence against this percent; above log(1/alpha) the percent is rejected.

    >>> evidence(hits=10, sent=100, percent=10) < 0 < math.log(1 / ALPHA_ANYTIME) < evidence(60, 300, 10)
    True

    Args:
        prior_percent: where the prior has its mean: chosen before the first request, by default the percent itself.
    """
    share = percent / 100
    if (share <= 0 and hits) or (share >= 1 and hits < sent):
        return math.inf
    a, b = _prior(percent if prior_percent is None else prior_percent)
    misses = sent - hits
    likelihood = (hits * math.log(share) if hits else 0.0) + (misses * math.log1p(-share) if misses else 0.0)
    return _log_beta(a + hits, b + misses) - _log_beta(a, b) - likelihood


def band(hits: int, sent: int, percent: float, alpha: float = ALPHA_ANYTIME) -> tuple[float, float]:
    """The anytime-valid band of the share, in percent, by default of 95 %: valid however often you look.

    >>> [round(bound, 1) for bound in band(hits=6, sent=60, percent=10)]
    [2.9, 22.9]

    Args:
        percent: the requested percent, at which the prior has its mean. It must not depend on the answers.
        alpha: runs in which the band excludes the true share at any moment.
    """
    if not sent:
        return 0.0, 100.0
    seen, limit = 100 * hits / sent, math.log(1 / alpha)
    return _edge(hits, sent, percent, 0.0, seen, limit), _edge(hits, sent, percent, 100.0, seen, limit)


def _edge(hits: int, sent: int, percent: float, outside: float, inside: float, limit: float) -> float:
    """The edge of the band: where the evidence crosses its limit, between a percent outside and the observed one."""
    if evidence(hits, sent, outside, percent) < limit:
        return outside
    for _ in range(_STEPS):
        middle = (outside + inside) / 2
        if evidence(hits, sent, middle, percent) < limit:
            inside = middle
        else:
            outside = middle
    return inside


def _prior(percent: float) -> tuple[float, float]:
    """Parameters of the beta distribution; at 0 and 100 % it keeps a little weight on the other outcome."""
    share = min(max(percent / 100, 0.01), 0.99)
    return _PRIOR_WEIGHT * share, _PRIOR_WEIGHT * (1 - share)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
