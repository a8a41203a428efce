"""How widgets draw: colours of the front end's theme, small pieces of SVG, and what is said around a picture."""

from __future__ import annotations

import logging
from collections.abc import Callable
from html import escape

import ipywidgets as W  # noqa: N812 - short, as widgets fill these lines

from kserve_nb.observe.snapshot import Snapshot, clock
from kserve_nb.rollout.statistics import interval
from kserve_nb.values.foreign_text import last_line
from kserve_nb.values.revisions import short
from kserve_nb.widgets.drawing.markup import note

WIDTH = 760  # of every picture, in pixels; it shrinks with its cell
INK = "currentColor"
LINE = "var(--jp-border-color1, #bdbdbd)"
FAINT = "var(--jp-border-color2, #e0e0e0)"
BRAND = "var(--jp-brand-color1, #1976d2)"
WARN = "var(--jp-warn-color0, #b26a00)"
BAD = "var(--jp-error-color1, #d32f2f)"
GOOD = "var(--jp-success-color1, #2e7d32)"
_log = logging.getLogger(__name__)


def cell(more: str = "white-space:nowrap") -> str:
    """The attributes of a table's cell."""
    style = "text-align:left;vertical-align:top;line-height:1.4;padding:3px 14px 3px 4px"
    return f"style='{style};border-bottom:1px solid {FAINT};{more}'"


LISTS = "kserve-nb-lists"  # the class of a widget whose picture chooses in its lists
# ipywidgets tells the kernel what is chosen in a list, not where a picture is clicked: so a click chooses in the list.
_CHOOSE = (
    "const at=event.target.closest('[data-list]'),box=this.closest('." + LISTS + "');if(at&&box){"
    "const list=box.querySelectorAll('select')[at.dataset.list];"
    "const found=[...list.options].find(option=>option.value===at.dataset.choice);"
    "if(found){found.selected=true;list.dispatchEvent(new Event('change',{bubbles:true}))}}"
)


def choosable(body: str) -> str:
    """HTML whose parts, made by `choice`, can be clicked in a widget of class `kserve-nb-lists`; words elsewhere."""
    return f'<div onclick="{_CHOOSE}">{body}</div>'


def choice(number: int, words: str, title: str, style: str = "") -> str:
    """The attributes of a part that, clicked, chooses these words in the widget's list of that number."""
    said, wanted = escape(title, quote=True), escape(words, quote=True)
    return f"data-list='{number}' data-choice='{wanted}' title='{said}' style='cursor:pointer;{style}'"


def table(head: tuple[str, ...], body: str) -> str:
    """A table that is scrolled where its cell is narrow."""
    names = "".join(f"<th scope='col' {cell()}>{name}</th>" for name in head)
    inner = f"<thead><tr>{names}</tr></thead><tbody>{body}</tbody>"
    return f"<div style='overflow-x:auto'><table style='border-collapse:collapse'>{inner}</table></div>"


class Picture:
    """The HTML of a widget, drawn anew when what it shows has changed; an error is said in its place."""

    def __init__(self, draw: Callable[[], str]):
        self.view = W.HTML(layout=W.Layout(max_width=f"{WIDTH}px"))
        self._draw = draw

    def draw(self) -> None:
        """Draw it as it is now."""
        try:
            style = "contain:inline-size;line-height:1.5"  # as wide as its cell, not wider
            self.view.value = f"<div style='{style}'>{self._draw()}</div>"
        except Exception as error:  # nobody could catch it: the feed's thread draws
            _log.exception("a picture could not be drawn")
            self.view.value = note("✖", f"cannot be shown: {type(error).__name__}: {error}", urgent=True)


def svg(height: float, label: str, parts: list[str], *, width: float = WIDTH) -> str:
    """A picture with the words that a screen reader says for it."""
    return (
        f"<svg role='img' aria-label='{escape(label, quote=True)}' viewBox='0 0 {width:g} {height:g}' "
        f"style='width:100%;max-width:{width:g}px;height:auto;display:block' "
        f"font-family='var(--jp-ui-font-family, sans-serif)' font-size='12' fill='{INK}'>{''.join(parts)}</svg>"
    )


def text_at(x: float, y: float, words: str, *, anchor: str = "start", style: str = "") -> str:
    """Words in a picture."""
    return f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' style='{style}'>{escape(words)}</text>"


def line(x1: float, y1: float, x2: float, y2: float, colour: str = LINE, more: str = "") -> str:
    """A straight line."""
    return f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}' stroke='{colour}' {more}/>"


def rect(x: float, y: float, width: float, height: float, fill: str, *, title: str = "", more: str = "") -> str:
    """A box, with words that come when the mouse rests on it."""
    said = f"<title>{escape(title)}</title>" if title else ""
    return (
        f"<rect x='{x:.1f}' y='{y:.1f}' width='{max(width, 0):.1f}' height='{max(height, 0):.1f}' fill='{fill}' {more}>"
        f"{said}</rect>"
    )


def framed(snapshot: Snapshot, body: str) -> str:
    """A picture, and below it why it is not live, where it is not; grey where it is old."""
    said = state_line(snapshot)
    if not said:
        return body
    glyph, words = said[0], said[2:]
    return f"<div style='opacity:.6'>{body}</div>" + note(glyph, words, urgent=snapshot.state in ("stale", "error"))


def state_line(snapshot: Snapshot) -> str:
    """Why a snapshot is not live, with a glyph before it; empty where it is."""
    why = f": {last_line(snapshot.reason)}" if snapshot.reason else ""
    if snapshot.state == "loading":
        return "… looking at the cluster"
    if snapshot.state == "closed":
        return "· closed: this is how it was"
    if snapshot.state == "stale" and not snapshot.at:
        return f"✖ the cluster was never seen{why}"
    if snapshot.state == "stale":
        return f"✖ stale: nothing was heard for {snapshot.age_s} s, last seen at {clock(snapshot.at)}{why}"
    return f"✖ not live{why}" if snapshot.state == "error" else ""


def with_state(snapshot: Snapshot, text: str) -> str:
    """Text, and below it why it is not live, where it is not."""
    said = state_line(snapshot) if snapshot.state in ("stale", "error") else ""
    return f"{text}\n{said}" if said else text


def revision_role(snapshot: Snapshot, revision: str) -> str:
    """LATEST, PREV or both, as the traffic list names a revision; empty where it does not."""
    status = snapshot.status
    latest, previous = (status.latest, status.previous) if status else (None, None)
    named = (("PREV", previous), ("LATEST", latest))
    return "+".join(word for word, target in named if target and target.revision == revision)


def shares(snapshot: Snapshot) -> dict[str, str]:
    """What each revision was seen to answer: `9.6 % [8.1–11.4]`, by revision name."""
    tally = snapshot.sample
    if tally is None or not tally.split.attributed:
        return {}
    sent = tally.split.attributed
    return {name: share_words(count, sent) for name, count in tally.split.counts.items()}


def share_words(hits: int, sent: int) -> str:
    """A share with its 95 % interval: `9.6 % [8.1–11.4]`."""
    low, high = interval(hits, sent)
    return f"{100 * hits / sent if sent else 0:.1f} % [{low:.1f}–{high:.1f}]"


def split_words(percents: dict[str, int]) -> str:
    """`90 % → 00001 · 10 % → 00002`, the older one first."""
    return " · ".join(f"{percent} % → {short(name)}" for name, percent in sorted(percents.items()))
