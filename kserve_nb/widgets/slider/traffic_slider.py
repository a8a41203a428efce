"""Choose a canary percent, apply it, and see how far the cluster has come."""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import traitlets as T  # noqa: N812 - short, as traits fill these lines

from kserve_nb.observe.snapshot import Snapshot
from kserve_nb.rollout.errors import NotPossibleError
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.values.rollout_status import RolloutStatus
from kserve_nb.widgets.request_sender import RequestSender
from kserve_nb.widgets.sheet.rollout_widget import RolloutWidget
from kserve_nb.widgets.sheet.sheet import Handler
from kserve_nb.widgets.slider import slider_card, slider_phase, slider_text, traffic_change
from kserve_nb.widgets.slider.change_writer import ChangeWriter
from kserve_nb.widgets.slider.slider_phase import Journal, SliderPhase
from kserve_nb.widgets.slider.slider_state import Message, SliderState
from kserve_nb.widgets.slider.slider_view import SliderView
from kserve_nb.widgets.slider.traffic_change import ACTIONS, Action, TrafficChange

_WHOLE = re.compile(r"\s*(\d{1,3})\s*%?\s*")


class TrafficSlider(RolloutWidget):
    """Choose a canary percent, apply it, and see how far the cluster has come.

    Moving the handle (by mouse, arrow keys, number or preset) writes nothing and shows what Apply would do. Apply asks
    for confirmation; Yes writes. In code: `slider.value = 20`, then `slider.apply(confirm=True)`; likewise `promote`,
    `pin` and `back`. A change confirmed by button waits while an earlier one is under way; Pin previous, and changes
    in code, are written immediately. `close()` stops updating and leaves the last state.

    >>> slider = TrafficSlider(rollout)
    >>> slider.value = 20
    >>> slider.close()
    """

    value = T.Int(100, min=0, max=100)  # the percent of the handle: not applied yet
    status: RolloutStatus | None = T.Instance(RolloutStatus, allow_none=True)  # type: ignore[assignment]  # a trait

    def __init__(self, rollout: Rollout):
        self._rollout = rollout
        self._state = SliderState(Snapshot(rollout.name))
        self._journal: Journal = ()
        self._number_problem = ""  # what is wrong with the number typed last
        self._typed = ""
        self._writer = ChangeWriter(rollout)
        self._sender: RequestSender | None = None
        super().__init__(rollout)
        self._sender = RequestSender(rollout, self._subscription.feed, self.redraw)
        self.redraw()

    # --- the buttons, in code ------------------------------------------------------------------------------------

    def apply(self, confirm: bool = False) -> RolloutStatus | None:
        """Press Apply. With `confirm` also press Yes: write the change, and raise if the cluster refuses it."""
        return self._act("apply", confirm)

    def promote(self, confirm: bool = False) -> RolloutStatus | None:
        """Press Promote: all traffic goes to the latest revision. With `confirm` also press Yes."""
        return self._act("promote", confirm)

    def pin(self, confirm: bool = False) -> RolloutStatus | None:
        """Press Pin previous: all traffic returns to the previous revision. With `confirm` also press Yes."""
        return self._act("pin", confirm)

    def back(self, confirm: bool = False) -> RolloutStatus | None:
        """Press Back: return to the percent requested before the current one. With `confirm` also press Yes."""
        return self._act("back", confirm)

    def cancel(self) -> None:
        """Return the handle to what is requested; drop the question and a change that waits for its turn."""
        self._number_problem = ""
        self._change_state(SliderState.cancelled)

    def overwrite(self) -> RolloutStatus:
        """After a conflict: write the change, and overwrite the change of the other user."""
        return self._write(self._conflicting(), None)

    # --- what it shows -------------------------------------------------------------------------------------------

    @property
    def phase(self) -> SliderPhase:
        """The progress of the change: one word and one sentence."""
        return self._view().phase

    @property
    def text(self) -> str:
        """The split, the progress of the change, and what happened, line by line."""
        return slider_text.text(self._view())

    @property
    def json(self) -> dict[str, Any]:
        """The snapshot and the change as dicts and lists."""
        return slider_text.as_json(self._view())

    def close(self) -> None:
        """Stop updating; the last state stays visible. Waits for a write that is under way."""
        sender, writer = self.__dict__.get("_sender"), self.__dict__.get("_writer")
        if sender is not None:  # ipywidgets also closes widgets whose __init__ failed
            sender.close()
        if writer is not None:
            self._change_state(lambda state: replace(state, queued=None))
            writer.close()
        super().close()

    def _picture(self) -> str:
        return slider_card.html(self._view())

    def _draw(self) -> str:
        return slider_card.html(self._view(), is_live=True)

    def _view(self) -> SliderView:
        with self._lock:
            state, absent = self._state, self._absent()
            read_only = self._rollout.read_only
            unavailable = traffic_change.unavailable(
                state.snapshot, state.status, synced=state.synced, read_only=read_only, absent=absent)  # fmt: skip
            return SliderView(
                state=state,
                phase=slider_phase.phase_of(state, read_only=read_only, unavailable=unavailable),
                steps=slider_phase.steps_of(state),
                unavailable=unavailable,
                blocked=self._blocked(unavailable),
                journal=self._journal,
                absent=absent,
                namespace=self._rollout.client.namespace,
                number_problem=self._number_problem,
                typed=self._typed,
                sending=self._sender.progress if self._sender else "",
                sending_error=self._sender.error if self._sender else "",
            )

    def _absent(self) -> str:
        name = self._rollout.name
        if not self._state.synced:
            return f"{name}: not seen yet"
        return f"{name}: there is no such InferenceService in namespace {self._rollout.client.namespace}"

    def _blocked(self, unavailable: str) -> Mapping[Action, str]:
        if unavailable:
            return dict.fromkeys(ACTIONS, unavailable)
        state = self._state
        return traffic_change.blocked(state.snapshot, state.status, state.draft_percent, state.previous)

    # --- how its state changes -----------------------------------------------------------------------------------

    def _change_state(self, transition: Any) -> None:
        """Replace the state by `transition(state)`, and redraw everything that shows it."""
        with self._lock:
            self._state = transition(self._state)
            self.set_trait("snapshot", self._state.snapshot)
            self.set_trait("status", self._state.status)
            self.value = self._state.draft_percent
            self._journal = slider_phase.journaled(self._journal, time.time(), self.phase)
            self.redraw()

    def _on_snapshot(self, snapshot: Snapshot) -> None:
        with self._lock:
            self._change_state(lambda state: state.seen(snapshot, time.monotonic()))
            queued, next_ = self._state.queued, self._state.queue_next
            if queued and next_ == "write":
                self._start_write(queued, self._state.decided_on)
            elif next_ == "drop":
                self._change_state(SliderState.dropped)

    @T.observe("value")
    def _on_value(self, change: Any) -> None:
        with self._lock:
            if change["new"] != self._state.draft_percent:
                self._number_problem = ""
                self._change_state(lambda state: state.edited(change["new"]))

    def _act(self, action: Action, confirm: bool) -> RolloutStatus | None:
        with self._lock:
            state = self._state
            if action == "back" and state.previous is None:
                raise NotPossibleError(f"{self._rollout.name}: this slider has seen no earlier split of this model.")
            change = traffic_change.change_of(action, state.draft_percent, state.previous)
            if not confirm:
                if why := self._view().blocked.get(action):
                    raise NotPossibleError(f"{self._rollout.name}: Cannot {action}: {why}.")
                self._change_state(lambda state: state.proposed(change))
                return None
        return self._write(change, state.decided_on)

    def _conflicting(self) -> TrafficChange:
        state = self._state
        if state.outcome != "conflict" or state.failed is None:
            raise NotPossibleError(f"{self._rollout.name}: Cannot overwrite: there is no conflict.")
        return state.failed

    def _write(self, change: TrafficChange, decided_on: RolloutStatus | None) -> RolloutStatus:
        """Write a change and wait for the answer. Raises if the cluster refuses it."""
        self._change_state(lambda state: state.sent(change))
        return self._finish_write(change, decided_on)

    def _start_write(self, change: TrafficChange, decided_on: RolloutStatus | None) -> None:
        """Write a change in the background: the view shows at once that it is being written."""
        self._change_state(lambda state: state.sent(change))
        self._writer.start(self._finish_write, change, decided_on, on_error=self._on_background_error)

    def _finish_write(self, change: TrafficChange, decided_on: RolloutStatus | None) -> RolloutStatus:
        before = self._state.status
        try:
            status = self._writer.write(change, decided_on)
        except Exception as error:
            failure = error
            self._change_state(lambda state: state.write_failed(change, failure))
            if self._state.outcome == "unknown" and self._state.failed == change:
                self._writer.start(self._find_out, change, before, on_error=self._on_background_error)
            raise
        self._change_state(lambda state: state.stored(change, status))
        return status

    def _find_out(self, change: TrafficChange, before: RolloutStatus | None) -> None:
        status = self._writer.find_out(change, before)
        with self._lock:
            if self._state.failed != change:
                return
            if status is not None:
                found = status
                self._change_state(lambda state: state.stored(change, found))
            else:
                self._change_state(lambda state: state.not_stored(change))

    def _on_background_error(self, error: Exception) -> None:
        if not self._state.outcome:
            self._change_state(lambda state: replace(state, message=Message("✖", f"{error}")))

    # --- what the user does in the browser -----------------------------------------------------------------------

    def _handlers(self) -> Mapping[str, Handler]:
        actions: dict[str, Handler] = {
            action: functools.partial(self._on_action, action) for action in ACTIONS
        }  # fmt: skip
        return {
            **actions, "percent": self._on_percent, "number": self._on_number, "yes": self._on_yes,
            "sure": self._on_sure, "cancel": self._on_cancel, "overwrite": self._on_overwrite,
            "measure": self._on_measure, "stop": self._on_stop,
        }  # fmt: skip

    def _on_percent(self, value: str) -> None:
        self._number_problem = ""
        self.value = int(value)
        self.redraw()

    def _on_number(self, value: str) -> None:
        """Use a whole number from the number box; for any other text, show why it is not valid."""
        typed = _WHOLE.fullmatch(value)
        self._typed = value
        if typed and int(typed[1]) <= 100:
            self._number_problem = ""
            self.value = int(typed[1])
        else:
            self._number_problem = (
                f"'{value[:20]}' is not a whole number from 0 to 100. KServe takes whole percents only."
            )
        self.redraw()

    def _on_action(self, action: Action, _value: str) -> None:
        getattr(self, action)()

    def _on_yes(self, _value: str) -> None:
        with self._lock:
            if not self._state.confirmed_once:  # a double click on the first Yes does not count as the second Yes
                self._confirm()

    def _on_sure(self, _value: str) -> None:
        with self._lock:
            if self._state.confirmed_once:
                self._confirm()

    def _confirm(self) -> None:
        state = self._state
        if state.after_yes == "confirm again":
            self._change_state(SliderState.confirmed_first)
            self.move_focus("question")
            return
        if state.after_yes == "queue":
            self._change_state(SliderState.enqueued)
        elif state.after_yes == "write" and state.confirming:
            self._start_write(state.confirming, None if state.writing else state.decided_on)
        self.move_focus("steps")

    def _on_cancel(self, _value: str) -> None:
        self.cancel()
        self.move_focus("percent")

    def _on_overwrite(self, _value: str) -> None:
        self._start_write(self._conflicting(), None)
        self.move_focus("steps")

    def _on_measure(self, value: str) -> None:
        if self._sender is not None and self.snapshot.state == "live":
            self._sender.start(int(value))

    def _on_stop(self, _value: str) -> None:
        if self._sender is not None:
            self._sender.stop()
