"""One line on top: which cluster, which rollout, what is asked, routed and observed."""

from __future__ import annotations

from html import escape
from typing import Any

import ipywidgets as W  # noqa: N812 - short, as traits and widgets fill these lines
import traitlets as T  # noqa: N812 - as above

from kserve_nb.observe.snapshot import Snapshot
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.rollout.statistics import judge
from kserve_nb.values.foreign_text import last_line
from kserve_nb.values.revisions import short
from kserve_nb.widgets.drawing.draw import Picture, framed, share_words, with_state
from kserve_nb.widgets.feed.rollout_feed import Seat, faces_of, leave

GLYPHS = {"settled": "✔", "moving": "◌", "failed": "✖", "absent": "·", "not seen yet": "…"}


class StatusLine(W.VBox):  # type: ignore[misc]  # ipywidgets ships no types
    """Asked, routed and observed in one line, live until `close()`."""

    snapshot: Snapshot = T.Instance(Snapshot, ("",))  # type: ignore[assignment]  # traitlets hands the value out

    def __init__(self, rollout: Rollout):
        self._picture = Picture(lambda: self.html)
        super().__init__([self._picture.view])
        self._seat = Seat(rollout, lambda snapshot: self.set_trait("snapshot", snapshot))

    @property
    def text(self) -> str:
        """The line as text."""
        return text(self.snapshot)

    @property
    def html(self) -> str:
        """The line as HTML."""
        return html(self.snapshot)

    @property
    def json(self) -> dict[str, Any]:
        """All that is known, as JSON's own types."""
        return self.snapshot.as_json()

    def close(self) -> None:
        """Stop following; what was seen last stays in view."""
        leave(self)

    @T.observe("snapshot")
    def _show(self, _change: Any) -> None:
        self._picture.draw()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        return faces_of(self, super()._repr_mimebundle_(**kwargs))


def text(snapshot: Snapshot) -> str:
    """The line, and why it is not live where it is not."""
    return with_state(snapshot, " · ".join(words(snapshot)))


def html(snapshot: Snapshot) -> str:
    """The line; a screen reader says it when it changes."""
    where, what, *rest = map(escape, words(snapshot))
    said = " · ".join([where, f"<b>{what}</b>", *rest])
    return framed(snapshot, f"<div role='status' style='line-height:1.6'>{said}</div>")


def words(snapshot: Snapshot) -> tuple[str, ...]:
    """Where, what, and the three truths: asked, routed, observed."""
    where = f"{snapshot.source} {snapshot.namespace}/{snapshot.name}"
    why = last_line(snapshot.failure)[:240] or snapshot.missing
    phase = f"{GLYPHS[snapshot.phase]} {headline(snapshot)}" + (f": {why}" if why else "")
    if snapshot.status is None:
        return where, phase
    asked = snapshot.status.requested_percent
    latest = snapshot.status.latest
    routed = snapshot.routed.get(snapshot.status.latest_created, 0)
    truths = [f"asked {100 if asked is None else asked} %", f"routed {routed} %" if latest else "routed to nobody"]
    return where, phase, " → ".join([*truths, _observed(snapshot)])


def headline(snapshot: Snapshot) -> str:
    """`90/10 settled`: the split as KServe's columns have it, and how far it is."""
    status = snapshot.status
    if status is None:
        return "there is none" if snapshot.phase == "absent" else "not seen yet"
    if status.latest is None:
        split = "nobody is served yet,"
    elif status.previous:
        split = f"{status.previous.percent}/{status.latest.percent}"
    else:
        split = f"{status.latest.percent} % {short(status.latest.revision)}"
    if snapshot.phase == "failed":
        return f"{split} failed"
    return f"{split} {snapshot.phase}"


def _observed(snapshot: Snapshot) -> str:
    tally = snapshot.sample
    if tally is None:
        return "observed: nobody has looked"
    verdict = judge(tally.hits, tally.split.attributed, tally.percent).word
    word = {"consistent": "verified", "not": "not what is routed", "too few": "too few to tell"}[verdict]
    seen = share_words(tally.hits, tally.split.attributed)
    return f"observed {seen}, {word} · {tally.split.failed} lost"
