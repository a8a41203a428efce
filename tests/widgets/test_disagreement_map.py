"""The map of rows with different answers: axes to choose, circles with counts, and the rows as a table."""

from __future__ import annotations

import pytest

from kserve_nb.gates.comparison import RevisionComparison
from kserve_nb.widgets import DisagreementMap
from tests.widgets.page import choose, text_of

ROWS = [[5.0, 3.0, 1.5, 0.3], [5.0, 3.0, 4.8, 1.5], [6.0, 3.0, 4.8, 1.5], [6.0, 3.0, 4.8, 1.8]]
COMPARISON = RevisionComparison(ROWS, [0, 1, 1, 1], [0, 2, 1, 2])


@pytest.fixture
def shown() -> DisagreementMap:
    return DisagreementMap(COMPARISON)


def test_it_begins_with_the_last_two_features(shown: DisagreementMap) -> None:
    assert "petal length 4.8, petal width 1.5: 1 of 2 rows get different answers" in shown.content
    assert "2 of 4 answers differ = 50.0 %" in text_of(shown)


def test_other_axes_can_be_chosen(shown: DisagreementMap) -> None:
    choose(shown, "Left to right", "sepal length")

    assert "sepal length 6, petal width 1.8: 1 of 1 rows get different answers" in shown.content


def test_the_table_has_both_answers(shown: DisagreementMap) -> None:
    assert "<td>6</td><td>3</td><td>4.8</td><td>1.8</td><td>1</td><td>2</td>" in shown.html
    assert shown.json["differing"][0] == {"row": ROWS[1], "previous": 1, "latest": 2}


def test_rows_of_other_features_are_numbered_or_named() -> None:
    rows = RevisionComparison([[1.0, 2.0]], [0], [1])

    assert "value 1 1, value 2 2: 1 of 1" in DisagreementMap(rows).content
    assert "height 1, weight 2: 1 of 1" in DisagreementMap(rows, ("height", "weight")).content


def test_without_rows_it_is_empty() -> None:
    assert "no rows" in DisagreementMap(RevisionComparison([], [], [])).content
