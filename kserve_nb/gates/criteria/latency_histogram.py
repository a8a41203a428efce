"""Response times as counts of narrow classes, which stay small however many requests are counted."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from kserve_nb.rollout.sequential import evidence

_WIDTH = math.log(1.02)  # each class ends 2 % above the one before
_SMALLEST_MS = 0.01


@dataclass(frozen=True)
class LatencyHistogram:
    """Counts of response times by class; a class is 2 % wide.

    >>> LatencyHistogram().add([10.0] * 99 + [200.0]).quantile(0.5)
    10.1...
    """

    counts: Mapping[int, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many response times have been counted."""
        return sum(self.counts.values())

    def add(self, times_ms: Iterable[float]) -> LatencyHistogram:
        """A histogram with these times as well."""
        counts = dict(self.counts)
        for time_ms in times_ms:
            key = math.floor(math.log(max(time_ms, _SMALLEST_MS)) / _WIDTH)
            counts[key] = counts.get(key, 0) + 1
        return LatencyHistogram(counts)

    def quantile(self, quantile: float) -> float:
        """The upper end of the class with this quantile, in milliseconds; 0 without response times."""
        return self._at_rank(max(1, math.ceil(quantile * self.total)))[1] if self.total else 0.0

    def bounds(self, quantile: float, alpha: float) -> tuple[float, float]:
        """The anytime-valid band of a quantile in milliseconds: (0, infinity) while there are too few times.

        The number of times below the true quantile is a binomial count with a known share. The band keeps the ranks
        that the beta-binomial evidence of `rollout.sequential` does not reject (Howard and Ramdas, "Sequential
        estimation of quantiles with applications to A/B testing", use the same inversion).
        """
        total, limit = self.total, math.log(1 / alpha)
        if not total:
            return 0.0, math.inf
        percent = 100 * quantile
        middle = min(total, round(quantile * total))
        lowest = _edge(lambda rank: evidence(rank, total, percent) < limit, middle, 0)
        highest = _edge(lambda rank: evidence(rank, total, percent) < limit, middle, total)
        low = self._at_rank(lowest)[0] if lowest else 0.0
        return low, self._at_rank(highest + 1)[1] if highest < total else math.inf

    def _at_rank(self, rank: int) -> tuple[float, float]:
        """Both ends of the class that holds the time of this rank, from 1."""
        seen = 0
        for key in sorted(self.counts):
            seen += self.counts[key]
            if seen >= rank:
                break
        return math.exp(key * _WIDTH), math.exp((key + 1) * _WIDTH)


def _edge(accepted: Callable[[int], bool], inside: int, outside: int) -> int:
    """The accepted rank that is the nearest to `outside`; `inside` is accepted."""
    if accepted(outside):
        return outside
    while abs(outside - inside) > 1:
        middle = (inside + outside) // 2
        if accepted(middle):
            inside = middle
        else:
            outside = middle
    return inside
