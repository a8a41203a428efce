"""Tests of the slider's buttons: each describes its change in words, as YAML and as a command before Yes."""

from __future__ import annotations

from typing import Any

import pytest

from kserve_nb.rollout.errors import NotPossibleError
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.widgets.slider.traffic_slider import TrafficSlider
from tests.fake_api import ISVC, FakeApi
from tests.widgets.page import buttons, control, drag, is_enabled, press, report, text_of, type_into
from tests.widgets.play import can_apply, confirm, edited, press_apply, until, until_written, written

ISVC_PATH = f"{ISVC}/sklearn-iris"


def apply(slider: TrafficSlider, percent: int) -> None:
    """Drag and press Apply."""
    drag(slider, percent)
    press_apply(slider)


def test_a_number_and_a_preset_move_the_handle_and_write_nothing(api: FakeApi, slider: TrafficSlider) -> None:
    type_into(slider, "canary percent", "33")
    assert slider.value == 33 and control(slider, "canary percent").attributes["value"] == "33"

    press(slider, "25 %")
    assert slider.value == 25 and slider.phase.word == "edited" and written(api) == []


def test_the_plan_is_shown_in_words_as_yaml_and_as_a_command(slider: TrafficSlider) -> None:
    drag(slider, 25)

    plan = text_of(slider)
    assert "▸ 10 → 25 %: only traffic: LATEST gets 25 %, PREV the other 75 %" in plan
    assert "15 of 100 requests more reach LATEST; both revisions keep their pods" in plan
    assert "-    canaryTrafficPercent: 10" in plan and "+    canaryTrafficPercent: 25" in plan
    assert "--type=merge -p '{\"spec\":{\"predictor\"" in plan


@pytest.mark.parametrize(("verb", "says", "percent"), [
    ("promote", "Promote LATEST (00002)? It gets all traffic", None),
    ("pin", "Pin the previous revision? PREV (00001) gets all traffic", 0),
])  # fmt: skip
def test_a_confirmation_describes_the_change_in_words(
    api: FakeApi, slider: TrafficSlider, verb: str, says: str, percent: int | None
) -> None:
    press(slider, {"promote": "Promote", "pin": "Pin previous"}[verb])
    assert says in text_of(slider) and "Yes, do it" in buttons(slider)
    assert f"canaryTrafficPercent\":{'null' if percent is None else percent}" in text_of(slider)
    assert written(api) == []

    confirm(slider)
    assert written(api) == [percent] and slider.value == (100 if percent is None else percent)


@pytest.mark.parametrize(("verb", "percent"), [("promote", None), ("pin", 0)])
def test_a_verb_has_its_twin_in_code(api: FakeApi, slider: TrafficSlider, verb: str, percent: int | None) -> None:
    status = getattr(slider, verb)(confirm=True)

    assert written(api) == [percent] and status.requested_percent == percent


def test_back_restores_the_previous_split_of_any_writer(api: FakeApi, slider: TrafficSlider) -> None:
    assert not is_enabled(slider, "Back")
    assert "no earlier split of this model" in buttons(slider)["Back"].attributes["title"]
    with pytest.raises(NotPossibleError, match="no earlier split"):
        slider.back(confirm=True)

    api.put(ISVC_PATH, edited(30))
    until(slider, 30)
    assert is_enabled(slider, "Back to 10 %")

    slider.back(confirm=True)
    assert written(api) == [10] and slider.value == 10 and is_enabled(slider, "Back to 30 %")


def test_another_model_is_no_split_to_go_back_to(api: FakeApi, slider: TrafficSlider) -> None:
    api.put(ISVC_PATH, edited(30))
    until(slider, 30)

    other = edited(5, generations=2)
    other["spec"]["predictor"]["model"]["storageUri"] = "gs://a/third"
    api.put(ISVC_PATH, other)

    until(slider, 5)
    assert not is_enabled(slider, "Back") and "no earlier split" in slider.json["blocked"]["back"]


def test_a_change_of_more_than_25_points_needs_two_confirmations(api: FakeApi, slider: TrafficSlider) -> None:
    apply(slider, 60)
    press(slider, "Yes, do it")
    assert written(api) == [] and "This moves 50 points at once" in text_of(slider)
    report(slider, "click", "yes", "")  # a double click sends two events
    assert written(api) == [] and "Yes, do it" not in buttons(slider)

    assert "Yes, 50 points at once" in buttons(slider)
    press(slider, "Yes, 50 points at once")
    until_written(slider)
    assert written(api) == [60]


def test_a_blocked_change_is_refused_in_code_too(api: FakeApi, slider: TrafficSlider) -> None:
    with pytest.raises(NotPossibleError, match="Cannot apply: 10 % is requested already"):
        slider.apply()


def test_no_order_leads_users_to_a_revision_that_is_pinned_away(api: FakeApi, rollout: Rollout) -> None:
    api.load("05-rollback")
    pending: dict[str, Any] = api.objects[ISVC_PATH]
    pending["status"]["components"]["predictor"]["latestCreatedRevision"] = "sklearn-iris-predictor-00003"
    slider = TrafficSlider(rollout)
    until(slider, 0)

    drag(slider, 10)

    assert not can_apply(slider) and not is_enabled(slider, "Promote")
    assert "10 % would go to 00002, which is pinned away" in text_of(slider)
    assert "draft: 10 %, blocked: sklearn-iris: 10 % would go to 00002" in slider.text
    for refused in (slider.apply, slider.promote):
        with pytest.raises(NotPossibleError, match=r"First await rollout\.wait\(\), then the percent"):
            refused(confirm=True)
    assert written(api) == []
    slider.close()
