"""A traffic slider as text and as JSON. Pure."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from kserve_nb.observe.snapshot import clock
from kserve_nb.values.text import render
from kserve_nb.widgets.drawing.frame import with_state
from kserve_nb.widgets.slider.slider_view import SliderView

JOURNAL_SHOWN = 8


def text(view: SliderView) -> str:
    """The split, the progress of the change, and the journal."""
    status = view.state.status
    lines = [
        render.status_line(status) if status else view.absent,
        f"state: {view.phase.word}: {view.phase.sentence}",
        " → ".join(step.words for step in view.steps),
        draft_line(view),
    ]
    if len(view.journal) > 1:
        lines += [f"{clock(at)} {phase.sentence}" for at, phase in view.journal[-JOURNAL_SHOWN:]]
    return with_state(view.state.snapshot, "\n".join(filter(None, lines)))


def draft_line(view: SliderView) -> str:
    """The percent that is chosen or queued but not written; empty if there is none."""
    state = view.state
    if state.queued:
        return f"next: {state.queued.latest_percent} %, once the traffic has moved"
    if state.writing or not state.is_edited:
        return ""
    why = view.blocked.get("apply", "")
    return f"draft: {state.draft_percent} %, " + (f"blocked: {why}" if why else "not applied")


def as_json(view: SliderView) -> dict[str, Any]:
    """The snapshot and the change as dicts and lists."""
    state = view.state
    return {
        **state.snapshot.as_json(),
        "draft": state.draft_percent,
        "slider": asdict(view.phase),
        "steps": [asdict(step) for step in view.steps],
        "queued": asdict(state.queued) if state.queued else None,
        "blocked": dict(view.blocked),
        "journal": [{"at": at, **asdict(phase)} for at, phase in view.journal],
    }
