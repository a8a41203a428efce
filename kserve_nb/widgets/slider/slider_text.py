"""What a traffic slider says, as text, as HTML and as JSON: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

from kserve_nb.observe.snapshot import Snapshot, clock
from kserve_nb.values import render
from kserve_nb.values.rollout_status import RolloutStatus
from kserve_nb.widgets.drawing import markup
from kserve_nb.widgets.drawing.draw import framed, with_state
from kserve_nb.widgets.slider import slider_order
from kserve_nb.widgets.slider.slider_order import Order, Verb
from kserve_nb.widgets.slider.slider_state import State, Step, Story, Wish
from kserve_nb.widgets.yaml_diff import compare_patch, lines_html

_SHOWN = 8  # sentences of a story, in a view
_NAMES: Mapping[Verb, str] = {"apply": "Apply", "promote": "Promote", "pin": "Pin previous", "back": "Back"}


@dataclass(frozen=True)
class Face:
    """All that a slider shows at one moment."""

    seen: Snapshot
    status: RolloutStatus | None  # newer than what was seen, where our own write has not come back yet
    wish: Wish
    state: State
    steps: tuple[Step, ...]
    locked: str  # why nothing at all can be ordered
    blocked: Mapping[Verb, str]  # why a button cannot be pressed
    story: Story
    nothing: str  # what is said where there is no InferenceService


def text(face: Face) -> str:
    """What is asked and seen, where the wish stands, how far it has come, and the story of it."""
    lines = [render.status_line(face.status) if face.status else face.nothing,
             f"state: {face.state.word}: {face.state.sentence}"]  # fmt: skip
    if face.steps:
        lines.append(" → ".join(f"{step.mark} {step.words}" for step in face.steps))
    lines += _wish(face)
    if len(face.story) > 1:
        lines += [f"{clock(at)} {state.sentence}" for at, state in face.story[-_SHOWN:]]
    return with_state(face.seen, "\n".join(lines))


def html(face: Face) -> str:
    """The same as HTML, for where there is no view."""
    return observed_html(face) + "".join(markup.note("…", said) for said in _wish(face)) + story_html(face)


def as_json(face: Face) -> dict[str, Any]:
    """The same as JSON's own types."""
    queued = face.wish.queued
    return {
        **face.seen.as_json(),
        "wish": face.wish.percent,
        "slider": asdict(face.state),
        "steps": [asdict(step) for step in face.steps],
        "queued": asdict(queued) if queued else None,
        "blocked": dict(face.blocked),
        "story": [{"at": at, **asdict(state)} for at, state in face.story],
    }


def plan_html(face: Face, namespace: str) -> str:
    """What an order would do: in words, in YAML, and as a command."""
    if face.locked:
        return markup.note("⊘", f"locked: {face.locked}")
    order = face.wish.asking or Order("apply", face.wish.percent)
    why = face.blocked.get(order.verb, "")
    if why and not face.wish.asking and face.wish.open:
        return markup.note("⊘", f"blocked: {why}", urgent=True)
    if why and not face.wish.asking:
        return markup.note("·", why)
    said = f"{_NAMES[order.verb]} {slider_order.plan(order, face.status)}"
    words = markup.note("▸", said) + markup.note("·", slider_order.expected(order, face.status))
    diff = lines_html(compare_patch(face.seen.document, order.patch))
    return words + diff + markup.command(order.command(face.seen.name, namespace))


def question_html(face: Face) -> str:
    """What Yes says yes to; empty where nothing is asked."""
    order = face.wish.asking
    if order is None or face.status is None:
        return ""
    words = slider_order.question(order, face.status)
    if face.wish.again:
        words = slider_order.second_question(order, face.status)
    return f"<div role='alert' style='line-height:1.4;font-weight:600'>{escape(words)}</div>"


def queue_html(face: Face) -> str:
    """What waits for its turn; empty where nothing does."""
    if face.wish.queued is None:
        return ""
    return markup.note("…", f"next: {face.wish.queued.share} %, once traffic has moved. Another order takes its place")


def blocked_html(face: Face) -> str:
    """Why each disabled button is disabled, in words: a tooltip alone needs a mouse."""
    if face.locked:
        return ""
    rows = [f"{_NAMES[verb]} is blocked: {why}" for verb, why in face.blocked.items() if verb != "apply"]
    words = "".join(f"<div>⊘ {escape(row)}</div>" for row in rows)
    return f"<div style='line-height:1.4;font-size:.9em;opacity:.8'>{words}</div>" if rows else ""


def observed_html(face: Face) -> str:
    """Who gets what now, and how far the last order has come."""
    seen = markup.status_html(face.status) if face.status else f"<div>{escape(face.nothing)}</div>"
    said = "" if face.wish.ending else f": {face.state.sentence}"  # a failure is said once, beside the buttons
    state = markup.note("·", f"{face.state.word}{said}")
    return framed(face.seen, seen + steps_html(face.steps) + state)


def steps_html(steps: tuple[Step, ...]) -> str:
    """The four steps in a row: a mark and words, the one under way in bold."""
    if not steps:
        return ""
    parts = " → ".join(
        f"<span style='white-space:nowrap;{'font-weight:600' if step.mark in '◌✖' else ''}"
        f"{'opacity:.7' if step.mark == '·' else ''}'>{step.mark} {escape(step.words)}</span>"
        for step in steps
    )
    return f"<div role='status' aria-label='how far the last order has come' style='line-height:1.6'>{parts}</div>"


def story_html(face: Face) -> str:
    """The last sentences of what happened, with the time of each."""
    if len(face.story) < 2:
        return ""
    rows = "".join(
        f"<li><span style='opacity:.7'>{clock(at)}</span> {escape(state.sentence)}</li>"
        for at, state in face.story[-_SHOWN:]
    )
    style = "margin:4px 0 0;padding:0;list-style:none;line-height:1.4;font-size:.9em"
    return f"<ol role='log' aria-label='what happened' style='{style}'>{rows}</ol>"


def _wish(face: Face) -> list[str]:
    """What the handle stands for, where that is not asked of the cluster."""
    if face.wish.queued:
        return [f"next: {face.wish.queued.share} %, once traffic has moved"]
    if face.wish.writing or not face.wish.open:
        return []
    why = face.blocked.get("apply", "")
    return [f"wish: {face.wish.percent} %, " + (f"blocked: {why}" if why else "not applied")]
