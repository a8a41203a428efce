"""The exact test and the interval agree with scipy's."""

from __future__ import annotations

import random

import pytest
from scipy.stats import binomtest

from kserve_nb.rollout import statistics

ENDS = [(0, 1, 0), (1, 1, 0), (0, 1, 100), (1, 1, 100), (0, 3000, 1), (3000, 3000, 99), (1500, 3000, 50)]


def samples() -> list[tuple[int, int, int]]:
    """Hits, requests and percent: likely ones and unlikely ones."""
    draw, found = random.Random(20260301), []
    for _ in range(300):
        sent, percent = draw.randint(1, draw.choice([10, 100, 1000, 3000])), draw.randint(0, 100)
        expected, spread = sent * percent / 100, (sent * percent * (100 - percent)) ** 0.5 / 100
        found.append((min(max(round(draw.gauss(expected, 3 * spread + 1)), 0), sent), sent, percent))
    return found


@pytest.mark.parametrize(("hits", "sent", "percent"), [
    *ENDS, *(pytest.param(*sample, marks=pytest.mark.slow) for sample in samples())])
def test_the_exact_test_and_the_interval_are_scipys(hits: int, sent: int, percent: int) -> None:
    expected = binomtest(hits, sent, percent / 100)
    bounds = expected.proportion_ci(0.95, method="wilson")

    assert statistics.p_value_of(hits, sent, percent / 100) == pytest.approx(expected.pvalue, abs=1e-9)
    assert statistics.interval(hits, sent) == pytest.approx((100 * bounds.low, 100 * bounds.high), abs=1e-9)


def test_a_verdict_has_the_interval_of_its_sample() -> None:
    verdict = statistics.judge(hits=100, sent=1000, percent=10)

    assert (verdict.low, verdict.high) == statistics.interval(100, 1000)
