"""The probability that a check rejects a correct split, computed from its decision rule and not from samples."""

from __future__ import annotations

import itertools
import re
from bisect import bisect_left
from functools import cache
from pathlib import Path

import nbformat
import pytest
from scipy.stats import binom

from kserve_nb.rollout import discriminating_input, sampling, statistics

pytestmark = pytest.mark.slow

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
BUDGET = 1e-5  # of one run of all notebooks
FIRST = 1000  # requests that split_observed sends, unless the percent needs more


def code(path: Path) -> str:
    return "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")


@cache
def called_wrong(sent: int, asked: int, real: float) -> float:
    """The probability that a sample of this size is rejected although this percent of the requests goes to LATEST."""
    middle = round(sent * asked / 100)

    def wrong(hits: int) -> bool:
        return statistics.judge(hits, sent, asked).word == "not"

    fewest = bisect_left(range(middle + 1), True, key=lambda hits: not wrong(hits))
    most = middle + bisect_left(range(middle, sent + 1), True, key=wrong)
    return float(binom.cdf(fewest - 1, sent, real / 100) + binom.sf(most - 1, sent, real / 100))


def fails(asked: int, real: float) -> float:
    """The probability that split_observed fails: that both of its samples are rejected."""
    first = max(FIRST, statistics.needed(asked))
    return called_wrong(first, asked, real) * called_wrong(min(2 * first, sampling.CAP), asked, real)


@pytest.mark.parametrize("percent", range(101))
def test_a_right_split_is_hardly_ever_called_wrong(percent: int) -> None:
    assert fails(percent, percent) <= statistics.ALPHA**2


def test_a_run_of_all_notebooks_hardly_ever_fails_by_chance() -> None:
    sources = "\n".join(map(code, NOTEBOOKS))
    checks = len(re.findall(r"\.split_observed\(", sources))
    searches = len(re.findall(r"\bsend\(", sources)) + 2 * checks  # each looks for an input that tells revisions apart

    assert checks >= 1
    assert checks * max(fails(p, p) for p in range(101)) + searches * discriminating_input.MISSED < BUDGET


@pytest.mark.parametrize(("asked", "real"), [(10, 20), (10, 5), (10, 0), (10, 100), (50, 40), (20, 10)])
def test_a_wrong_split_is_called_wrong(asked: int, real: int) -> None:
    assert fails(asked, real) > 0.99


@pytest.mark.parametrize("percent", [1, 2, 5, 10, 50, 99, 100])
def test_a_search_reaches_latest(percent: int) -> None:
    assert (1 - percent / 100) ** discriminating_input.requests_to_find(percent) <= discriminating_input.MISSED


def test_nothing_is_seeded() -> None:
    lessons = [path for path in NOTEBOOKS if path.stem != "15_drill"]  # its seed selects a fault
    package = Path(sampling.__file__).parents[1]
    judging = [*Path(sampling.__file__).parent.glob("*.py"), *sorted((package / "checks").glob("*.py"))]

    for path in itertools.chain(judging, lessons):
        assert not re.search(r"seed|random_state", path.read_text()), path.name
