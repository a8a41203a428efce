"""The anytime-valid band: it excludes the true share in at most 5 % of runs, and rejects a wrong share soon."""

from __future__ import annotations

import math
import random
import re
from pathlib import Path

import pytest

from kserve_nb.rollout import sequential, statistics
from kserve_nb.rollout.sampling import Tally
from kserve_nb.values.split import Split

LIMIT = math.log(1 / sequential.ALPHA_ANYTIME)
RUNS, LOOKS = 400, 1000
PICTURE = Path(__file__).parents[2] / "notebooks" / "img" / "watching.svg"


def first_alarm(draw: random.Random, real: float, claimed: float, prior: float, looks: int = LOOKS) -> int | None:
    """After how many requests a claim is rejected, if somebody looks after each of them."""
    hits = 0
    for sent in range(1, looks + 1):
        hits += draw.random() < real / 100
        if sequential.evidence(hits, sent, claimed, prior) >= LIMIT:
            return sent
    return None


def drawn() -> tuple[int, int]:
    """How many of 100 learners the picture of notebook 05 shows with a false alarm: usual interval, band of the chart.

    Its crosses, its numbers and its description agree.
    """
    picture = PICTURE.read_text()
    usual, chart = (int(number) for number in re.findall(r'font-size="34"[^>]*>(\d+)<', picture))
    assert picture.count('stroke="#c53030" ') == usual + chart and picture.count("<circle") == 200 - usual - chart
    assert re.findall(r"(\d+) of them", picture) == [str(usual), str(chart)]
    return usual, chart


@pytest.mark.parametrize("prior", [10, 20], ids=["as requested", "another percent than requested"])
@pytest.mark.slow
def test_a_watched_band_misses_the_share_in_at_most_5_percent_of_runs(prior: float) -> None:
    draw = random.Random(1)

    alarms = sum(first_alarm(draw, 10, 10, prior) is not None for _ in range(RUNS))

    assert alarms <= 0.05 * RUNS
    assert abs(100 * alarms / RUNS - drawn()[1]) <= 2.5


def test_a_watched_wilson_interval_misses_the_share_in_two_of_five_runs() -> None:
    draw = random.Random(1)

    def raises_an_alarm() -> bool:
        hits = 0
        for sent in range(1, LOOKS + 1):
            hits += draw.random() < 0.1
            low, high = statistics.interval(hits, sent)
            if sent >= 10 and not low <= 10 <= high:
                return True
        return False

    alarms = sum(raises_an_alarm() for _ in range(RUNS))

    assert abs(100 * alarms / RUNS - drawn()[0]) <= 5


@pytest.mark.parametrize(("real", "at_most"), [(20, 130), (0, 80)])
def test_a_wrong_split_is_found_soon(real: float, at_most: int) -> None:
    draw = random.Random(2)

    found = sorted(first_alarm(draw, real, 10, 10, 3000) or 3001 for _ in range(101))

    assert found[50] <= at_most


@pytest.mark.parametrize(
    ("sent", "low", "high"), [(60, 2.9, 22.9), (360, 6.1, 15.1), (1000, 7.4, 13.1), (3000, 8.3, 11.8)])
def test_the_price_of_looking(sent: int, low: float, high: float) -> None:
    found = sequential.band(sent // 10, sent, 10)

    assert [round(bound, 1) for bound in found] == [low, high]
    fixed = statistics.interval(sent // 10, sent)
    assert found[0] < fixed[0] < fixed[1] < found[1]


@pytest.mark.parametrize(("hits", "sent", "percent"), [(0, 0, 10), (0, 50, 0), (50, 50, 100), (0, 5, 10), (5, 5, 10)])
def test_the_band_contains_the_observed_share(hits: int, sent: int, percent: float) -> None:
    low, high = sequential.band(hits, sent, percent)

    assert 0 <= low <= (100 * hits / sent if sent else percent) <= high <= 100
    assert not 0 < low < 1e-9


@pytest.mark.parametrize(("hits", "percent"), [(1, 0), (9, 100)])
def test_an_impossible_wait_fails_immediately(hits: int, percent: float) -> None:
    assert sequential.evidence(hits, 10, percent) == math.inf


@pytest.mark.parametrize("percent", [1, 5, 10, 50, 99])
def test_the_evidence_is_on_average_one_where_the_claim_is_true(percent: float) -> None:
    share, sent = percent / 100, 40

    mean = math.fsum(
        math.comb(sent, hits) * share**hits * (1 - share) ** (sent - hits)
        * math.exp(sequential.evidence(hits, sent, percent))
        for hits in range(sent + 1)
    )

    assert mean == pytest.approx(1, abs=1e-9)


def test_a_tally_has_the_band_of_its_percent() -> None:
    tally = Tally(Split({"a-00002": 6, "a-00001": 54}), "a-00002", 10, "")

    assert tally.band == sequential.band(6, 60, 10)
