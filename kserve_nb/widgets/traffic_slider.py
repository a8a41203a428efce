"""Choose a canary percent, apply it, and see what the cluster answered."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import asdict
from html import escape
from typing import Any

import ipywidgets as W  # noqa: N812 - short, as traits and widgets fill these lines
import traitlets as T  # noqa: N812 - as above

from kserve_nb import kserve_versions, manifest, render
from kserve_nb.model import RolloutStatus
from kserve_nb.rollout import ChangedError, Rollout
from kserve_nb.snapshot import Snapshot
from kserve_nb.widgets import faces
from kserve_nb.widgets.draw import framed, with_state
from kserve_nb.widgets.live import Seat, faces_of, leave
from kserve_nb.widgets.slider_state import State, Wish, state_of


def _said(callback: Callable[..., None]) -> Callable[..., None]:
    """A callback has no cell to raise into: what it raises is said in the view."""

    @functools.wraps(callback)
    def run(self: TrafficSlider, *args: Any) -> None:
        try:
            callback(self, *args)
        except Exception as error:
            self._say("✖", f"{error}", urgent=True)

    return run


class TrafficSlider(W.VBox):  # type: ignore[misc]  # ipywidgets ships no types
    """Choose a canary percent, apply it, and see what the cluster answered.

    A drag (or an arrow key) asks nothing, and shows what Apply would do. Apply asks whether to; Yes writes it. In code:
    `slider.value = 20`, then `slider.apply(confirm=True)`. `close()` ends the watch and leaves the last picture.
    """

    value = T.Int(100, min=0, max=100)  # what the handle shows: a wish
    status: RolloutStatus | None = T.Instance(RolloutStatus, allow_none=True)  # type: ignore[assignment]  # observed
    snapshot: Snapshot = T.Instance(Snapshot, ("",))  # type: ignore[assignment]  # what the status was seen in

    def __init__(self, rollout: Rollout):
        self._rollout = rollout
        self._looked = False  # whether the cluster has been seen
        self._question: RolloutStatus | None = None  # what was seen when Apply was pressed, until it is answered
        self._refused, self._changed = "", False  # how the last write ended
        self._followed = self.value  # the percent that the handle last took from the cluster
        self._make_views()
        super().__init__([self._controls, self._plan, self._answers, self._note, self._observed])
        T.link((self, "value"), (self._handle, "value"))
        self.apply_button.on_click(self._on_apply)
        self.confirm_button.on_click(self._on_confirm)
        self.cancel_button.on_click(self._on_cancel)
        self.observe(self._on_value, "value")
        self.observe(self._on_status, "status")
        self._show()
        self._seat = Seat(rollout, self._take)

    def apply(self, confirm: bool = False) -> RolloutStatus | None:
        """What Apply does; with `confirm` also what Yes does: asks the cluster, and raises what it refuses."""
        self._note.value = ""
        seen, self._question = self._question, None if confirm else self.status
        if confirm:
            self._write(seen)
        self._show()
        return self.status if confirm else None

    def cancel(self) -> None:
        """Forget the wish: the handle goes back to what is asked of the cluster."""
        self._question, self._note.value, self._refused, self._changed = None, "", "", False
        if self.status is not None:
            self.value = _percent(self.status)
        self._show()

    @property
    def state(self) -> State:
        """Where the wish stands: one word, and a sentence."""
        wish = Wish(self.value, self._wishes(), self._question is not None, self._refused, self._changed)
        return state_of(self.snapshot, wish, self._rollout.read_only, self._locked())

    @property
    def text(self) -> str:
        """What is asked and seen, and where the wish stands, in two or three lines."""
        seen = render.status_line(self.status) if self.status else self._nothing()
        seen += f"\nstate: {self.state.word}: {self.state.sentence}"
        return with_state(self.snapshot, seen + (f"\nwish: {self.value} %, not applied" if self._wishes() else ""))

    @property
    def html(self) -> str:
        """What is asked and seen, as HTML."""
        return self._seen_html() + (faces.note("…", f"wish: {self.value} %, not applied") if self._wishes() else "")

    @property
    def json(self) -> dict[str, Any]:
        """All that is known, and the wish, as JSON's own types."""
        return {**self.snapshot.as_json(), "wish": self.value, "slider": asdict(self.state)}

    def close(self) -> None:
        """Stop following; what was seen last stays in view, and says that it is no longer live."""
        leave(self)

    # --- what happens -------------------------------------------------------------------------------------------

    def _write(self, seen: RolloutStatus | None) -> None:
        try:
            self._refused, self._changed = "", False
            self.status = self._rollout.canary(percent=self.value, seen=seen)
        except Exception as error:
            self._refused, self._changed = f"{error}", isinstance(error, ChangedError)
            self._say("✖", f"not applied: {error}", urgent=True)
            raise
        self._say("✔", f"asked for {self.value} %")

    @_said
    def _on_apply(self, _button: W.Button) -> None:
        self.apply()

    def _on_confirm(self, _button: W.Button) -> None:
        try:
            self.apply(confirm=True)
        except Exception:  # it has been said in the view
            self._show()

    @_said
    def _on_cancel(self, _button: W.Button) -> None:
        self.cancel()

    @_said
    def _on_value(self, _change: Any) -> None:
        self._question, self._note.value, self._refused, self._changed = None, "", "", False
        self._show()

    @_said
    def _on_status(self, _change: Any) -> None:
        now, asked = self.status, self._question
        if now is not None:
            untouched = self.value == self._followed
            self._followed = _percent(now)
            if untouched:
                self.value = self._followed
        if asked is not None and (now is None or now.edition != asked.edition):
            self._question = None
            self._refused, self._changed = "it was changed meanwhile", True
            self._say("✖", "not applied: it was changed meanwhile. Look again, then Apply.", urgent=True)
        self._show()

    # --- what is shown ------------------------------------------------------------------------------------------

    def _make_views(self) -> None:
        self._handle = W.IntSlider(
            100, 0, 100, description="canary %",  # every step is sent: an arrow key has no release
            layout=W.Layout(width="auto", flex="1 1 260px", max_width="460px"),
            tooltip="the percent of the users that the latest revision gets; arrow keys move it",
        )  # fmt: skip
        self.apply_button = W.Button(description="Apply", tooltip="asks whether to do what is said below")
        self.confirm_button = W.Button(description="Yes, do it", button_style="warning", tooltip="writes it")
        self.cancel_button = W.Button(description="Cancel", tooltip="forgets the wish")
        self._plan, self._note, self._observed = W.HTML(), W.HTML(), W.HTML()
        self._controls = _row(self._handle, self.apply_button)
        self._answers = _row(W.HTML("<b>Apply this?</b>"), self.confirm_button, self.cancel_button)

    def _show(self, _change: Any = None) -> None:
        locked = self._locked()
        self._handle.disabled = bool(locked)
        self.apply_button.disabled = bool(locked) or not self._wishes()
        self._plan.value = faces.note("⊘", f"locked: {locked}") if locked else self._plan_html()
        self._answers.layout.display = "none" if self._question is None else None
        self._observed.value = self._seen_html()

    def _seen_html(self) -> str:
        seen = faces.status_html(self.status) if self.status else f"<div>{escape(self._nothing())}</div>"
        return framed(self.snapshot, seen + faces.note("·", f"{self.state.word}: {self.state.sentence}"))

    def _say(self, glyph: str, text: str, *, urgent: bool = False) -> None:
        self._note.value = faces.note(glyph, text, urgent=urgent)

    def _wishes(self) -> bool:
        return self.status is not None and self.value != _percent(self.status)

    def _nothing(self) -> str:
        name = self._rollout.name
        return f"{name}: there is none in {self._rollout.client.namespace}" if self._looked else f"{name}: not seen yet"

    def _locked(self) -> str:
        """Why nothing can be applied; empty where it can."""
        now = self.status
        if self.snapshot.state == "closed":
            return "closed: this is how it was. Run the cell again for a live one"
        if now is None:
            return f"{self._nothing()}. rollout.deploy(model) makes one" if self._looked else "looking at the cluster"
        if self._rollout.read_only:
            return f"read-only: {self._rollout.read_only}"
        if kserve_versions.ignores_canary(now.mode):
            return f"it runs in {now.mode} mode, where a canary percent does nothing"
        if not now.latest_rolledout:
            return "the first revision is not ready yet. await rollout.wait()"
        if now.previous is None and not now.previous_rolledout:
            return "first rollout: nothing to split with. Bring a second model: rollout.canary(model, percent=10)"
        return ""

    def _plan_html(self) -> str:
        now = _percent(self.status) if self.status else None
        if not self._wishes():
            return faces.note("·", f"nothing to apply: {now} % is what is asked. Drag the handle, or use arrow keys")
        change = manifest.percent_change(now, self.value)
        patch = json.dumps({"spec": {"predictor": {"canaryTrafficPercent": self.value}}}, separators=(",", ":"))
        namespace = self._rollout.client.namespace
        line = f"kubectl patch isvc {self._rollout.name} -n {namespace} --type=merge -p '{patch}'"
        return faces.note("▸", f"Apply changes {now} → {self.value} %: {change.consequence}") + faces.command(line)

    # --- what the feed brings -----------------------------------------------------------------------------------

    @_said
    def _take(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        if snapshot.state == "live":
            self._looked = True
            if not self._is_older(snapshot.status):
                self.status = snapshot.status
        elif snapshot.state == "closed":
            self._question = None
        self._show()  # the first look may find what was assumed: nothing

    def _is_older(self, seen: RolloutStatus | None) -> bool:
        """Whether it was under way when our own write came back."""
        now = self.status
        return bool(now and seen and now.uid == seen.uid and seen.generation < now.generation)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        return faces_of(self, super()._repr_mimebundle_(**kwargs))


def _row(*widgets: W.Widget) -> W.HBox:
    """Side by side where there is room, below each other where not."""
    return W.HBox(widgets, layout=W.Layout(flex_flow="row wrap"))


def _percent(status: RolloutStatus) -> int:
    """What LATEST is asked to get: no percent means everybody."""
    return 100 if status.asked_percent is None else status.asked_percent
