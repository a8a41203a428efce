"""Evidence that may be inspected after every request, and that remains valid whenever you stop. Pure.

Both revisions get requests with a known share. If they are equally good, each error falls on the canary with exactly
that share, whatever the error rate is and however it drifts. So only errors are counted. The evidence is a mixture of
likelihood ratios over a grid of rate ratios r: an error of the canary has the factor q/s, any other error the factor
(1-q)/(1-s), where q = s r / (s r + 1 - s). It reaches 1/alpha with a probability of at most alpha if the canary is no
worse (Ville's inequality). Source: Lindon and Malek 2022, arXiv 2011.03567, the conditional form.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

_SMALLEST, _LARGEST, _COUNT = 1.5, 200.0, 16
RATIOS = tuple(_SMALLEST * (_LARGEST / _SMALLEST) ** (n / (_COUNT - 1)) for n in range(_COUNT))
"""How many times worse the canary is, in each alternative of the mixture."""

Counts = Mapping[float, tuple[int, int]]
"""Errors of the canary and of the other side, by the canary's share of the requests (0 to 1)."""


def log_evidence(counts: Counts) -> float:
    """The logarithm of the evidence that the canary is worse; log(1/alpha) is the limit of a test at level alpha.

    >>> round(math.exp(log_evidence({0.1: (2, 0)})))  # two errors, both of a canary with 10 % of the requests
    45
    >>> log_evidence({0.1: (10, 90)}) < 0
    True
    """
    logs = [sum(_log_ratio(ratio, share, *errors) for share, errors in counts.items()) for ratio in RATIOS]
    most = max(logs)
    return most + math.log(math.fsum(math.exp(log - most) for log in logs) / len(logs))


def _log_ratio(ratio: float, share: float, canary: int, other: int) -> float:
    if not 0 < share < 1:
        return 0.0  # without requests to the other side, there is nothing to compare with
    total = share * ratio + 1 - share
    return canary * math.log(ratio / total) - other * math.log(total)
