"""The track of a traffic slider: the handle, and marks for the requested, the routed and the observed percent. Pure.

The track is filled, and the marks are drawn, in the colour of the revision that gets the percent.
"""

from __future__ import annotations

from kserve_nb.values.revisions import short
from kserve_nb.widgets.drawing.markup import safe
from kserve_nb.widgets.drawing.palette import revision_colour, revision_shape
from kserve_nb.widgets.drawing.shares import band, latest_share
from kserve_nb.widgets.slider.slider_state import SliderState
from kserve_nb.widgets.slider.traffic_change import requested_percent

_EDGE = 18  # %; a mark nearer to an end of the track has its text on the inner side


def track(state: SliderState, is_locked: bool) -> str:
    """The range input with its three marks."""
    percent = state.shown_percent
    latest = short(state.status.latest_created) if state.status else "LATEST"
    disabled = " disabled" if is_locked else ""
    look = f"style='accent-color:{revision_colour(state.status.latest_created)}'" if state.status else ""
    handle = (
        f"<input type='range' data-key='percent' data-input='percent' min='0' max='100' step='1' value='{percent}' "
        f"{look} aria-label='canary percent' aria-valuetext='{percent} % to {safe(latest)}'{disabled}>"
    )
    return f"<div class='knb-track' data-key='track'>{handle}{_marks(state)}</div>"


def _marks(state: SliderState) -> str:
    status, snapshot = state.status, state.snapshot
    if status is None:
        return ""
    colour = revision_colour(status.latest_created)
    requested = requested_percent(status)
    routed = snapshot.routed.get(status.latest_created, 0)
    marks = _mark("knb-above", requested, f"requested {requested} %<br>▼", colour)
    marks += _mark("knb-below", routed, f"▲ routed {routed} %", colour)
    tally = snapshot.sample
    if tally is None or not tally.split.attributed:
        return marks + _mark("knb-lowest knb-soft", 0, "observed: not measured", "")
    low, high = band(tally.hits, tally.split.attributed, tally.percent)
    share = 100 * tally.hits / tally.split.attributed
    bar = f"<div class='knb-band' style='left:{low:.1f}%;width:{high - low:.1f}%;background:{colour}'></div>"
    shape = revision_shape(status.latest_created)
    return marks + bar + _mark("knb-lowest", share, f"{shape} observed {latest_share(tally)}", colour)


def _mark(row: str, percent: float, words: str, colour: str) -> str:
    """A mark on the track at a percent; `words` are HTML."""
    side = "start" if percent < _EDGE else "end" if percent > 100 - _EDGE else "middle"
    look = f";color:{colour}" if colour else ""
    return f"<div class='knb-mark {row}' data-side='{side}' style='left:{percent:.1f}%{look}'>{words}</div>"
