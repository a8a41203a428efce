"""Actions of a user of a traffic slider, and of other users of the cluster."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from kserve_nb.widgets.slider.traffic_slider import TrafficSlider
from tests.fake_api import FakeApi, one
from tests.widgets.page import buttons, press

DEADLINE_S = 60


def until(slider: TrafficSlider, percent: int | None) -> None:
    """Wait until the slider has seen the cluster request this percent."""
    until_so(slider, lambda: slider.status is not None and slider.status.requested_percent == percent)


def until_word(slider: TrafficSlider, word: str) -> None:
    """Wait until the slider is in this phase."""
    until_so(slider, lambda: slider.phase.word == word)


def until_so(slider: TrafficSlider, condition: Callable[[], bool]) -> None:
    """Wait until the slider shows a state for which the condition is true."""
    arrived = threading.Event()

    def look(_change: Any = None) -> None:
        if condition():
            arrived.set()

    seen = ["content", "status", "snapshot"]
    slider.observe(look, seen)
    look()
    try:
        assert arrived.wait(DEADLINE_S), slider.text
    finally:
        slider.unobserve(look, seen)


def confirm(slider: TrafficSlider) -> None:
    """Press Yes, and the second Yes if there is one, and wait for the cluster's answer."""
    press(slider, "Yes, do it")
    for label in buttons(slider):
        if label.endswith("points at once"):
            press(slider, label)
    until_written(slider)


def until_written(slider: TrafficSlider) -> None:
    """Wait until no write of the slider is under way."""
    slider._writer.wait()


def edited(percent: int | None, generations: int = 1) -> dict[str, Any]:
    """The InferenceService after another user's patch."""
    changed = one("02-canary-10", "isvc")
    changed["spec"]["predictor"]["canaryTrafficPercent"] = percent
    changed["metadata"]["generation"] += generations
    changed["metadata"]["resourceVersion"] += "1" * generations
    fields = {"f:spec": {"f:predictor": {"f:canaryTrafficPercent": {}}}}
    changed["metadata"]["managedFields"].append(
        {"manager": "kubectl-patch", "operation": "Update", "time": "2026-11-26T12:00:00Z", "fieldsV1": fields})
    return changed


def written(api: FakeApi) -> list[Any]:
    """The percents that were written to the API server."""
    return [body["spec"]["predictor"]["canaryTrafficPercent"] for _, _, body in api.writes]


def apply_label(slider: TrafficSlider) -> str:
    """The label of the Apply button; it contains the percent after the handle was moved."""
    return next(label for label in buttons(slider) if label.startswith("Apply"))


def press_apply(slider: TrafficSlider) -> None:
    press(slider, apply_label(slider))


def can_apply(slider: TrafficSlider) -> bool:
    return not buttons(slider)[apply_label(slider)].is_disabled
