"""The handle, the buttons and the places for words of a traffic slider: they show a face, and decide nothing."""

from __future__ import annotations

from typing import Any

import ipywidgets as W  # noqa: N812 - short, as widgets fill these lines

from kserve_nb.widgets.drawing.draw import WIDTH
from kserve_nb.widgets.slider import slider_order, slider_text
from kserve_nb.widgets.slider.slider_order import PRESETS, Order, Verb
from kserve_nb.widgets.slider.slider_text import Face

_TIPS: dict[Verb, str] = {
    "apply": "asks whether to do what is said above",
    "promote": "asks whether to give all users the latest revision",
    "pin": "asks whether to give all users the previous revision back, whatever is under way",
    "back": "asks whether to go back to the split before this one",
}


class Controls:
    """What a hand can touch, and where it is answered."""

    def __init__(self) -> None:
        self.handle = W.IntSlider(
            100, 0, 100, description="canary %", readout=False,  # every step is sent: an arrow key has no release
            layout=W.Layout(width="auto", flex="1 1 260px", max_width="460px"),
            tooltip="the percent of the users that the latest revision gets; arrow keys move it",
        )  # fmt: skip
        self.number = W.BoundedIntText(
            100, 0, 100, description="or type it", tooltip="the same percent: Enter makes it the wish",
            layout=W.Layout(width="140px"), style={"description_width": "initial"},
        )  # fmt: skip
        self.presets = {percent: _button(f"{percent} %", "a wish: writes nothing") for percent in PRESETS}
        self.apply, self.promote = _button("Apply"), _button("Promote")
        self.pin, self.back = _button("Pin previous"), _button("Back")
        self.yes, self.cancel = _button("Yes, do it", "writes it"), _button("Cancel", "forgets the wish")
        self.sure = _button("Yes", "writes it")
        self.apply.button_style, self.yes.button_style, self.sure.button_style = "primary", "warning", "warning"
        self.reload = _button("Reload", "forgets the wish and shows what the other one wrote")
        self.overwrite = _button("Overwrite")
        self.overwrite.button_style = "warning"
        self.drop = _button("Drop it", "forgets what waits for its turn")
        self.plan, self.note, self.blocked = W.HTML(), W.HTML(), W.HTML()
        self.observed, self.story, self.question, self.queue = W.HTML(), W.HTML(), W.HTML(), W.HTML()
        self.conflict, self.queued = _row(self.reload, self.overwrite), _row(self.drop)

    def rows(self) -> list[W.Widget]:
        """All of it, from top to bottom: the wish, what it would do, the buttons, the question, what came of it."""
        return [
            _row(self.handle, self.number),
            _row(*self.presets.values()),
            self.plan,
            _row(self.promote, self.pin, self.back, self.apply),  # from Apply, Tab leads to Yes
            self.blocked,
            self.question,
            _row(self.yes, self.cancel, self.sure),  # the second Yes is not where the first one was
            self.note, self.conflict,
            self.queue, self.queued,
            self.observed,
            self.story,
        ]  # fmt: skip

    def show(self, face: Face, namespace: str, before: Order | None) -> None:
        """Draw a face."""
        for moved in (self.handle, self.number, *self.presets.values()):
            moved.disabled = bool(face.locked)
        self._show_buttons(face, before)
        self.plan.value = slider_text.plan_html(face, namespace)
        _fill(self.blocked, slider_text.blocked_html(face))
        self._show_question(face)
        _fill(self.queue, slider_text.queue_html(face))
        _place(self.queued, bool(face.wish.queued))
        self.observed.value = slider_text.observed_html(face)
        _fill(self.story, slider_text.story_html(face))

    def say(self, html: str) -> None:
        """Show a line beside the buttons, or none."""
        _fill(self.note, html)

    def _show_buttons(self, face: Face, before: Order | None) -> None:
        buttons: dict[Verb, W.Button] = {
            "apply": self.apply, "promote": self.promote, "pin": self.pin, "back": self.back
        }  # fmt: skip
        for verb, button in buttons.items():
            why = face.locked or face.blocked.get(verb, "")
            button.disabled = bool(why)
            button.tooltip = f"blocked: {why}" if why else _TIPS[verb]
        self.back.description = f"Back to {before.share} %" if before else "Back"

    def _show_question(self, face: Face) -> None:
        asking, failed = face.wish.asking, face.wish.failed
        _fill(self.question, slider_text.question_html(face))
        if asking:
            self.sure.description = f"Yes, {slider_order.points(asking, face.status)} points at once"
        contested = face.wish.ending == "conflict" and failed is not None
        _place(self.yes, bool(asking) and not face.wish.again)
        _place(self.sure, bool(asking) and face.wish.again)
        _place(self.cancel, (bool(asking) or face.wish.open) and not face.locked and not contested)
        _place(self.conflict, contested)
        if contested and failed is not None:
            self.overwrite.description = f"Overwrite: {failed.share} % all the same"


def _fill(place: W.HTML, html: str) -> None:
    """An empty place takes no room."""
    place.value = html
    _place(place, bool(html))


def _place(widget: W.Widget, is_shown: bool) -> None:
    widget.layout.display = None if is_shown else "none"


def _button(name: str, tooltip: str = "") -> W.Button:
    return W.Button(description=name, tooltip=tooltip, layout=W.Layout(width="auto"))


def _row(*widgets: Any) -> W.HBox:
    """Side by side where there is room, below each other where not."""
    return W.HBox(widgets, layout=W.Layout(flex_flow="row wrap", max_width=f"{WIDTH}px"))
