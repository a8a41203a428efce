"""The progress of a change, derived from a slider's state: one word, one sentence, and four steps. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from kserve_nb.observe.snapshot import Snapshot
from kserve_nb.values.revisions import short
from kserve_nb.values.text.foreign_text import last_line
from kserve_nb.widgets.drawing.shares import latest_share
from kserve_nb.widgets.slider.slider_state import STALLED_S, SliderState
from kserve_nb.widgets.slider.traffic_change import TrafficChange, requested_percent

PhaseWord = Literal[
    "loading", "closed", "stale", "read-only", "unavailable", "conflict", "rejected", "unknown", "confirming",
    "writing", "edited", "accepted", "routing", "stalled", "canary-failed", "settled", "verified",
]  # fmt: skip
StepMark = Literal["done", "active", "failed", "open"]
STEP_GLYPHS: Mapping[StepMark, str] = {"done": "✔", "active": "◌", "failed": "✖", "open": "·"}
_JOURNAL_KEPT = 50
_REWORDED = ("edited", "routing", "stale", "stalled", "verified")  # their sentence changes while the phase lasts


@dataclass(frozen=True)
class SliderPhase:
    """The progress of a change: one word, and the sentence for the user."""

    word: PhaseWord
    sentence: str


@dataclass(frozen=True)
class ChangeStep:
    """One of requested, accepted, routed and observed."""

    mark: StepMark
    name: str
    value: str = ""

    @property
    def words(self) -> str:
        """The step as text: `✔ routed 10 %`."""
        return f"{STEP_GLYPHS[self.mark]} {self.name}{f' {self.value}' if self.value else ''}"


Journal = tuple[tuple[float, SliderPhase], ...]


def phase_of(state: SliderState, *, read_only: str, unavailable: str) -> SliderPhase:
    """The phase of a slider: first what prevents any change, then what the user is doing, then the cluster's state."""
    return _prevented(state.snapshot, read_only, unavailable) or _user_phase(state) or _cluster_phase(state)


def steps_of(state: SliderState) -> tuple[ChangeStep, ...]:
    """How far the last change has come: requested → accepted → routed → observed."""
    snapshot = state.snapshot
    if snapshot.status is None:
        return ()
    sent = state.writing or state.failed
    shown = sent or (state.accepted if state.awaits_own_write else None)
    requested = ChangeStep(
        "done", "requested", f"{(shown.latest_percent if shown else requested_percent(snapshot.status))} %"
    )
    if shown:
        rejected = state.outcome in ("conflict", "rejected")
        accepted = (
            ChangeStep("failed", "not accepted") if rejected else ChangeStep("active" if sent else "done", "accepted")
        )
        return requested, accepted, ChangeStep("open", "routed"), ChangeStep("open", "observed")
    routed = f"{snapshot.routed.get(snapshot.status.latest_created, 0)} %"
    accepted = ChangeStep("done", "accepted")
    if snapshot.failure or snapshot.missing:
        mark: StepMark = "failed" if snapshot.failure else "active"
        return requested, accepted, ChangeStep(mark, "routed", routed), ChangeStep("open", "observed")
    return requested, accepted, ChangeStep("done", "routed", routed), _observed_step(snapshot)


def journaled(journal: Journal, at: float, phase: SliderPhase) -> Journal:
    """The journal, with one more line if the phase or its sentence has changed."""
    if phase.word == "loading" or (journal and journal[-1][1] == phase):
        return journal
    if journal and journal[-1][1].word == phase.word and phase.word in _REWORDED:
        return (*journal[:-1], (journal[-1][0], phase))
    return (*journal, (at, phase))[-_JOURNAL_KEPT:]


def _prevented(snapshot: Snapshot, read_only: str, unavailable: str) -> SliderPhase | None:
    if snapshot.state == "closed":
        return SliderPhase("closed", "this is the last state")
    if snapshot.state in ("stale", "error"):
        return SliderPhase("stale", f"the cluster does not respond: {last_line(snapshot.reason) or 'reason unknown'}")
    if snapshot.state == "loading":
        return SliderPhase("loading", "connecting to the cluster")
    if read_only:
        return SliderPhase("read-only", read_only)
    return SliderPhase("unavailable", unavailable) if unavailable else None


def _user_phase(state: SliderState) -> SliderPhase | None:
    if state.outcome:
        return SliderPhase(state.outcome, state.reason)
    if state.confirming:
        yes = "the second Yes" if state.confirmed_once else "Yes"
        return SliderPhase("confirming", f"{_words(state.confirming)} waits for {yes}")
    if state.writing:
        return SliderPhase("writing", f"{_words(state.writing)} was sent to the API server")
    if state.is_edited and not (state.queued and state.queued.latest_percent == state.draft_percent):
        return SliderPhase("edited", f"{state.draft_percent} % is not applied yet: nothing was written")
    return None


def _cluster_phase(state: SliderState) -> SliderPhase:
    snapshot = state.snapshot
    then = f"; next: {_words(state.queued)}" if state.queued else ""
    percent = requested_percent(snapshot.status)
    if state.accepted and state.awaits_own_write:
        return SliderPhase("accepted", f"the API server has stored {_words(state.accepted)}{then}")
    if snapshot.failure:
        serving = ", ".join(short(name) for name, share in sorted(snapshot.routed.items()) if share) or "no revision"
        why = last_line(snapshot.failure).rstrip(".")
        return SliderPhase("canary-failed", f"the new revision fails: {why}. Users are served by {serving}")
    if snapshot.missing and state.stalled:
        since = f"no progress for {STALLED_S:.0f} s"
        return SliderPhase("stalled", f"{since}: {snapshot.missing}. Find out why: lab.doctor()")
    if snapshot.missing:
        return SliderPhase("routing", f"{_progress(snapshot)}{then}")
    tally = snapshot.sample
    if tally and tally.verdict().word == "consistent":
        share = latest_share(tally)
        return SliderPhase(
            "verified", f"{percent} % is routed to {_latest(snapshot)}, and it answered {share} of the requests"
        )
    return SliderPhase("settled", f"{percent} % is requested and routed to {_latest(snapshot)}")


def _progress(snapshot: Snapshot) -> str:
    status = snapshot.status
    if status is None or not status.latest_created or status.latest_created != status.latest_ready:
        return f"the new revision is starting ({snapshot.missing})"
    return "Knative is switching the traffic"


def _observed_step(snapshot: Snapshot) -> ChangeStep:
    tally = snapshot.sample
    if tally and tally.alike:
        return ChangeStep("open", "observed", "cannot be seen: the revisions answer alike")
    if tally is None or not tally.split.attributed:
        return ChangeStep("open", "observed", "not measured")
    word, share = tally.verdict().word, latest_share(tally)
    if word == "consistent":
        return ChangeStep("done", "observed", share)
    if word == "not":
        return ChangeStep("failed", "observed", share)
    return ChangeStep("active", "observed", f"{share}, too few requests to tell")


def _latest(snapshot: Snapshot) -> str:
    return short(snapshot.status.latest_created) if snapshot.status else "LATEST"


def _words(change: TrafficChange) -> str:
    named = {"promote": "the promotion", "pin": "the rollback to PREV", "back": f"{change.latest_percent} % as before"}
    return named.get(change.action, f"{change.latest_percent} %")
