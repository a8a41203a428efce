"""The history of a rollout on one axis of time, which you can move back in and export as one HTML file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import traitlets as T  # noqa: N812 - short, as traits fill these lines

from kserve_nb.observe.history import RolloutHistory
from kserve_nb.observe.snapshot import Snapshot, clock
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.widgets.drawing.frame import CARD_PADDING, card, with_state
from kserve_nb.widgets.drawing.markup import button, choice, note, safe, toolbar
from kserve_nb.widgets.drawing.svg import WIDTH
from kserve_nb.widgets.drawing.timeline_picture import LEFT, RIGHT, frame_text, key, label, picture, story
from kserve_nb.widgets.sheet.rollout_widget import RolloutWidget
from kserve_nb.widgets.sheet.sheet import Handler, static_html

_PERIODS = (("2 minutes", "2"), ("10 minutes", "10"), ("1 hour", "60"), ("everything", "0"))


class RevisionTimeline(RolloutWidget):
    """Traffic, pods, requested changes and events by revision, live until `close()`.

    `back_s` shows what was known that many seconds ago; the moment stays the same while time goes on, so `back_s`
    grows. `export(path)` writes everything as one HTML file.

    >>> timeline = RevisionTimeline(rollout)
    >>> timeline.close()
    """

    minutes = T.Int(10, min=0)  # how much is shown; 0 is everything
    back_s = T.Int(0, min=0)  # the moment shown below the picture, in seconds before now; 0 is now
    saved = T.Unicode()  # the result of the last export

    _history = RolloutHistory("")
    _moment: float | None = None  # the moment that is looked at; None is now

    def __init__(self, rollout: Rollout):
        super().__init__(rollout)
        self._on_snapshot(self._subscription.feed.snapshot)  # the feed may have a long history already

    @property
    def text(self) -> str:
        """What happened, one line per change, and what was known at the moment that is looked at."""
        return text(self.snapshot, self._shown(), self._moment)

    def export(self, path: str | Path | None = None) -> Path:
        """Write the whole history as one HTML file that needs nothing else; returns its path."""
        target = Path(path or f"{self.snapshot.name}-timeline.html")
        target.write_text(document(self.snapshot, self._subscription.feed.history()), encoding="utf-8")
        return target

    def _picture(self) -> str:
        return html(self.snapshot, self._shown(), self._moment, self._width - CARD_PADDING)

    def _draw(self) -> str:
        saved = note("✔" if self.saved.startswith("saved") else "✖", self.saved) if self.saved else ""
        period = choice("minutes", "show", _PERIODS, str(self.minutes))
        save = button("save", "Save as HTML", title="One file for any browser.")
        return self._picture() + self._look_back() + toolbar(period, save) + f"<div data-key='saved'>{saved}</div>"

    def _look_back(self) -> str:
        """The slider to look back, exactly below the axis of time: its handle is under the selected moment."""
        shown = self._shown()
        length = max(int(shown.until - shown.frames[0].at), 1) if shown.frames else 1
        back = min(self.back_s, length)
        words = f"{back} s ago, at {clock(self._moment)}" if self._moment is not None else "now"
        width = self._width - CARD_PADDING
        place = ";".join(
            f"padding-{edge}:{100 * margin / width:.2f}%"
            for edge, margin in (("left", LEFT), ("right", RIGHT))
        )
        return (
            f"<div data-key='look back' style='{place}'><input type='range' data-input='back' min='0' "
            f"max='{length}' value='{length - back}' aria-label='look back' aria-valuetext='{words}'>"
            f"<div class='knb-soft'>look back: {words}</div></div>"
        )

    def _handlers(self) -> Mapping[str, Handler]:
        return {"back": self._on_range, "minutes": self._on_minutes, "save": self._on_save}

    def _shown(self) -> RolloutHistory:
        history = self._history
        return history.since(history.until - 60 * self.minutes) if self.minutes and history.frames else history

    def _on_range(self, value: str) -> None:
        shown = self._shown()
        length = max(int(shown.until - shown.frames[0].at), 1) if shown.frames else 1
        self.back_s = max(length - int(value), 0)

    def _on_minutes(self, value: str) -> None:
        self.minutes = int(value)

    def _on_save(self, _value: str) -> None:
        try:
            self.saved = f"saved as {self.export()}"
        except OSError as error:
            self.saved = f"Cannot save the timeline: {error}"

    def _on_snapshot(self, snapshot: Snapshot) -> None:
        if "_subscription" in self.__dict__:
            self._history = self._subscription.feed.history()
        self.snapshot = snapshot
        if self._moment is not None:
            self.set_trait("back_s", max(round(self._history.until - self._moment), 1))
        self.redraw()

    @T.observe("back_s")
    def _on_back(self, _change: Any) -> None:
        moment = self._history.until - self.back_s
        if not self.back_s:
            self._moment = None
        elif self._moment is None or abs(self._moment - moment) > 1:
            self._moment = moment
        self.redraw()

    @T.observe("minutes", "saved")
    def _on_view_change(self, _change: Any) -> None:
        self.redraw()


def text(snapshot: Snapshot, history: RolloutHistory, moment: float | None = None) -> str:
    """What happened, line by line, and what was known at a moment if one is given."""
    if not history.frames:
        return with_state(snapshot, f"{snapshot.name}: nothing seen yet")
    then = f"\nat {clock(moment)}:\n{frame_text(history.at(moment))}" if moment is not None else ""
    return with_state(snapshot, story(history) + then)


def html(
    snapshot: Snapshot, history: RolloutHistory, moment: float | None = None, width: float = WIDTH - CARD_PADDING
) -> str:
    """The picture, what its marks mean, and what was known at a moment if one is given."""
    if not history.frames:
        return card(snapshot, f"History of {snapshot.name}", note("…", "nothing seen yet"))
    then = ""
    if moment is not None:
        known = safe(frame_text(history.at(moment)))
        then = f"<div role='status'><b>at {clock(moment)}</b><pre>{known}</pre></div>"
    shown = picture(history, moment, width) + key(has_requests=bool(history.samples)) + then
    return card(snapshot, f"History of {snapshot.name}", shown)


def document(snapshot: Snapshot, history: RolloutHistory) -> str:
    """One HTML page: the picture, a range to look back with, and what happened."""
    moments = [[clock(frame.at), frame_text(frame)] for frame in history.frames]
    shown = picture(history) + key(has_requests=bool(history.samples)) if history.frames else ""
    return _PAGE.format(
        title=safe(label(history)),
        head=safe(f"{snapshot.namespace}/{snapshot.name}"),
        picture=static_html(shown),
        last=max(len(moments) - 1, 0),
        moments=json.dumps(moments).replace("<", "\\u003c"),
        story=safe(story(history)),
    )


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 14px/1.5 system-ui, sans-serif; max-width: 800px; margin: 2em auto; padding: 0 1em }}
input {{ width: 100% }} pre {{ white-space: pre-wrap }} .knb {{ overflow-x: auto }}
</style></head><body>
<script>
if (matchMedia("(prefers-color-scheme: dark)").matches) document.documentElement.dataset.theme = "dark";
</script>
<h1>{head}</h1>
{picture}
<label for="at">look back, moment by moment</label>
<input id="at" type="range" min="0" max="{last}" value="{last}">
<pre id="then" aria-live="polite"></pre>
<h2>What happened</h2>
<pre>{story}</pre>
<script>
const moments = {moments}, at = document.getElementById("at"), then = document.getElementById("then");
const show = () => {{ const m = moments[at.value]; then.textContent = m ? m[0] + "\\n" + m[1] : ""; }};
at.addEventListener("input", show); show();
</script></body></html>
"""
