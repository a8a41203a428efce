"""What becomes of an order: sent, taken, refused, contested, queued, or never answered."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from kserve_nb.access.api_client import RefusedError
from kserve_nb.rollout.errors import ChangedError, NotPossibleError
from kserve_nb.values.rollout_status import RolloutStatus
from kserve_nb.widgets.slider.slider_state import STALLED_S
from kserve_nb.widgets.slider.traffic_slider import TrafficSlider
from tests.fake_api import ISVC, FakeApi
from tests.widgets.play import DEADLINE_S, asked, click, confirm, drag, edited, shows, until, until_word

ISVC_PATH = f"{ISVC}/sklearn-iris"


def order(slider: TrafficSlider, percent: int) -> None:
    """Drag and press Apply."""
    drag(slider, percent)
    click(slider._controls.apply)


def quiet(slider: TrafficSlider) -> None:
    """End the feed, so that a test says itself what is seen."""
    slider._seat.live.close()


def test_a_write_is_shown_as_applying_and_does_not_freeze_the_view(api: FakeApi, slider: TrafficSlider) -> None:
    api.answering.clear()
    order(slider, 20)
    click(slider._controls.yes)
    assert slider.state.word == "applying" and "◌ accepted" in slider._controls.observed.value
    assert not slider._controls.pin.disabled

    api.answering.set()
    slider._orders.settle()
    assert asked(api) == [20] and slider.state.word != "applying"


def test_pin_does_not_wait_for_an_order_under_way(api: FakeApi, slider: TrafficSlider) -> None:
    api.answering.clear()
    order(slider, 20)
    click(slider._controls.yes)
    assert api.patched.wait(DEADLINE_S)

    click(slider._controls.pin)
    click(slider._controls.yes)
    api.answering.set()
    slider._orders.settle()

    assert asked(api)[-1] == 0 and slider.status is not None and slider.status.requested_percent == 0


def test_a_refusal_is_said_word_for_word_and_the_wish_stays(api: FakeApi, slider: TrafficSlider) -> None:
    api.turned_down = 'admission webhook "validator" denied the request: <no>'
    order(slider, 20)
    confirm(slider)

    assert slider.state.word == "rejected" and slider.value == 20
    assert "denied the request: &lt;no&gt;. lab.doctor(error=…)" in slider._controls.note.value
    assert "✖ not accepted" in slider.text

    api.turned_down = ""
    click(slider._controls.apply)
    confirm(slider)
    until(slider, 20)


def test_a_conflict_says_who_and_lets_choose_to_reload(api: FakeApi, slider: TrafficSlider) -> None:
    order(slider, 20)
    api.put(ISVC_PATH, edited(30))
    until_word(slider, "conflict")
    assert shows(slider._controls.conflict) and "(kubectl-patch)" in slider.state.sentence

    click(slider._controls.reload)

    assert slider.value == 30 and slider.state.word == "reconciling" and not shows(slider._controls.conflict)
    with pytest.raises(NotPossibleError, match="no conflict"):
        slider.overwrite()


def test_a_conflict_lets_choose_to_overwrite(api: FakeApi, slider: TrafficSlider) -> None:
    order(slider, 20)
    api.put(ISVC_PATH, edited(30))
    until_word(slider, "conflict")
    assert slider._controls.overwrite.description == "Overwrite: 20 % all the same"

    click(slider._controls.overwrite)
    slider._orders.settle()

    assert asked(api) == [20]
    until(slider, 20)
    assert slider._controls.back.description == "Back to 30 %"


def test_a_conflict_that_code_meets_is_raised_and_shown(api: FakeApi, slider: TrafficSlider) -> None:
    slider.value = 20
    slider.apply()
    quiet(slider)
    api.put(ISVC_PATH, edited(30))

    with pytest.raises(ChangedError, match="kubectl-patch"):
        slider.apply(confirm=True)

    slider.overwrite()
    assert asked(api) == [20] and slider.status is not None and slider.status.requested_percent == 20


def test_an_edit_beside_an_open_wish_is_said(api: FakeApi, slider: TrafficSlider) -> None:
    drag(slider, 50)
    api.put(ISVC_PATH, edited(30))
    until(slider, 30)

    assert slider.value == 50 and "(kubectl-patch) changed it meanwhile" in slider._controls.note.value


def test_a_second_order_waits_until_traffic_has_moved_and_a_third_takes_its_place(
    api: FakeApi, slider: TrafficSlider
) -> None:
    quiet(slider)
    moving = replace(slider.snapshot, missing="traffic is 10 / 90")
    order(slider, 20)
    confirm(slider)
    slider._take(replace(moving, status=slider.status))
    assert slider.state.word == "reconciling"

    for percent in (30, 40):
        order(slider, percent)
        confirm(slider)
    assert asked(api) == [20] and "next: 40 %, once traffic has moved" in slider._controls.queue.value
    assert slider.state.word == "reconciling" and slider.state.sentence.endswith("; then 40 %")
    assert slider.json["queued"] == {"verb": "apply", "percent": 40} and "next: 40 %" in slider.text

    slider._take(replace(slider.snapshot, missing=""))
    slider._orders.settle()
    assert asked(api) == [20, 40] and slider.json["queued"] is None


def test_what_waits_can_be_dropped(api: FakeApi, slider: TrafficSlider) -> None:
    quiet(slider)
    slider._take(replace(slider.snapshot, missing="traffic is 10 / 90"))
    order(slider, 20)
    click(slider._controls.yes)
    assert shows(slider._controls.queued)

    click(slider._controls.drop)
    slider._take(replace(slider.snapshot, missing=""))

    assert asked(api) == [] and slider.value == 10 and not shows(slider._controls.queued)


def test_what_waits_is_not_written_over_somebody_elses_edit(api: FakeApi, slider: TrafficSlider) -> None:
    quiet(slider)
    slider._take(replace(slider.snapshot, missing="traffic is 10 / 90"))
    order(slider, 20)
    click(slider._controls.yes)

    api.put(ISVC_PATH, edited(30))
    slider._take(replace(slider.snapshot, missing="", status=RolloutStatus.of(edited(30))))
    slider._orders.settle()

    assert asked(api) == [] and slider.state.word == "conflict" and "30 %" in slider.state.sentence


def test_what_waits_for_a_canary_that_fails_is_not_asked_for(api: FakeApi, slider: TrafficSlider) -> None:
    quiet(slider)
    slider._take(replace(slider.snapshot, missing="revision 00002 is not ready yet"))
    order(slider, 20)
    click(slider._controls.yes)

    slider._take(replace(slider.snapshot, failure="no such model"))

    assert slider.json["queued"] is None and "20 % was not asked for" in slider._controls.note.value
    assert not slider._controls.pin.disabled and asked(api) == []


def test_traffic_that_does_not_move_leads_to_the_doctor(slider: TrafficSlider) -> None:
    quiet(slider)
    waiting = replace(slider.snapshot, missing="traffic is 10 / 90")
    slider._take(waiting)
    assert slider.state.word == "reconciling"

    with slider._orders.lock:
        slider._orders.see(waiting, slider._orders._since + STALLED_S)

    slider.snapshot = waiting
    assert slider.state.word == "stalled" and slider.state.sentence.endswith("lab.doctor() says why")


@pytest.mark.parametrize(("done", "word", "percent"), [(True, "accepted", 20), (False, "dirty", 10)])
def test_a_write_that_nobody_answers_is_looked_at_again(
    api: FakeApi, slider: TrafficSlider, done: bool, word: str, percent: int
) -> None:
    quiet(slider)
    api.mute = [done]
    slider.value = 20

    with pytest.raises(RefusedError, match="does not respond"):
        slider.apply(confirm=True)
    slider._orders.settle()

    assert slider.state.word == word and asked(api) == [20]
    assert slider.status is not None and slider.status.requested_percent == percent
    assert any(state["word"] == "unknown" for state in slider.json["story"])


def test_each_transition_adds_one_sentence_to_the_story(slider: TrafficSlider) -> None:
    quiet(slider)
    order(slider, 20)
    confirm(slider)
    slider._take(replace(slider.snapshot, status=slider.status, missing="traffic is 10 / 90"))
    slider._take(replace(slider.snapshot, missing=""))

    assert [state["word"] for state in slider.json["story"]] == [
        "settled", "dirty", "confirm", "applying", "accepted", "reconciling", "settled"]
    assert slider.text.splitlines()[-1].endswith(" 20 % is asked and routed to 00002")
    assert "role='log'" in slider._controls.story.value


def test_close_waits_for_what_is_being_written_and_leaves_no_thread(api: FakeApi, slider: TrafficSlider) -> None:
    api.answering.clear()
    order(slider, 20)
    click(slider._controls.yes)
    threading.Timer(0.1, api.answering.set).start()

    slider.close()

    assert asked(api) == [20]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("order to")]
