"""The slider, played by `set_state` as a browser would."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import ipywidgets
import pytest

from kserve_nb.rollout import NotPossibleError, Rollout
from kserve_nb.widgets.traffic_slider import TrafficSlider
from tests.fake_api import ISVC, FakeApi, one

DEADLINE_S = 10


@pytest.fixture
def slider(api: FakeApi, rollout: Rollout) -> Iterator[TrafficSlider]:
    api.load("02-canary-10")
    shown = TrafficSlider(rollout)
    until(shown, 10)
    yield shown
    shown.close()


def until(slider: TrafficSlider, percent: int | None) -> None:
    """Wait until the cluster was seen to ask for this percent."""
    arrived = threading.Event()

    def look(_change: Any = None) -> None:
        if slider.status is not None and slider.status.asked_percent == percent:
            arrived.set()

    slider.observe(look, "status")
    look()
    assert arrived.wait(DEADLINE_S), slider.text


def drag(slider: TrafficSlider, percent: int) -> None:
    slider._handle.set_state({"value": percent})


def click(button: ipywidgets.Button) -> None:
    button._handle_custom_msg({"event": "click"}, [])


def asked(api: FakeApi) -> list[Any]:
    return [body["spec"]["predictor"]["canaryTrafficPercent"] for _, _, body in api.writes]


def test_a_drag_asks_nothing_until_it_is_confirmed(api: FakeApi, slider: TrafficSlider) -> None:
    drag(slider, 20)
    assert slider.value == 20 and asked(api) == []
    assert "wish: 20 %, not applied" in slider.text

    assert "10 → 20 %: only traffic: LATEST gets 20 %, PREV the other 80 %" in slider._plan.value
    assert "kubectl patch isvc sklearn-iris -n kserve-test --type=merge" in slider._plan.value

    click(slider.apply_button)
    assert asked(api) == []

    click(slider.confirm_button)
    assert asked(api) == [20]
    until(slider, 20)


def test_code_does_the_same_as_a_hand(api: FakeApi, slider: TrafficSlider) -> None:
    slider.value = 20
    status = slider.apply(confirm=True)

    assert asked(api) == [20] and status is not None and status.asked_percent == 20


def test_cancel_takes_the_handle_back(api: FakeApi, slider: TrafficSlider) -> None:
    drag(slider, 20)
    click(slider.apply_button)

    click(slider.cancel_button)

    assert slider.value == 10 and asked(api) == []
    assert slider._answers.layout.display == "none"


def test_another_drag_takes_the_question_away(slider: TrafficSlider) -> None:
    drag(slider, 20)
    click(slider.apply_button)
    assert slider._answers.layout.display is None

    drag(slider, 30)

    assert slider._answers.layout.display == "none"


def test_an_error_is_said_in_the_view_and_raised_in_code(api: FakeApi, slider: TrafficSlider) -> None:
    api.put(f"{ISVC}/sklearn-iris", one("02-canary-10", "isvc"), "DELETED")
    drag(slider, 20)

    click(slider.apply_button)
    click(slider.confirm_button)

    assert "✖ not applied: sklearn-iris" in slider._note.value
    with pytest.raises(Exception, match=r"rollout\.deploy"):
        slider.apply(confirm=True)


def test_the_handle_follows_the_cluster_but_not_against_a_wish(api: FakeApi, slider: TrafficSlider) -> None:
    changed = one("02-canary-10", "isvc")
    changed["spec"]["predictor"]["canaryTrafficPercent"] = 30
    api.put(f"{ISVC}/sklearn-iris", changed)
    until(slider, 30)
    assert slider.value == 30

    drag(slider, 50)
    changed = one("05-rollback", "isvc")
    api.put(f"{ISVC}/sklearn-iris", changed)
    until(slider, 0)

    assert slider.value == 50


def test_a_first_rollout_is_locked(api: FakeApi, rollout: Rollout) -> None:
    api.load("01-create")
    slider = TrafficSlider(rollout)
    until(slider, None)

    assert slider.apply_button.disabled and slider._handle.disabled
    assert "locked: first rollout: nothing to split with" in slider._plan.value
    slider.value = 10
    with pytest.raises(NotPossibleError, match="one revision alone"):
        slider.apply(confirm=True)
    slider.close()


def test_text_and_html_stand_beside_the_view(slider: TrafficSlider) -> None:
    bundle = slider._repr_mimebundle_()

    assert bundle["text/plain"] == "sklearn-iris: PREV 90 % → 00001 · LATEST 10 % → 00002 · READY True"
    assert "READY True" in bundle["text/html"] and "application/vnd.jupyter.widget-view+json" in bundle


def test_close_ends_its_thread(slider: TrafficSlider) -> None:
    slider.close()

    assert slider._feed.closed


def test_unknown_arguments_are_errors(rollout: Rollout) -> None:
    with pytest.raises(TypeError):
        TrafficSlider(rollout, colour="red")  # type: ignore[call-arg]
