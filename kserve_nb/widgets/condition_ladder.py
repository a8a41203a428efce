"""The conditions of a rollout's objects, the deepest cause first: they show what delays the rollout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import traitlets as T  # noqa: N812 - short, as traits fill these lines

from kserve_nb.observe.conditions import LadderCondition
from kserve_nb.observe.snapshot import Snapshot, clock, moment
from kserve_nb.values.revisions import short
from kserve_nb.values.text import render
from kserve_nb.widgets.drawing.frame import card, with_state
from kserve_nb.widgets.drawing.markup import checkbox, hidden, safe, table, toolbar
from kserve_nb.widgets.sheet.rollout_widget import RolloutWidget
from kserve_nb.widgets.sheet.sheet import Handler

_GLYPHS = {"holds": "✔", "waits": "◌", "fails": "✖"}
_HEAD = ("", "OF", "CONDITION", "STATUS", "SINCE", "WHY")


class ConditionLadder(RolloutWidget):
    """The conditions from the pods up to the InferenceService, the deepest first, live until `close()`.

    Conditions that are met are left out, except for the Ready of each object, until `every` is set, in code or by the
    checkbox.

    >>> ladder = ConditionLadder(rollout)
    >>> ladder.close()
    """

    every = T.Bool(False)

    @property
    def text(self) -> str:
        """The conditions as text."""
        return text(self.snapshot, every=self.every)

    def _picture(self) -> str:
        return html(self.snapshot, every=self.every)

    def _draw(self) -> str:
        return self._picture() + toolbar(
            checkbox("every", "show all conditions, also those that are met", checked=self.every)
        )

    def _handlers(self) -> Mapping[str, Handler]:
        return {"every": lambda value: self.set_trait("every", value == "true")}

    @T.observe("every")
    def _on_every(self, _change: Any) -> None:
        self.redraw()


def text(snapshot: Snapshot, *, every: bool = False) -> str:
    """One sentence, and the table of conditions below it."""
    below = render.text(_table(snapshot, every)) if snapshot.conditions else ""
    return with_state(snapshot, "\n".join(filter(None, (sentence(snapshot), below))))


def html(snapshot: Snapshot, *, every: bool = False) -> str:
    """The conditions as HTML."""
    body = "".join(_row_html(*cells) for cells in _table(snapshot, every)[1])
    summary = f"<div role='status'>{safe(sentence(snapshot))}</div>"
    shown = table((hidden("state"), *_HEAD[1:-1]), body, f"conditions of {snapshot.name}") if body else ""
    return card(snapshot, f"Conditions of {snapshot.name}", summary + shown)


def sentence(snapshot: Snapshot) -> str:
    """Whether a condition delays the rollout, and the deepest one that does."""
    unmet = [condition for condition in snapshot.conditions if condition.state != "holds"]
    if not snapshot.conditions:
        return f"· {snapshot.name}: no conditions: it is {snapshot.phase}"
    if not unmet:
        return f"✔ {snapshot.name}: all {len(snapshot.conditions)} conditions are met"
    deepest = next((condition for condition in unmet if condition.state == "fails"), unmet[0])
    why = ": ".join(filter(None, (deepest.reason, deepest.message))) or f"{deepest.type} is {deepest.status}"
    verb = "failed" if deepest.state == "fails" else "is not ready yet"
    return f"{_GLYPHS[deepest.state]} {snapshot.name}: {_object(deepest)} {verb}: {why}"


def _table(snapshot: Snapshot, every: bool) -> tuple[render.Rows, render.Rows]:
    shown = [one for one in snapshot.conditions if every or one.state != "holds" or one.type == "Ready"]
    return (_HEAD,), [
        (
            _GLYPHS[one.state], _object(one), one.type, one.status, clock(moment(one.since)) if one.since else "",
            ": ".join(filter(None, (one.reason, one.message)))[:300],
        )
        for one in shown
    ]  # fmt: skip


def _row_html(*cells: str) -> str:
    """A condition, and in the row below it the reason, which may be long."""
    *short_cells, why = cells
    shown = "".join(f"<td>{safe(words)}</td>" for words in short_cells)
    below = f"<tr><td></td><td colspan='4' class='knb-wrap'>{safe(why)}</td></tr>" if why else ""
    return f"<tr>{shown}</tr>{below}"


def _object(condition: LadderCondition) -> str:
    if condition.kind == "Pod":
        return f"Pod of {short(condition.name.partition('-deployment-')[0])}"
    if condition.kind == "Revision":
        return f"Revision {short(condition.name)}"
    return {"Service": "Knative Service", "model": "the model"}.get(condition.kind, condition.kind)
