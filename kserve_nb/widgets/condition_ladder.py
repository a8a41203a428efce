"""Which condition holds the rollout back: the deepest cause first, and up from it to what the user sees."""

from __future__ import annotations

from html import escape
from typing import Any

import ipywidgets as W  # noqa: N812 - short, as traits and widgets fill these lines
import traitlets as T  # noqa: N812 - as above

from kserve_nb.observe.conditions import LadderCondition
from kserve_nb.observe.snapshot import Snapshot, clock, moment
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.values import render
from kserve_nb.values.revisions import short
from kserve_nb.widgets.drawing.draw import Picture, cell, framed, table, with_state
from kserve_nb.widgets.feed.rollout_feed import Seat, faces_of, leave

_GLYPHS = {"holds": "✔", "waits": "◌", "fails": "✖"}
_HEAD = ("", "OF", "CONDITION", "STATUS", "SINCE", "WHY")


class ConditionLadder(W.VBox):  # type: ignore[misc]  # ipywidgets ships no types
    """The conditions from the pods up to the InferenceService, the deepest first, live until `close()`.

    Those that hold are left out, but for each object's Ready, until `every` is set, in code or by the button.

    >>> ladder = ConditionLadder(rollout)
    >>> ladder.close()
    """

    snapshot: Snapshot = T.Instance(Snapshot, ("",))  # type: ignore[assignment]  # traitlets hands the value out
    every = T.Bool(False)

    def __init__(self, rollout: Rollout):
        self._picture = Picture(lambda: self.html)
        self._button = W.ToggleButton(description="show all conditions", tooltip="also those that hold")
        self._button.layout.width = "max-content"
        super().__init__([self._picture.view, self._button])
        T.link((self, "every"), (self._button, "value"))
        self._seat = Seat(rollout, lambda snapshot: self.set_trait("snapshot", snapshot))

    @property
    def text(self) -> str:
        """The ladder as text."""
        return text(self.snapshot, every=self.every)

    @property
    def html(self) -> str:
        """The ladder as HTML."""
        return html(self.snapshot, every=self.every)

    @property
    def json(self) -> dict[str, Any]:
        """All that is known, as JSON's own types."""
        return self.snapshot.as_json()

    def close(self) -> None:
        """Stop following; what was seen last stays in view."""
        leave(self)

    @T.observe("snapshot", "every")
    def _show(self, _change: Any) -> None:
        self._picture.draw()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        return faces_of(self, super()._repr_mimebundle_(**kwargs))


def text(snapshot: Snapshot, *, every: bool = False) -> str:
    """One sentence, and the ladder below it."""
    below = render.text(_table(snapshot, every)) if snapshot.conditions else ""
    return with_state(snapshot, "\n".join(filter(None, (sentence(snapshot), below))))


def html(snapshot: Snapshot, *, every: bool = False) -> str:
    """The same as HTML."""
    body = "".join(_row(*row) for row in _table(snapshot, every)[1])
    said = f"<div style='line-height:1.6;overflow-wrap:anywhere' role='status'>{escape(sentence(snapshot))}</div>"
    return framed(snapshot, said + (table(_HEAD[:-1], body) if body else ""))


def sentence(snapshot: Snapshot) -> str:
    """Whether something holds it back, and the deepest thing that does."""
    broken = [rung for rung in snapshot.conditions if rung.state != "holds"]
    if not snapshot.conditions:
        return f"· {snapshot.name}: no conditions: it is {snapshot.phase}"
    if not broken:
        count = len(snapshot.conditions)
        return f"✔ {snapshot.name}: nothing holds it back, all {count} conditions are as they should be"
    deepest = next((rung for rung in broken if rung.state == "fails"), broken[0])
    why = ": ".join(filter(None, (deepest.reason, deepest.message))) or f"{deepest.type} is {deepest.status}"
    verb = "fails" if deepest.state == "fails" else "is waited for"
    return f"{_GLYPHS[deepest.state]} {snapshot.name}: {_whom(deepest)} {verb}: {why}"


def _table(snapshot: Snapshot, every: bool) -> tuple[render.Rows, render.Rows]:
    shown = [rung for rung in snapshot.conditions if every or rung.state != "holds" or rung.type == "Ready"]
    return (_HEAD,), [
        (
            _GLYPHS[rung.state], _whom(rung), rung.type, rung.status, clock(moment(rung.since)) if rung.since else "",
            ": ".join(filter(None, (rung.reason, rung.message)))[:300],
        )
        for rung in shown
    ]  # fmt: skip


def _row(*cells: str) -> str:
    """A rung, and why below it: it may be long."""
    *short_ones, why = cells
    row = "".join(f"<td {cell()}>{escape(words)}</td>" for words in short_ones)
    below = f"<tr><td></td><td colspan='4' {cell('overflow-wrap:anywhere')}>{escape(why)}</td></tr>" if why else ""
    return f"<tr>{row}</tr>{below}"


def _whom(rung: LadderCondition) -> str:
    if rung.kind == "Pod":
        return f"Pod of {short(rung.name.partition('-deployment-')[0])}"
    if rung.kind == "Revision":
        return f"Revision {short(rung.name)}"
    return {"Service": "Knative Service", "model": "the model"}.get(rung.kind, rung.kind)
