"""A traffic slider as a card: the split now and after the change, one track, one row of buttons, and four steps. Pure.

Parts whose content appears later have their height from the start, and everything of varying height is below the
buttons, so that nothing moves under the pointer.
"""

from __future__ import annotations

from kserve_nb.observe.snapshot import clock
from kserve_nb.rollout.statistics import needed
from kserve_nb.values.revisions import short
from kserve_nb.values.rollout_status import RolloutStatus
from kserve_nb.widgets.drawing.frame import card
from kserve_nb.widgets.drawing.markup import button, chip, command, folded, note, safe, toolbar
from kserve_nb.widgets.drawing.palette import revision_colour, revision_mark
from kserve_nb.widgets.slider import traffic_change
from kserve_nb.widgets.slider.percent_track import track
from kserve_nb.widgets.slider.slider_phase import STEP_GLYPHS, ChangeStep, PhaseWord
from kserve_nb.widgets.slider.slider_text import draft_line
from kserve_nb.widgets.slider.slider_view import SliderView
from kserve_nb.widgets.slider.traffic_change import PRESETS, Action, TrafficChange, requested_percent
from kserve_nb.widgets.yaml_diff import compare_patch, lines_html

_MOST_REQUESTS = 1000  # sent by one press of the measure button
_NAMES: dict[Action, str] = {"apply": "Apply", "promote": "Promote", "pin": "Pin previous", "back": "Back"}
_TIPS: dict[Action, str] = {
    "apply": "Asks for confirmation first.",
    "promote": "All traffic to the latest revision. Asks for confirmation first.",
    "pin": "All traffic back to the previous revision, also while a change is under way. Asks for confirmation first.",
    "back": "Return to the split before this one. Asks for confirmation first.",
}
_CHIPS: dict[PhaseWord, tuple[str, str, str]] = {
    "loading": ("…", "connecting", ""), "closed": ("·", "closed", ""), "stale": ("✖", "no connection", "bad"),
    "read-only": ("·", "read-only", ""), "unavailable": ("·", "not possible yet", ""),
    "conflict": ("✖", "changed by somebody else", "bad"), "rejected": ("✖", "rejected", "bad"),
    "unknown": ("✖", "answer lost", "bad"), "confirming": ("?", "waits for your answer", "warn"),
    "writing": ("◌", "sending", ""), "edited": ("✎", "not applied yet", "warn"), "accepted": ("◌", "accepted", ""),
    "routing": ("◌", "routing", ""), "stalled": ("✖", "no progress", "bad"),
    "canary-failed": ("✖", "canary failed", "bad"), "settled": ("✔", "settled", "good"),
    "verified": ("✔", "settled and verified", "good"),
}  # fmt: skip


def html(view: SliderView, *, is_live: bool = False) -> str:
    """The card. In a saved page, which cannot send clicks to Python, it has no controls."""
    state = view.state
    glyph, words, look = _CHIPS[view.phase.word]
    parts = [_splits(view, is_live=is_live)]
    if is_live:
        parts += [track(state, _locked(view)), _chooser(view), _actions(view), _question(view)]
    elif draft_line(view):
        parts.append(note("…", draft_line(view)))
    parts.append(_steps(view, is_live=is_live))
    if is_live:
        parts.append(_details(view))
    parts.append(_journal(view))
    title = f"Traffic of {state.snapshot.name}"
    return card(state.snapshot, title, "".join(parts), chip(glyph, words, look))


def _locked(view: SliderView) -> bool:
    return bool(view.unavailable)


# --- the split now and after the change --------------------------------------------------------------------------


def _splits(view: SliderView, *, is_live: bool) -> str:
    """The split that is routed, and the one after the change that the handle shows."""
    status, state = view.state.status, view.state
    if status is None:
        return f"<div class='knb-splits'><b>routed now</b><div>{safe(view.absent)}</div></div>"
    now = [(t.revision, t.percent, _role(status, t.revision, latest=t.latest)) for t in status.traffic]
    now.sort(key=lambda row: row[0])
    rows = f"<b>routed now</b><div data-key='now'>{_split(now, f'READY {status.ready.status}')}</div>"
    change = state.confirming or TrafficChange("apply", state.draft_percent)
    latest, previous = _pair(status)
    is_same = change.latest_percent == requested_percent(status)
    if not _locked(view) and latest and previous and latest != previous and (is_live or not is_same):
        after = [(previous, 100 - change.latest_percent, ""), (latest, change.latest_percent, "")]
        name = "will be" if state.writing else "would be"
        rows += f"<b>{name}</b><div data-key='after'>{_split(after, 'no change' if is_same else '')}</div>"
    return f"<div class='knb-splits'>{rows}</div>"


