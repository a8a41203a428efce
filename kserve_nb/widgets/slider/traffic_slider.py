"""Choose a canary percent, apply it, and see what the cluster answered."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import ipywidgets as W  # noqa: N812 - short, as traits and widgets fill these lines
import traitlets as T  # noqa: N812 - as above

from kserve_nb.observe.snapshot import Snapshot
from kserve_nb.rollout.errors import NotPossibleError
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.values.rollout_status import RolloutStatus
from kserve_nb.widgets.drawing import markup
from kserve_nb.widgets.feed.rollout_feed import Seat, faces_of, leave
from kserve_nb.widgets.slider import slider_order, slider_state, slider_text
from kserve_nb.widgets.slider.slider_controls import Controls
from kserve_nb.widgets.slider.slider_order import VERBS, Order, Verb, asked_share
from kserve_nb.widgets.slider.slider_orders import Orders
from kserve_nb.widgets.slider.slider_state import State, Story, Wish
from kserve_nb.widgets.slider.slider_text import Face


def _said(callback: Callable[..., None]) -> Callable[..., None]:
    """A callback has no cell to raise into: what it raises is said in the view."""

    @functools.wraps(callback)
    def run(self: TrafficSlider, *args: Any) -> None:
        try:
            callback(self, *args)
        except Exception as error:
            self._say("✖", f"{error}")

    return run


class TrafficSlider(W.VBox):  # type: ignore[misc]  # ipywidgets ships no types
    """Choose a canary percent, apply it, and see what the cluster answered.

    A drag (or an arrow key, a number, a preset) asks nothing, and shows what Apply would do. Apply asks whether to; Yes
    writes it. In code: `slider.value = 20`, then `slider.apply(confirm=True)`; likewise `promote`, `pin` and `back`.
    A hand's order waits while an earlier one is under way; Pin previous, and code, write at once.
    `close()` ends the watch and leaves the last picture.

    >>> slider = TrafficSlider(rollout)
    >>> slider.value = 20
    >>> slider.close()
    """

    value = T.Int(100, min=0, max=100)  # what the handle shows: a wish
    status: RolloutStatus | None = T.Instance(RolloutStatus, allow_none=True)  # type: ignore[assignment]  # observed
    snapshot: Snapshot = T.Instance(Snapshot, ("",))  # type: ignore[assignment]  # what the status was seen in

    def __init__(self, rollout: Rollout):
        self._rollout = rollout
        self._looked = False  # whether the cluster has been seen
        self._followed = self.value  # the percent that the handle last took from the cluster
        self._story: Story = ()
        self._controls = Controls()
        self._orders = Orders(rollout, self._say, self._on_landed)
        super().__init__(self._controls.rows())
        self._connect()
        self._show()
        self._seat = Seat(rollout, self._take)

    # --- what a button does, in code -----------------------------------------------------------------------------

    def apply(self, confirm: bool = False) -> RolloutStatus | None:
        """What Apply does; with `confirm` also what Yes does: asks the cluster, and raises what it refuses."""
        return self._order("apply", confirm)

    def promote(self, confirm: bool = False) -> RolloutStatus | None:
        """What Promote does, and with `confirm` Yes: all users get the latest revision."""
        return self._order("promote", confirm)

    def pin(self, confirm: bool = False) -> RolloutStatus | None:
        """What Pin previous does, and with `confirm` Yes: all users get the previous revision back."""
        return self._order("pin", confirm)

    def back(self, confirm: bool = False) -> RolloutStatus | None:
        """What Back does, and with `confirm` Yes: the percent that was asked before this one."""
        return self._order("back", confirm)

    def cancel(self) -> None:
        """Forget the wish, and what waits for its turn: the handle goes back to what is asked of the cluster."""
        self._orders.forget()
        self._controls.say("")
        if self.status is not None:
            self.value = asked_share(self.status)
        self._show()

    def overwrite(self) -> RolloutStatus:
        """After a conflict: write the order all the same, over what somebody else wrote."""
        return self._orders.write(self._orders.contested(), None)

    def _order(self, verb: Verb, confirm: bool) -> RolloutStatus | None:
        before = self._orders.before
        self._controls.say("")
        if verb == "back" and before is None:
            raise NotPossibleError(f"{self._rollout.name}: no other split of this model was seen to go back to.")
        order = slider_order.order_of(verb, self.value, before)
        if confirm:
            return self._orders.write(order, self._orders.decided_on())
        if why := self._blocked().get(verb):
            raise NotPossibleError(f"{self._rollout.name}: {verb} is blocked: {why}")
        self._orders.ask(order)
        self._show()
        return None

    # --- what it says --------------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """Where the wish stands: one word, and a sentence."""
        return slider_state.state_of(self.snapshot, self._wish(), self._rollout.read_only, self._locked())

    @property
    def text(self) -> str:
        """What is asked and seen, where the wish stands, and what happened, line by line."""
        return slider_text.text(self._face())

    @property
    def html(self) -> str:
        """What is asked and seen, as HTML."""
        return slider_text.html(self._face())

    @property
    def json(self) -> dict[str, Any]:
        """All that is known, and the wish, as JSON's own types."""
        return slider_text.as_json(self._face())

    def close(self) -> None:
        """Stop following; what was seen last stays in view, and says that it is no longer live."""
        if "_orders" in self.__dict__:  # ipywidgets closes what could not be made as well
            self._orders.close()
        leave(self)

    # --- what happens --------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        shown = self._controls
        T.link((self, "value"), (shown.handle, "value"))
        T.link((self, "value"), (shown.number, "value"))
        for percent, button in shown.presets.items():
            button.on_click(functools.partial(self._on_preset, percent))
        for verb, button in zip(VERBS, (shown.apply, shown.promote, shown.pin, shown.back), strict=True):
            button.on_click(functools.partial(self._on_order, verb))
        shown.yes.on_click(functools.partial(self._on_yes, False))
        shown.sure.on_click(functools.partial(self._on_yes, True))
        shown.overwrite.on_click(self._on_overwrite)
        for button in (shown.cancel, shown.reload, shown.drop):
            button.on_click(self._on_cancel)
        self.observe(self._on_value, "value")
        self.observe(self._on_status, "status")

    @_said
    def _on_preset(self, percent: int, _button: W.Button) -> None:
        self.value = percent

    @_said
    def _on_order(self, verb: Verb, _button: W.Button) -> None:
        getattr(self, verb)()

    @_said
    def _on_yes(self, sure: bool, _button: W.Button) -> None:
        self._orders.confirm(sure=sure)
        self._show()

    @_said
    def _on_overwrite(self, _button: W.Button) -> None:
        self._orders.overwrite()
        self._show()

    @_said
    def _on_cancel(self, _button: W.Button) -> None:
        self.cancel()

    @_said
    def _on_value(self, _change: Any) -> None:
        with self._orders.lock:
            self._controls.say("")
            self._orders.wish = self._orders.wish.moved(self.value, is_open=self._wishes())
            self._show()

    @_said
    def _on_status(self, _change: Any) -> None:
        with self._orders.lock:
            asking, untouched = self._orders.wish.asking, self.value == self._followed
            if self.status is not None:
                self._followed = asked_share(self.status)
                if untouched:
                    self.value = self._followed
            self._orders.follow(self.status, asking)
            self._show()

    def _on_landed(self, order: Order, status: RolloutStatus) -> None:
        """Our own write is in the cluster: the handle stands where it leads to, unless it was moved on."""
        if not self._is_older(status):
            self.status = status
        if order.verb != "apply" and self._orders.wish.queued is None:
            self.value = order.share

    @_said
    def _take(self, snapshot: Snapshot) -> None:
        with self._orders.lock:
            self.snapshot = snapshot
            if snapshot.state == "live":
                self._looked = True
                if not self._is_older(snapshot.status):
                    self.status = snapshot.status
            self._orders.see(snapshot, time.monotonic())
            self._show()  # the first look may find what was assumed: nothing

    # --- what is shown ------------------------------------------------------------------------------------------

    def _show(self) -> None:
        with self._orders.lock:
            face = self._face()
            self._story = slider_state.told(self._story, time.time(), face.state)
            self._controls.show(replace(face, story=self._story), self._rollout.client.namespace, self._orders.before)

    def _say(self, glyph: str, words: str) -> None:
        self._controls.say(markup.note(glyph, words, urgent=glyph == "✖"))
        self._show()

    def _face(self) -> Face:
        with self._orders.lock:
            wish, locked = self._wish(), self._locked()
            steps = slider_state.steps_of(self.snapshot, wish)
            return Face(self.snapshot, self.status, wish, self.state, steps, locked, self._blocked(), self._story,
                        self._nothing())  # fmt: skip

    def _wish(self) -> Wish:
        return replace(self._orders.wish, percent=self.value, open=self._wishes())

    def _wishes(self) -> bool:
        return self.status is not None and self.value != asked_share(self.status)

    def _locked(self) -> str:
        return slider_order.locked(self.snapshot, self.status, looked=self._looked, read_only=self._rollout.read_only,
                                   nothing=self._nothing())  # fmt: skip

    def _blocked(self) -> Mapping[Verb, str]:
        if locked := self._locked():
            return dict.fromkeys(VERBS, locked)
        return slider_order.blocked(self.snapshot, self.status, Order("apply", self.value), self._orders.before)

    def _nothing(self) -> str:
        name = self._rollout.name
        return f"{name}: there is none in {self._rollout.client.namespace}" if self._looked else f"{name}: not seen yet"

    def _is_older(self, seen: RolloutStatus | None) -> bool:
        """Whether it was under way when our own write came back."""
        now = self.status
        return bool(now and seen and now.uid == seen.uid and seen.generation < now.generation)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        return faces_of(self, super()._repr_mimebundle_(**kwargs))
