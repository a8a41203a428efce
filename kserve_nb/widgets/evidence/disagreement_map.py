"""Where in the input space two revisions give different answers: a picture with two axes to choose, and the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import traitlets as T  # noqa: N812 - short, as traits fill these lines

from kserve_nb.gates.comparison import RevisionComparison
from kserve_nb.widgets.drawing import disagreement_picture
from kserve_nb.widgets.drawing.frame import CARD_PADDING
from kserve_nb.widgets.drawing.markup import choice, safe, table, toolbar
from kserve_nb.widgets.sheet.sheet import Handler, Sheet

IRIS_FEATURES = ("sepal length", "sepal width", "petal length", "petal width")
_MOST_ROWS = 12


class DisagreementMap(Sheet):
    """The rows of a comparison by two of their features: a larger circle stands for more rows with different answers.

    >>> DisagreementMap(RevisionComparison([[1.0, 2.0], [3.0, 4.0]], [0, 1], [0, 2]), ("a", "b")).text.splitlines()[0]
    '1 of 2 answers differ = 50.0 % [0.2–99.8]'

    Args:
        features: the name of each value of a row; by default those of iris, or numbers.
    """

    across = T.Int()  # the feature from left to right
    up = T.Int()  # the feature from below to above

    def __init__(self, comparison: RevisionComparison, features: Sequence[str] = ()):
        self._comparison = comparison
        count = len(comparison.rows[0]) if comparison.rows else 0
        usual = IRIS_FEATURES if count == len(IRIS_FEATURES) else [f"value {number + 1}" for number in range(count)]
        self._names = tuple(features or usual)
        super().__init__(across=max(count - 2, 0), up=max(count - 1, 0))
        self.redraw()

    @property
    def text(self) -> str:
        """The comparison as text."""
        return str(self._comparison)

    @property
    def json(self) -> dict[str, Any]:
        """The comparison as dicts and lists."""
        return self._comparison.to_dict()

    def close(self) -> None:
        """Do nothing: the widget shows one comparison, and runs nothing in the background."""

    def _picture(self) -> str:
        found = self._comparison
        drawn = disagreement_picture.picture(found.rows, found.differing, self.across, self.up, self._names,
                                             self._width - CARD_PADDING)  # fmt: skip
        summary = safe(self.text.splitlines()[0])
        head = "<div class='knb-head'><span class='knb-title'>Where the answers differ</span></div>"
        words = f"<div role='status'>{summary}</div>"
        return f"<div class='knb-part' data-key='picture'>{head}{drawn}{words}</div>{self._table()}"

    def _table(self) -> str:
        found, shown = self._comparison, self._comparison.differing[:_MOST_ROWS]
        rows = "".join(
            "<tr>" + "".join(f"<td>{value:g}</td>" for value in found.rows[n])
            + f"<td>{safe(str(found.previous[n]))}</td><td>{safe(str(found.latest[n]))}</td></tr>" for n in shown)
        head = [safe(name) for name in (*self._names, "previous", "latest")]
        return table(head, rows, f"The first {len(shown)} rows with different answers") if shown else ""

    def _draw(self) -> str:
        options = [(name, str(number)) for number, name in enumerate(self._names)]
        axes = [choice(key, label, options, str(getattr(self, key)))
                for key, label in (("across", "Left to right"), ("up", "Below to above"))]
        return toolbar(*axes) + self._picture()

    def _handlers(self) -> Mapping[str, Handler]:
        return {key: lambda value, key=key: self.set_trait(key, int(value)) for key in ("across", "up")}  # type: ignore[misc]

    @T.observe("across", "up")
    def _on_change(self, _change: Any) -> None:
        self.redraw()
