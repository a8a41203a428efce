"""Play a browser that shows a traffic slider."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import ipywidgets

from kserve_nb.widgets.slider.traffic_slider import TrafficSlider
from tests.fake_api import FakeApi, one

DEADLINE_S = 10


def until(slider: TrafficSlider, percent: int | None) -> None:
    """Wait until the cluster was seen to ask for this percent."""
    until_so(slider, lambda: slider.status is not None and slider.status.requested_percent == percent)


def until_word(slider: TrafficSlider, word: str) -> None:
    """Wait until the slider is in this state."""
    until_so(slider, lambda: slider.state.word == word)


def until_so(slider: TrafficSlider, condition: Callable[[], bool]) -> None:
    """Wait until a picture of the slider shows that something is so."""
    arrived = threading.Event()

    def look(_change: Any = None) -> None:
        if condition():
            arrived.set()

    pictures = (slider._controls.observed, slider._controls.note, slider._controls.queue)
    for picture in pictures:
        picture.observe(look, "value")
    slider.observe(look, ["status", "snapshot"])
    look()
    try:
        assert arrived.wait(DEADLINE_S), slider.text
        with slider._orders.lock:  # whoever draws has drawn all of it
            pass
    finally:
        slider.unobserve(look, ["status", "snapshot"])
        for picture in pictures:
            picture.unobserve(look, "value")


def drag(slider: TrafficSlider, percent: int) -> None:
    slider._controls.handle.set_state({"value": percent})


def click(button: ipywidgets.Button) -> None:
    button._handle_custom_msg({"event": "click"}, [])


def confirm(slider: TrafficSlider) -> None:
    """Yes, and once more where that is asked, and wait for the answer of the cluster."""
    click(slider._controls.yes)
    if slider._orders.wish.again:
        click(slider._controls.sure)
    slider._orders.settle()


def shows(widget: ipywidgets.Widget) -> bool:
    """Whether a row is to be seen."""
    return bool(widget.layout.display != "none")


def edited(percent: int | None, generations: int = 1) -> dict[str, Any]:
    """The InferenceService as somebody else's patch leaves it."""
    changed = one("02-canary-10", "isvc")
    changed["spec"]["predictor"]["canaryTrafficPercent"] = percent
    changed["metadata"]["generation"] += generations
    changed["metadata"]["resourceVersion"] += "1" * generations
    fields = {"f:spec": {"f:predictor": {"f:canaryTrafficPercent": {}}}}
    changed["metadata"]["managedFields"].append(
        {"manager": "kubectl-patch", "operation": "Update", "time": "2026-11-26T12:00:00Z", "fieldsV1": fields})
    return changed


def asked(api: FakeApi) -> list[Any]:
    return [body["spec"]["predictor"]["canaryTrafficPercent"] for _, _, body in api.writes]
