"""What widgets show, as HTML: pure, readable in a light and a dark theme, words and glyphs beside every colour."""

from __future__ import annotations

from html import escape
from typing import Any

from kserve_nb.rollout import progress
from kserve_nb.values.foreign_text import last_line
from kserve_nb.values.revisions import short
from kserve_nb.values.rollout_status import RolloutStatus, TrafficTarget

_LINE = "var(--jp-border-color1, #bdbdbd)"
_BRAND = "var(--jp-brand-color1, #1976d2)"
_SOLID = _BRAND  # LATEST
_HATCHED = f"repeating-linear-gradient(45deg, transparent 0 5px, {_LINE} 5px 7px)"  # PREV: told apart without colour
_GLYPHS = {"True": "✔", "False": "✖"}


def with_faces(bundle: Any, text: str, html: str) -> dict[str, Any]:
    """A widget's mime bundle with its words as text and as HTML, so that every front end shows something."""
    return {**(bundle or {}), "text/plain": text, "text/html": html}


def note(glyph: str, text: str, *, urgent: bool = False) -> str:
    """One line that a screen reader says when it comes: at once where it is urgent."""
    role = "alert" if urgent else "status"
    weight = "font-weight:600;" if urgent else ""
    return f"<div role='{role}' style='line-height:1.4;{weight}'>{glyph} {escape(text)}</div>"


_COPY = "navigator.clipboard?.writeText(this.innerText).then(()=>this.nextElementSibling.textContent=' ✔ copied')"


def command(text: str) -> str:
    """A command to copy: a click picks all of it, and copies it where the browser lets it."""
    return (
        "<div style='line-height:1.4'>the same as a command (click to copy): <code title='click to copy' "
        f'onclick="{_COPY}" style=\'cursor:copy;user-select:all;white-space:pre-wrap;overflow-wrap:anywhere\'>'
        f"{escape(text)}</code><span role='status'></span></div>"
    )


def status_html(status: RolloutStatus) -> str:
    """Who gets what percent, as a bar with its words below, and what is still to come."""
    targets = sorted(status.traffic, key=lambda target: target.latest)
    words = [f"{_name(target)} {target.percent} % → {short(target.revision)}" for target in targets]
    legend = [f"{'■' if t.latest else '▨'} {escape(line)}" for t, line in zip(targets, words, strict=True)]
    ready = f"{_GLYPHS.get(status.ready.status, '…')} READY {escape(status.ready.status)}"
    shown = [*(legend or ["nobody is served yet"]), ready]
    name = f"<b>{escape(status.name)}</b>"
    return _bar(targets, ", ".join(words)) + f"<div style='line-height:1.6'>{name}: {' · '.join(shown)}</div>" + _left(
        status
    )


def _bar(targets: list[TrafficTarget], words: str) -> str:
    parts = "".join(
        f"<div style='width:{target.percent}%;background:{_SOLID if target.latest else _HATCHED}'></div>"
        for target in targets
    )
    return (
        f"<div role='img' aria-label='traffic: {escape(words) or 'none'}' style='display:flex;height:12px;"
        f"max-width:560px;border:1px solid {_LINE};border-radius:2px;overflow:hidden'>{parts}</div>"
    )


def _left(status: RolloutStatus) -> str:
    """One line where what is seen is not what is asked, with the controller's words where it says why."""
    seen = tuple((target.revision, target.percent) for target in status.traffic)
    failure = last_line(status.failure)
    lines = [] if seen == progress.expected_traffic(status) else [note("…", "traffic is still moving")]
    return "".join(lines + ([note("✖", failure)] if failure else []))


def _name(target: TrafficTarget) -> str:
    return "LATEST" if target.latest else target.tag.upper() or "TARGET"


def pod_glyph(ready: str, state: str) -> str:
    """The mark before a pod's state, so that nobody has to tell states apart by colour."""
    if state == "Terminating":
        return "↓"
    if state == "Running":
        have, _, all_ = ready.partition("/")
        return "✔" if have == all_ else "…"
    return "…" if state in ("Pending", "ContainerCreating", "PodInitializing") or state[:6] == "Init:0" else "✖"