def _split(rows: list[tuple[str, int, str]], more: str) -> str:
    parts = "".join(
        f"<div style='width:{percent}%;background:{revision_colour(name)}'></div>" for name, percent, _ in rows
    )
    words = [" ".join(filter(None, (role, f"{percent} % → {short(name)}"))) for name, percent, role in rows]
    marks = [f"{revision_mark(name)} {safe(line)}" for (name, *_), line in zip(rows, words, strict=True)]
    shown = " · ".join([*(marks or ["no traffic yet"]), *([safe(more)] if more else [])])
    return f"<div class='knb-bar' aria-hidden='true'>{parts}</div><div>{shown}</div>"


def _role(status: RolloutStatus, revision: str, *, latest: bool) -> str:
    return "LATEST" if latest else "PREV" if status.previous and status.previous.revision == revision else ""


def _pair(status: RolloutStatus) -> tuple[str, str]:
    """The revisions that a change splits the traffic between: the latest one, and the one rolled out before."""
    latest = status.latest_created or (status.latest.revision if status.latest else "")
    previous = status.previous.revision if status.previous else status.latest_rolledout
    return latest, previous if previous != latest else status.previous_rolledout


# --- choosing and applying ---------------------------------------------------------------------------------------


def _chooser(view: SliderView) -> str:
    state = view.state
    locked = " disabled" if _locked(view) else ""
    invalid = " aria-invalid='true'" if view.number_problem else ""
    shown = view.typed if view.number_problem else str(state.shown_percent)
    box = (
        f"<label data-key='number'>canary percent <input type='text' inputmode='numeric' autocomplete='off' "
        f"data-change='number' value='{safe(shown)}'{invalid}{locked}> %</label>"
    )
    why_not = view.unavailable
    presets = "".join(
        button("percent", f"{percent} %", value=str(percent), why_not=why_not, look="small",
               title="Moves the handle; writes nothing.") for percent in PRESETS
    )  # fmt: skip
    return f"<div class='knb-choose'>{box}{presets}</div>"


def _actions(view: SliderView) -> str:
    state = view.state
    buttons = []
    for action in traffic_change.ACTIONS:
        why_not = view.unavailable or view.blocked.get(action, "")
        label = _NAMES[action]
        if action == "back" and state.previous:
            label = f"Back to {state.previous.latest_percent} %"
        if action == "apply" and state.is_edited:
            label = f"Apply {state.draft_percent} %"
        look = "primary" if action == "apply" and not state.confirming else ""
        buttons.append(button(action, label, why_not=why_not, look=look, title=_TIPS[action]))
    return toolbar(*buttons)


def _question(view: SliderView) -> str:
    """The open question to the user, or the effect of the chosen change, in an area of constant height."""
    state = view.state
    is_open = bool(state.confirming and state.status and not view.unavailable)
    body = note("✖", view.number_problem, urgent=True) if view.number_problem else ""
    if view.unavailable:
        body = note("⊘", f"not possible: {view.unavailable}")
    elif state.confirming and state.status:
        body += _confirmation(state.confirming, state.status, again=state.confirmed_once)
    else:
        body += _message(view) + _plan(view)
    return (
        f"<div class='knb-question' data-key='question' data-open='{str(is_open).lower()}' tabindex='-1' role='group' "
        f"aria-label='what happens next'>{body}</div>"
    )


def _confirmation(change: TrafficChange, status: RolloutStatus, *, again: bool) -> str:
    second = traffic_change.second_question(change, status)
    words = second if again else traffic_change.question(change, status)
    cancel = button("cancel", "Cancel", title="Writes nothing.")
    points = traffic_change.increase(change, status)
    if again:  # the second Yes is at another place than the first one
        buttons = toolbar(cancel, button("sure", f"Yes, {points} points at once", look="caution"))
    else:
        buttons = toolbar(button("yes", "Yes, do it", look="caution"), cancel)
    return f"<div role='alert' class='knb-strong'>{safe(words)}</div>{buttons}"


