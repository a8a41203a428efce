"""What a slider can be told to do: said in words, in YAML and as a command before it is confirmed."""

from __future__ import annotations

from typing import Any

import pytest

from kserve_nb.rollout.errors import NotPossibleError
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.widgets.slider.traffic_slider import TrafficSlider
from tests.fake_api import ISVC, FakeApi
from tests.widgets.play import asked, click, confirm, drag, edited, shows, until

ISVC_PATH = f"{ISVC}/sklearn-iris"


def order(slider: TrafficSlider, percent: int) -> None:
    """Drag and press Apply."""
    drag(slider, percent)
    click(slider._controls.apply)


def test_a_number_and_a_preset_are_wishes_like_a_drag(api: FakeApi, slider: TrafficSlider) -> None:
    slider._controls.number.set_state({"value": 33})
    assert slider.value == 33 and slider._controls.handle.value == 33

    click(slider._controls.presets[25])
    assert slider.value == 25 and slider.state.word == "dirty" and asked(api) == []


def test_the_plan_is_said_in_words_in_yaml_and_as_a_command(slider: TrafficSlider) -> None:
    drag(slider, 25)

    plan = slider._controls.plan.value
    assert "▸ Apply changes 10 → 25 %: only traffic: LATEST gets 25 %, PREV the other 75 %" in plan
    assert "of 100 users 15 more meet LATEST; both revisions keep their pods" in plan
    assert "-    canaryTrafficPercent: 10" in plan and "+    canaryTrafficPercent: 25" in plan
    assert "--type=merge -p &#x27;{&quot;spec&quot;:{&quot;predictor&quot;" in plan


@pytest.mark.parametrize(("verb", "says", "percent"), [
    ("promote", "Promote LATEST (00002): all users get it", None),
    ("pin", "Pin previous: all users go back to PREV (00001)", 0),
])  # fmt: skip
def test_a_verb_is_explicit_in_words_before_it_is_confirmed(
    api: FakeApi, slider: TrafficSlider, verb: str, says: str, percent: int | None
) -> None:
    click(getattr(slider._controls, verb))
    assert says in slider._controls.question.value and shows(slider._controls.yes)
    assert f"canaryTrafficPercent&quot;:{'null' if percent is None else percent}" in slider._controls.plan.value
    assert asked(api) == []

    confirm(slider)
    assert asked(api) == [percent] and slider.value == (100 if percent is None else percent)


@pytest.mark.parametrize(("verb", "percent"), [("promote", None), ("pin", 0)])
def test_a_verb_has_its_twin_in_code(api: FakeApi, slider: TrafficSlider, verb: str, percent: int | None) -> None:
    status = getattr(slider, verb)(confirm=True)

    assert asked(api) == [percent] and status.requested_percent == percent


def test_back_leads_to_the_split_before_whoever_made_it(api: FakeApi, slider: TrafficSlider) -> None:
    assert slider._controls.back.disabled
    assert "Back is blocked: no other split of this model was seen" in slider._controls.blocked.value
    with pytest.raises(NotPossibleError, match="no other split"):
        slider.back(confirm=True)

    api.put(ISVC_PATH, edited(30))
    until(slider, 30)
    assert slider._controls.back.description == "Back to 10 %"

    slider.back(confirm=True)
    assert asked(api) == [10] and slider.value == 10 and slider._controls.back.description == "Back to 30 %"


def test_another_model_is_no_split_to_go_back_to(api: FakeApi, slider: TrafficSlider) -> None:
    api.put(ISVC_PATH, edited(30))
    until(slider, 30)

    other = edited(5, generations=2)
    other["spec"]["predictor"]["model"]["storageUri"] = "gs://a/third"
    api.put(ISVC_PATH, other)

    until(slider, 5)
    assert slider._controls.back.disabled and slider.json["blocked"]["back"].startswith("no other split")


def test_a_big_step_is_asked_about_twice(api: FakeApi, slider: TrafficSlider) -> None:
    order(slider, 60)
    click(slider._controls.yes)
    assert asked(api) == [] and "That is 50 points at once" in slider._controls.question.value
    click(slider._controls.yes)  # as a double click does
    assert asked(api) == [] and not shows(slider._controls.yes)

    assert shows(slider._controls.sure) and slider._controls.sure.description == "Yes, 50 points at once"
    click(slider._controls.sure)
    slider._orders.settle()
    assert asked(api) == [60]


def test_what_is_blocked_is_refused_in_code_too(api: FakeApi, slider: TrafficSlider) -> None:
    with pytest.raises(NotPossibleError, match="apply is blocked: nothing to apply: 10 % is what is asked"):
        slider.apply()


def test_no_order_leads_users_to_a_revision_that_is_pinned_away(api: FakeApi, rollout: Rollout) -> None:
    api.load("05-rollback")
    pending: dict[str, Any] = api.objects[ISVC_PATH]
    pending["status"]["components"]["predictor"]["latestCreatedRevision"] = "sklearn-iris-predictor-00003"
    slider = TrafficSlider(rollout)
    until(slider, 0)

    drag(slider, 10)

    assert slider._controls.apply.disabled and slider._controls.promote.disabled
    assert "10 % would go to 00002, which is pinned away" in slider._controls.plan.value
    assert "wish: 10 %, blocked: sklearn-iris: 10 % would go to 00002" in slider.text
    for refused in (slider.apply, slider.promote):
        with pytest.raises(NotPossibleError, match=r"First await rollout\.wait\(\), then the percent"):
            refused(confirm=True)
    assert asked(api) == []
    slider.close()
