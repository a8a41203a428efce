"""One line with the most important facts: which cluster and rollout, and the requested, routed and observed percent."""

from __future__ import annotations

from kserve_nb.observe.snapshot import Snapshot
from kserve_nb.values.revisions import short
from kserve_nb.values.text.foreign_text import last_line
from kserve_nb.widgets.drawing.frame import card, with_state
from kserve_nb.widgets.drawing.markup import chip, safe
from kserve_nb.widgets.drawing.shares import failed_text, latest_share
from kserve_nb.widgets.sheet.rollout_widget import RolloutWidget

GLYPHS = {"settled": "✔", "moving": "◌", "failed": "✖", "absent": "·", "not seen yet": "…"}
_LOOKS = {"settled": "good", "failed": "bad"}


class StatusLine(RolloutWidget):
    """The requested, routed and observed percent in one line, live until `close()`."""

    @property
    def text(self) -> str:
        """The line as text."""
        return text(self.snapshot)

    def _picture(self) -> str:
        return html(self.snapshot)


def text(snapshot: Snapshot) -> str:
    """The line, and below it the reason if it is not live."""
    why = why_unsettled(snapshot)
    phase = f"{GLYPHS[snapshot.phase]} {headline(snapshot)}" + (f": {why}" if why else "")
    return with_state(snapshot, " · ".join([_place(snapshot), phase, *_percents(snapshot)]))


def html(snapshot: Snapshot) -> str:
    """The status line as a card."""
    why = why_unsettled(snapshot)
    rest = "".join(f"<div>{safe(words)}</div>" for words in (*_percents(snapshot), why) if words)
    return card(snapshot, _place(snapshot), f"<div role='status' class='knb-facts'>{rest}</div>", phase_chip(snapshot))


def phase_chip(snapshot: Snapshot) -> str:
    """The phase of the rollout, as a chip."""
    return chip(GLYPHS[snapshot.phase], headline(snapshot), _LOOKS.get(snapshot.phase, ""))


def headline(snapshot: Snapshot) -> str:
    """The split as the columns of `kubectl get isvc` have it, and whether it is settled: `90/10 settled`."""
    status = snapshot.status
    if status is None:
        return "no InferenceService" if snapshot.phase == "absent" else "not seen yet"
    if status.latest is None:
        split = "no traffic yet,"
    elif status.previous:
        split = f"{status.previous.percent}/{status.latest.percent}"
    else:
        split = f"{status.latest.percent} % {short(status.latest.revision)}"
    return f"{split} {snapshot.phase}"


def why_unsettled(snapshot: Snapshot) -> str:
    """What the rollout is waiting for, or why it failed; empty if it is settled."""
    return last_line(snapshot.failure)[:240] or snapshot.missing


def _place(snapshot: Snapshot) -> str:
    return f"{snapshot.source} {snapshot.namespace}/{snapshot.name}"


def _percents(snapshot: Snapshot) -> tuple[str, ...]:
    if snapshot.status is None:
        return ()
    percent = snapshot.status.requested_percent
    routed = snapshot.routed.get(snapshot.status.latest_created, 0)
    requested = f"requested {100 if percent is None else percent} %"
    return (
        " → ".join(
            [requested, f"routed {routed} %" if snapshot.status.latest else "routed: none", _observed(snapshot)]
        ),
    )


def _observed(snapshot: Snapshot) -> str:
    tally = snapshot.sample
    if tally is None:
        return "observed: not measured"
    if tally.alike:
        return f"observed: cannot be seen, the revisions answer alike · {failed_text(tally.split)}"
    word = {"consistent": "verified", "not": "not the routed percent", "too few": "too few requests to tell"}
    return f"observed {latest_share(tally)}, {word[tally.verdict().word]} · {failed_text(tally.split)}"