def _message(view: SliderView) -> str:
    state = view.state
    shown = note(state.message.glyph, state.message.text, urgent=state.message.glyph == "✖") if state.message else ""
    if state.outcome == "conflict" and state.failed:
        overwrite = f"Overwrite: {state.failed.latest_percent} % anyway"
        buttons = (button("cancel", "Reload", title="Shows what somebody else has written."),
                   button("overwrite", overwrite, look="caution"))  # fmt: skip
        return shown + toolbar(*buttons)
    if state.queued:
        waiting = f"{draft_line(view)}. Another change takes its place"
        return shown + note("…", waiting) + toolbar(button("cancel", "Drop it"))
    return shown


def _plan(view: SliderView) -> str:
    state = view.state
    why = view.blocked.get("apply", "")
    if state.queued:
        return ""
    if not state.is_edited:
        return note("·", f"nothing to apply: {why}", soft=True) if why else ""
    if why:
        return note("⊘", f"blocked: {why}", urgent=True) + toolbar(button("cancel", "Cancel"))
    change = TrafficChange("apply", state.draft_percent)
    words = (
        f"{requested_percent(state.status)} → {change.latest_percent} %: "
        f"{traffic_change.consequence(change, state.status)}; {traffic_change.effect(change, state.status)}"
    )
    cancel = toolbar(button("cancel", "Cancel", title="Returns the handle to what is requested."))
    return note("▸", words) + ("" if state.outcome == "conflict" else cancel)


# --- how far it has come -----------------------------------------------------------------------------------------


def _steps(view: SliderView, *, is_live: bool) -> str:
    steps = view.steps or tuple(ChangeStep("open", name) for name in ("requested", "accepted", "routed", "observed"))
    items = "".join(_step(step, _measure(view) if is_live and step is steps[-1] else "") for step in steps)
    words = "" if is_live and view.state.outcome else view.phase.sentence  # a failure is shown once: below the buttons
    sentence = f"<div role='status' class='knb-message'>{safe(words)}</div>"
    return (
        f"<div data-key='steps' tabindex='-1' role='group' aria-label='how far the change has come'>"
        f"<ol class='knb-steps'>{items}</ol>{sentence}</div>"
    )


def _step(step: ChangeStep, more: str) -> str:
    value = f"<div>{safe(step.value)}</div>" if step.value else ""
    return (
        f"<li data-mark='{step.mark}'><span class='knb-strong'>{STEP_GLYPHS[step.mark]} {safe(step.name)}</span>"
        f"{value}{more}</li>"
    )


def _measure(view: SliderView) -> str:
    """The button that sends requests to find out what users get."""
    if view.sending:
        return button("stop", "Stop", look="small") + f"<div class='knb-soft'>{safe(view.sending)}</div>"
    state = view.state
    tally = state.snapshot.sample
    status = state.status
    count = 300
    if status and status.latest:
        verdict = tally.verdict() if tally else None
        count = verdict.more or 300 if verdict else needed(status.latest.percent)
    count = min(count, _MOST_REQUESTS)
    settled = state.snapshot.phase == "settled"
    why_not = "" if settled and state.snapshot.state == "live" else "Wait until the traffic is routed."
    failed = note("✖", f"Cannot send requests: {view.sending_error}", urgent=True) if view.sending_error else ""
    label = f"Measure: {count} requests"
    return (
        button(
            "measure", label, value=str(count), why_not=why_not, look="small", title="Counts which revision answers."
        )
        + failed
    )


def _details(view: SliderView) -> str:
    """The change as YAML and as a command; folded, so that it takes no space until the user opens it."""
    state = view.state
    change = state.confirming or TrafficChange("apply", state.draft_percent)
    blocked = not state.confirming and view.blocked.get("apply")
    if view.unavailable or blocked or not state.status:
        return folded("YAML and command", note("·", "no change chosen", soft=True), "details")
    diff = lines_html(compare_patch(state.snapshot.document, change.patch))
    return folded("YAML and command", diff + command(change.command(state.snapshot.name, view.namespace)), "details")


def _journal(view: SliderView) -> str:
    rows = "".join(
        f"<li><span class='knb-soft'>{clock(at)}</span> {safe(phase.sentence)}</li>"
        for at, phase in reversed(view.journal)
    )
    return (
        f"<div class='knb-journal' role='region' tabindex='0' aria-label='what happened, the newest first'>"
        f"<ol>{rows or '<li class=knb-soft>nothing happened yet</li>'}</ol></div>"
    )
