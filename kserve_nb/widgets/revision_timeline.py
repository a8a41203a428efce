"""The course of a rollout on one axis of time, to look back in, and to take along as one HTML file."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as W  # noqa: N812 - short, as traits and widgets fill these lines
import traitlets as T  # noqa: N812 - as above

from kserve_nb.observe.history import RolloutHistory
from kserve_nb.observe.snapshot import Snapshot, clock
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.widgets.drawing.draw import Picture, framed, with_state
from kserve_nb.widgets.drawing.markup import note
from kserve_nb.widgets.drawing.timeline_picture import frame_text, label, picture, story
from kserve_nb.widgets.feed.rollout_feed import Seat, faces_of, leave

_WINDOWS = (("2 minutes", 2), ("10 minutes", 10), ("1 hour", 60), ("all of it", 0))
_KEY = (
    "▮ share of the users · ━ pod ready · ┅ pod starting or ending · | requests, as high as LATEST's part · "
    "✖ warning · ▨ unobserved"
)


class RevisionTimeline(W.VBox):  # type: ignore[misc]  # ipywidgets ships no types
    """Traffic, pods, what was asked and events by revision, live until `close()`.

    `back_s` looks so many seconds back (the slider below the picture); `export(path)` writes it as one HTML file.

    >>> timeline = RevisionTimeline(rollout)
    >>> timeline.close()
    """

    snapshot: Snapshot = T.Instance(Snapshot, ("",))  # type: ignore[assignment]  # traitlets hands the value out
    minutes = T.Int(10, min=0)  # how much of it is shown; 0 is all
    back_s = T.Int(0, min=0)  # the moment looked at, seconds before the newest; 0 is now
    saved = T.Unicode()  # what became of the last export

    def __init__(self, rollout: Rollout):
        self._history = RolloutHistory(rollout.name)
        self._picture = Picture(lambda: self.html)
        self._scrub = W.IntSlider(
            0, 0, 1, description="look back", layout=W.Layout(flex="1 1 260px"),
            tooltip="seconds before now; arrow keys move it",
        )  # fmt: skip
        self._window = W.Dropdown(options=_WINDOWS, description="show", layout=W.Layout(width="200px"))
        self.save_button = W.Button(description="Save as HTML", tooltip="one file, to be opened in any browser")
        row = W.HBox([self._scrub, self._window, self.save_button], layout=W.Layout(flex_flow="row wrap"))
        super().__init__([self._picture.view, row])
        T.link((self, "minutes"), (self._window, "value"))
        T.link((self, "back_s"), (self._scrub, "value"))
        self.save_button.on_click(self._on_save)
        self._seat = Seat(rollout, self._take)
        self._take(self._seat.live.snapshot)  # the feed may be an old one that has much to tell

    @property
    def text(self) -> str:
        """What happened, a line a change; and what was known at the moment looked at."""
        return text(self.snapshot, self._shown(), self._cursor())

    @property
    def html(self) -> str:
        """The picture as HTML."""
        said = note("✔" if self.saved.startswith("saved") else "✖", self.saved) if self.saved else ""
        return html(self.snapshot, self._shown(), self._cursor()) + said

    @property
    def json(self) -> dict[str, Any]:
        """All that is known, as JSON's own types."""
        return self.snapshot.as_json()

    def export(self, path: str | Path | None = None) -> Path:
        """Write all of it as one HTML file that needs nothing else; returns where."""
        target = Path(path or f"{self.snapshot.name}-timeline.html")
        target.write_text(document(self.snapshot, self._seat.live.history()), encoding="utf-8")
        return target

    def close(self) -> None:
        """Stop following; what was seen last stays in view."""
        leave(self)

    def _shown(self) -> RolloutHistory:
        history = self._history
        return history.since(history.until - 60 * self.minutes) if self.minutes and history.frames else history

    def _cursor(self) -> float | None:
        return self._history.until - self.back_s if self.back_s else None

    def _on_save(self, _button: W.Button) -> None:
        try:
            self.saved = f"saved as {self.export()}"
        except OSError as error:
            self.saved = f"not saved: {error}"

    def _take(self, snapshot: Snapshot) -> None:
        if hasattr(self, "_seat") and not self.back_s:
            self._history = self._seat.live.history()  # while a hand looks back, the picture stands still
        self.snapshot = snapshot
        self._show()

    @T.observe("back_s")
    def _look_back(self, _change: Any) -> None:
        if not self.back_s:
            self._history = self._seat.live.history()
        self._show()

    @T.observe("minutes", "saved")
    def _show(self, _change: Any = None) -> None:
        shown = self._shown()
        known = shown.until - shown.frames[0].at if shown.frames else 1
        self._scrub.max = max(int(known), 1, self.back_s)
        self._picture.draw()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        return faces_of(self, super()._repr_mimebundle_(**kwargs))


def text(snapshot: Snapshot, history: RolloutHistory, cursor: float | None = None) -> str:
    """The story; and what was known at the cursor, where there is one."""
    if not history.frames:
        return with_state(snapshot, f"{snapshot.name}: nothing seen yet")
    then = f"\nat {clock(cursor)}:\n{frame_text(history.at(cursor))}" if cursor is not None else ""
    return with_state(snapshot, story(history) + then)


def html(snapshot: Snapshot, history: RolloutHistory, cursor: float | None = None) -> str:
    """The picture, its key, and what was known at the cursor."""
    if not history.frames:
        return framed(snapshot, note("…", f"{snapshot.name}: nothing seen yet"))
    then = ""
    if cursor is not None:
        known = escape(frame_text(history.at(cursor)))
        then = f"<div role='status'><b>at {clock(cursor)}</b><pre style='margin:0;line-height:1.4'>{known}</pre></div>"
    return framed(snapshot, f"{picture(history, cursor)}<div style='line-height:1.4;opacity:.8'>{_KEY}</div>{then}")


def document(snapshot: Snapshot, history: RolloutHistory) -> str:
    """One HTML file: the picture, a slider to look back with, and the story."""
    moments = [[clock(frame.at), frame_text(frame)] for frame in history.frames]
    return _PAGE.format(
        title=escape(label(history)),
        head=escape(f"{snapshot.namespace}/{snapshot.name}"),
        picture=picture(history) if history.frames else "",
        key=_KEY,
        last=max(len(moments) - 1, 0),
        moments=json.dumps(moments).replace("<", "\\u003c"),
        story=escape(story(history)),
    )


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 14px/1.5 system-ui, sans-serif; max-width: 800px; margin: 2em auto; padding: 0 1em }}
@media (prefers-color-scheme: dark) {{
  :root {{ --jp-border-color1: #616161; --jp-border-color2: #424242; --jp-brand-color1: #64b5f6;
           --jp-warn-color0: #ffb74d; --jp-error-color1: #ef5350 }}
}}
input {{ width: 100% }} pre {{ overflow-x: auto }}
</style></head><body>
<h1>{head}</h1>
{picture}
<p>{key}</p>
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
