"""The frame around a picture: the card, and the reason if the picture is not live."""

from __future__ import annotations

from kserve_nb.observe.snapshot import Snapshot, clock
from kserve_nb.values.text.foreign_text import last_line
from kserve_nb.widgets.drawing.markup import note, safe

CARD_PADDING = 28  # px left and right of a picture within its card


def card(snapshot: Snapshot, title: str, body: str, aside: str = "") -> str:
    """A picture with its title, and below it the reason if it is not live; grey if it is out of date.

    Args:
        aside: HTML beside the title, such as a chip.
    """
    state = state_line(snapshot)
    stale = " knb-stale" if snapshot.state in ("stale", "error") else ""
    head = f"<div class='knb-head'><span class='knb-title'>{safe(title)}</span>{aside}</div>"
    foot = note(state[0], state[2:], urgent=snapshot.state in ("stale", "error")) if state else ""
    return f"<div class='knb-part{stale}' data-key='picture'>{head}{body}</div>{foot}"


def state_line(snapshot: Snapshot) -> str:
    """Why a snapshot is not live, after a glyph; empty if it is live."""
    why = f": {last_line(snapshot.reason)}" if snapshot.reason else ""
    if snapshot.state == "loading":
        return "… connecting to the cluster"
    if snapshot.state == "closed":
        return "· closed: this is the last state. Run the cell again for a live view"
    if snapshot.state == "stale" and not snapshot.at:
        return f"✖ the cluster has not answered yet{why}"
    if snapshot.state == "stale":
        return f"✖ out of date: no answer for {snapshot.age_s} s, last state from {clock(snapshot.at)}{why}"
    return f"✖ not live{why}" if snapshot.state == "error" else ""


def with_state(snapshot: Snapshot, text: str) -> str:
    """Text, and below it the reason if it is not live."""
    state = state_line(snapshot) if snapshot.state in ("stale", "error") else ""
    return f"{text}\n{state}" if state else text


def revision_role(snapshot: Snapshot, revision: str) -> str:
    """The role of a revision in the traffic list: LATEST, PREV or both; empty if the list does not name it."""
    status = snapshot.status
    latest, previous = (status.latest, status.previous) if status else (None, None)
    named = (("PREV", previous), ("LATEST", latest))
    return "+".join(word for word, target in named if target and target.revision == revision)
