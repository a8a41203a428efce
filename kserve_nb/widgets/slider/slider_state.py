"""The state of a traffic slider: an immutable value with one method for each possible transition. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from kserve_nb.access.api_client import UNREACHABLE, RefusedError
from kserve_nb.observe.snapshot import Snapshot
from kserve_nb.rollout import progress
from kserve_nb.rollout.errors import ChangedError
from kserve_nb.values.rollout_status import RolloutStatus
from kserve_nb.widgets.slider.traffic_change import TrafficChange, requested_percent, second_question

STALLED_S = 60.0  # without progress, after which the slider points to the doctor
Outcome = Literal["", "conflict", "rejected", "unknown"]
Next = Literal["wait", "confirm again", "queue", "write", "drop"]


@dataclass(frozen=True)
class Message:
    """One line for the user: a glyph and a sentence."""

    glyph: str
    text: str


@dataclass(frozen=True)
class SliderState:
    """The last snapshot of the cluster, the percent of the handle, and the changes under way.

    A change goes through `confirming`, then perhaps `queued`, then `writing`, and ends as `accepted`, or as `failed`
    with an `outcome`.
    """

    snapshot: Snapshot
    status: RolloutStatus | None = None  # the newest one: after a write it is newer than the snapshot
    synced: bool = False  # whether the cluster has been read
    draft_percent: int = 100  # the percent of the handle
    base_percent: int = 100  # the requested percent when the handle last followed the cluster
    confirming: TrafficChange | None = None  # what Yes would write
    confirmed_once: bool = False  # the first Yes of two
    decided_on: RolloutStatus | None = None  # what the user saw when the change was chosen
    queued: TrafficChange | None = None  # is written once the traffic has moved
    writing: TrafficChange | None = None  # sent, not answered yet
    accepted: TrafficChange | None = None  # the last one that the API server has stored
    accepted_edition: tuple[str, int] = ("", 0)  # the edition of the spec after that write
    outcome: Outcome = ""  # how the last write failed
    failed: TrafficChange | None = None  # the change that failed
    reason: str = ""  # why, in the cluster's words
    previous: TrafficChange | None = None  # the split before the current one, for Back
    waiting_since_s: float = 0.0  # how long the snapshot's `left` has been the same
    stalled: bool = False
    message: Message | None = None

    # --- derived values ------------------------------------------------------------------------------------------

    @property
    def is_edited(self) -> bool:
        """Whether the handle differs from what the spec requests."""
        return self.status is not None and self.draft_percent != requested_percent(self.status)

    @property
    def shown_percent(self) -> int:
        """The percent to show at the handle: the percent of the change to confirm, if there is one."""
        return self.confirming.latest_percent if self.confirming else self.draft_percent

    @property
    def awaits_own_write(self) -> bool:
        """Whether the watch has not delivered our own last write yet."""
        uid, generation = self.accepted_edition
        seen = self.snapshot.status
        return seen is not None and seen.uid == uid and seen.generation < generation

    @property
    def is_under_way(self) -> bool:
        """Whether an earlier change is not routed yet, but may still be routed."""
        if self.writing or self.awaits_own_write:
            return True
        return bool(self.snapshot.missing) and not self.snapshot.failure and not self.stalled

    @property
    def after_yes(self) -> Next:
        """The state after the first Yes: a second question, a place in the queue, or a write."""
        if self.confirming is None or self.status is None:
            return "wait"
        if second_question(self.confirming, self.status) and not self.confirmed_once:
            return "confirm again"
        # Pin does not wait: it takes users away from a revision that may be bad.
        return "queue" if self.confirming.action != "pin" and self.is_under_way else "write"

    @property
    def queue_next(self) -> Next:
        """The next state of the queued change."""
        if self.queued is None or self.snapshot.state != "live" or self.is_under_way:
            return "wait"
        return "drop" if self.snapshot.failure or self.stalled else "write"

    # --- what the user does --------------------------------------------------------------------------------------

    def edited(self, percent: int) -> SliderState:
        """The state after the handle was moved: question, failure and message about the old position are gone."""
        return replace(self._cleared(), draft_percent=percent, message=None)

    def proposed(self, change: TrafficChange) -> SliderState:
        """The state after a button was pressed: the change waits for Yes."""
        return replace(self._cleared(), confirming=change, decided_on=self.status, message=None)

    def confirmed_first(self) -> SliderState:
        """The state after the first Yes of two."""
        return replace(self, confirmed_once=True)

    def enqueued(self) -> SliderState:
        """The state after a change was confirmed during an earlier one: it waits. At most one change can wait."""
        return replace(self._cleared(), queued=self.confirming)

    def cancelled(self) -> SliderState:
        """The state after Cancel: the handle is at the requested percent, without question and queued change."""
        cleared = replace(self._cleared(), queued=None, decided_on=None, message=None)
        return replace(cleared, draft_percent=requested_percent(self.status)) if self.status else cleared

    # --- what becomes of a write ---------------------------------------------------------------------------------

    def sent(self, change: TrafficChange) -> SliderState:
        """The state after a change was sent; it replaces a queued one."""
        message = Message("…", f"requesting {change.latest_percent} %")
        return replace(self._cleared(), writing=change, queued=None, decided_on=None, message=message)

    def stored(self, change: TrafficChange, status: RolloutStatus) -> SliderState:
        """The state after the API server has stored the change."""
        state = replace(
            self,
            writing=None if self.writing == change else self.writing,
            accepted=change, accepted_edition=status.edition, outcome="", failed=None, reason="",
            decided_on=(self.decided_on or status) if self.queued else self.decided_on,
        )  # fmt: skip
        if not state.is_outdated(status):
            state = state._with_status(status)
        if change.action != "apply" and state.queued is None:
            state = replace(state._cleared(), draft_percent=change.latest_percent)
        return replace(state, message=Message("✔", f"the spec requests {change.latest_percent} %"))

    def write_failed(self, change: TrafficChange, error: Exception) -> SliderState:
        """The state after a failed write: the change was not stored, or the answer was lost."""
        if self.writing != change:  # a later change has replaced it
            return self
        if isinstance(error, ChangedError):
            return self._failed("conflict", change, f"{error}", f"not applied: {error}")
        if isinstance(error, RefusedError) and error.reason == UNREACHABLE:
            reason = f"it is not known whether {change.latest_percent} % was stored: {error}"
            return self._failed("unknown", change, f"{error}", reason)
        explain = f"not applied: {f'{error}'.rstrip('.')}. Explain it: lab.doctor(error=…)"
        return self._failed("rejected", change, f"{error}", explain)

    def not_stored(self, change: TrafficChange) -> SliderState:
        """The state after a lost answer, if the change was not stored."""
        message = Message("✖", f"{change.latest_percent} % was not stored. Apply it again, or cancel.")
        return replace(self._cleared(), message=message)

    def dropped(self) -> SliderState:
        """The state without the queued change, which is dropped because the change before it failed or stalled."""
        percent = self.queued.latest_percent if self.queued else 0
        message = Message("✖", f"{percent} % was not requested: the change before it was not completed")
        return replace(self, queued=None, message=message)

    # --- snapshots of the cluster --------------------------------------------------------------------------------

    def seen(self, snapshot: Snapshot, now_s: float) -> SliderState:
        """The state after a new snapshot of the cluster."""
        since = self.waiting_since_s if snapshot.missing == self.snapshot.missing else now_s
        stalled = bool(snapshot.missing) and now_s - since >= STALLED_S
        state = replace(self, snapshot=snapshot, waiting_since_s=since, stalled=stalled)
        if snapshot.state == "live":
            state = replace(state, synced=True)
            if not state.is_outdated(snapshot.status):
                state = state._with_status(snapshot.status)
        if snapshot.state == "closed":
            state = replace(state._cleared(), queued=None, decided_on=None)
        return state

    def is_outdated(self, status: RolloutStatus | None) -> bool:
        """Whether a status is older than our own last write."""
        known = self.status
        return bool(known and status and known.uid == status.uid and status.generation < known.generation)

    def _with_status(self, status: RolloutStatus | None) -> SliderState:
        known, confirming, state = self.status, self.confirming, replace(self, status=status)
        if status is None:
            return replace(state._cleared(), previous=None, queued=None, decided_on=None)
        base = requested_percent(status)
        if (
            self.draft_percent == self.base_percent and base != self.draft_percent
        ):  # the handle was not moved: it follows
            state = replace(state._cleared(), draft_percent=base, message=None)
        state = replace(state, base_percent=base)
        return state if known is None or known.edition == status.edition else state._changed(known, status, confirming)

    def _changed(self, known: RolloutStatus, status: RolloutStatus, confirming: TrafficChange | None) -> SliderState:
        """The state after the spec was changed, by our own write or by another user."""
        state = self._remembering(known, status)
        writing = state.writing
        if status.edition == state.accepted_edition or (writing and writing.percent == status.requested_percent):
            return replace(state, decided_on=status if state.decided_on else None)
        difference = progress.rewritten(known, status)
        if confirming:
            return state._failed("conflict", confirming, difference, f"not applied: {difference}")
        return replace(state, message=Message("·", difference)) if state.is_edited and not state.outcome else state

    def _remembering(self, known: RolloutStatus, status: RolloutStatus) -> SliderState:
        """The state that remembers the split for Back. The percent of another model's canary is not remembered."""
        if (known.uid, known.model) != (status.uid, status.model):
            return replace(self, previous=None)
        if known.requested_percent != status.requested_percent:
            return replace(self, previous=TrafficChange("back", known.requested_percent))
        return self

    def _failed(self, outcome: Outcome, change: TrafficChange, reason: str, message: str) -> SliderState:
        return replace(
            self._cleared(), writing=None, queued=None, decided_on=None, outcome=outcome, failed=change, reason=reason,
            message=Message("✖", message),
        )  # fmt: skip

    def _cleared(self) -> SliderState:
        """The state without question and failure; changes that were sent or queued stay."""
        return replace(self, confirming=None, confirmed_once=False, outcome="", failed=None, reason="")
