"""Choose a canary percent, apply it, and see what the cluster answered."""

from __future__ import annotations

import json
from html import escape
from typing import Any

import ipywidgets as W  # noqa: N812 - short, as traits and widgets fill these lines
import traitlets as T  # noqa: N812 - as above

from kserve_nb import manifest, render
from kserve_nb.client import INFERENCE_SERVICE, Object
from kserve_nb.model import RolloutStatus
from kserve_nb.rollout import Rollout
from kserve_nb.widgets.faces import with_faces
from kserve_nb.widgets.feed import Feed


class TrafficSlider(W.VBox):  # type: ignore[misc]  # ipywidgets ships no types
    """Choose a canary percent, apply it, and see what the cluster answered.

    A drag asks nothing. Apply shows what will happen; Yes asks the cluster. In code: `slider.value = 20`, then
    `slider.apply(confirm=True)`.
    """

    value = T.Int(100, min=0, max=100)  # what the handle shows: a wish
    status: RolloutStatus | None = T.Instance(RolloutStatus, allow_none=True)  # type: ignore[assignment]  # observed

    _feed: Feed[RolloutStatus | None] | None = None  # until it has begun

    def __init__(self, rollout: Rollout):
        self._rollout = rollout
        self._handle = W.IntSlider(100, 0, 100, description="canary %", continuous_update=False)
        self.apply_button = W.Button(description="Apply", tooltip="Show what this will do")
        self.confirm_button = W.Button(description="Yes, do it", button_style="warning")
        self.cancel_button = W.Button(description="Cancel")
        self._observed, self._note = W.HTML(), W.HTML()
        self._asked = W.HBox([self.confirm_button, self.cancel_button])
        super().__init__([W.HBox([self._handle, self.apply_button]), self._note, self._asked, self._observed])
        T.link((self, "value"), (self._handle, "value"))
        self.apply_button.on_click(lambda _button: self.apply())
        self.confirm_button.on_click(self._on_confirm)
        self.cancel_button.on_click(lambda _button: self.cancel())
        self._followed = self.value  # the percent that the handle last took from the cluster
        self.observe(self._on_value, "value")
        self.observe(self._on_status, "status")
        self._ask(False)
        self._on_status()
        self._feed = Feed(
            rollout.client, INFERENCE_SERVICE, "", self._status_of, self._set_status, self._say_not_live
        )

    def apply(self, confirm: bool = False) -> RolloutStatus | None:
        """What Apply does; with `confirm` also what Yes does: asks the cluster, and raises what it refuses."""
        if not confirm:
            self._note.value = f"{escape(self._plan())}<br><code>{escape(self._command())}</code>"
            self._ask(True)
            return None
        self._ask(False)
        self.status = self._rollout.canary(percent=self.value)
        self._note.value = f"asked for {self.value} %"
        return self.status

    def cancel(self) -> None:
        """Forget the wish: the handle goes back to what is asked of the cluster."""
        self._ask(False)
        self._note.value = ""
        if self.status is not None:
            self.value = _percent(self.status)

    @property
    def text(self) -> str:
        """What is asked and seen, in one or two lines."""
        seen = render.status_line(self.status) if self.status else f"{self._rollout.name}: not seen yet"
        wish = self.status is not None and self.value != _percent(self.status)
        return seen + (f"\nwish: {self.value} %, not applied" if wish else "")

    @property
    def html(self) -> str:
        """What is seen, as HTML."""
        return "<br>".join(escape(line) for line in self.text.splitlines())

    def close(self) -> None:
        """Stop the feed and take the view away."""
        if self._feed is not None:
            self._feed.close()
        super().close()

    def _on_confirm(self, _button: W.Button) -> None:
        try:
            self.apply(confirm=True)
        except Exception as error:  # a callback has no cell to raise into: say it in the view
            self._note.value = f"<b>not applied:</b> {escape(str(error))}"

    def _on_value(self, _change: Any) -> None:
        self._ask(False)
        self._note.value = ""
        self._observed.value = self.html

    def _on_status(self, _change: Any = None) -> None:
        if self.status is not None:
            untouched = self.value == self._followed
            self._followed = _percent(self.status)
            if untouched:
                self.value = self._followed
        self.apply_button.disabled = bool(self._locked())
        self._handle.disabled = bool(self._locked())
        self._observed.value = self.html + (f"<br><i>{escape(self._locked())}</i>" if self._locked() else "")

    def _locked(self) -> str:
        """Why nothing can be applied; empty where it can."""
        now = self.status
        if now is None:
            return "waiting for the first look at the cluster"
        if now.previous is None and not now.previous_rolledout:
            return "first rollout: there is no other revision to share traffic with. rollout.canary(model, percent)"
        return ""

    def _plan(self) -> str:
        now = _percent(self.status) if self.status else None
        change = manifest.percent_change(now, self.value)
        return f"{now} → {self.value} %: {change.consequence}. Apply this?"

    def _command(self) -> str:
        patch = json.dumps({"spec": {"predictor": {"canaryTrafficPercent": self.value}}})
        return f"kubectl patch isvc {self._rollout.name} --type=merge -p '{patch}'"

    def _ask(self, asked: bool) -> None:
        self._asked.layout.display = None if asked else "none"

    def _status_of(self, objects: list[Object]) -> RolloutStatus | None:
        mine = [item for item in objects if item["metadata"]["name"] == self._rollout.name]
        return RolloutStatus.of(mine[0]) if mine else None

    def _set_status(self, status: RolloutStatus | None) -> None:
        self.status = status

    def _say_not_live(self, message: str) -> None:
        self._observed.value = f"{self.html}<br><b>not live:</b> {escape(message)}"

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        return with_faces(super()._repr_mimebundle_(**kwargs), self.text, self.html)


def _percent(status: RolloutStatus) -> int:
    """What LATEST is asked to get: no percent means everybody."""
    return 100 if status.asked_percent is None else status.asked_percent
