"""Tests of a change of the slider: stored, rejected, in conflict, queued, or without an answer."""

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
from tests.widgets.page import buttons, drag, is_enabled, press, text_of
from tests.widgets.play import (
    DEADLINE_S,
    confirm,
    edited,
    press_apply,
    until,
    until_word,
    until_written,
    written,
)

ISVC_PATH = f"{ISVC}/sklearn-iris"


def apply(slider: TrafficSlider, percent: int) -> None:
    """Drag and press Apply."""
    drag(slider, percent)
    press_apply(slider)


def quiet(slider: TrafficSlider) -> None:
    """Stop the feed, so that the test passes the snapshots itself."""
    slider._subscription.feed.close()


def test_a_write_is_shown_as_applying_and_does_not_freeze_the_view(api: FakeApi, slider: TrafficSlider) -> None:
    api.answering.clear()
    apply(slider, 20)
    press(slider, "Yes, do it")
    assert slider.phase.word == "writing" and "◌ accepted" in text_of(slider)
    assert is_enabled(slider, "Pin previous")

    api.answering.set()
    until_written(slider)
    assert written(api) == [20] and slider.phase.word != "writing"


def test_pin_does_not_wait_for_an_order_under_way(api: FakeApi, slider: TrafficSlider) -> None:
    api.answering.clear()
    apply(slider, 20)
    press(slider, "Yes, do it")
    assert api.patched.wait(DEADLINE_S)

    press(slider, "Pin previous")
    press(slider, "Yes, do it")
    api.answering.set()
    until_written(slider)

    assert written(api)[-1] == 0 and slider.status is not None and slider.status.requested_percent == 0


def test_a_refusal_is_shown_verbatim_and_the_draft_stays(api: FakeApi, slider: TrafficSlider) -> None:
    api.turned_down = 'admission webhook "validator" denied the request: <no>'
    apply(slider, 20)
    confirm(slider)

    assert slider.phase.word == "rejected" and slider.value == 20
    assert "denied the request: <no>. Explain it: lab.doctor(error=…)" in text_of(slider)
    assert "✖ not accepted" in slider.text

    api.turned_down = ""
    press_apply(slider)
    confirm(slider)
    until(slider, 20)


def test_a_conflict_names_the_other_writer_and_offers_a_reload(api: FakeApi, slider: TrafficSlider) -> None:
    apply(slider, 20)
    api.put(ISVC_PATH, edited(30))
    until_word(slider, "conflict")
    assert "Reload" in buttons(slider) and "(kubectl-patch)" in slider.phase.sentence

    press(slider, "Reload")

    assert slider.value == 30 and slider.phase.word == "routing" and "Reload" not in buttons(slider)
    with pytest.raises(NotPossibleError, match="no conflict"):
        slider.overwrite()


def test_a_conflict_lets_choose_to_overwrite(api: FakeApi, slider: TrafficSlider) -> None:
    apply(slider, 20)
    api.put(ISVC_PATH, edited(30))
    until_word(slider, "conflict")
    press(slider, "Overwrite: 20 % anyway")
    until_written(slider)

    assert written(api) == [20]
    until(slider, 20)
    assert is_enabled(slider, "Back to 30 %")


def test_a_conflict_of_a_change_in_code_is_raised_and_shown(api: FakeApi, slider: TrafficSlider) -> None:
    slider.value = 20
    slider.apply()
    quiet(slider)
    api.put(ISVC_PATH, edited(30))

    with pytest.raises(ChangedError, match="kubectl-patch"):
        slider.apply(confirm=True)

    slider.overwrite()
    assert written(api) == [20] and slider.status is not None and slider.status.requested_percent == 20


def test_another_writers_edit_during_a_draft_is_reported(api: FakeApi, slider: TrafficSlider) -> None:
    drag(slider, 50)
    api.put(ISVC_PATH, edited(30))
    until(slider, 30)

    assert slider.value == 50 and "(kubectl-patch) changed it meanwhile" in text_of(slider)


def test_a_second_order_waits_until_traffic_has_moved_and_a_third_takes_its_place(
    api: FakeApi, slider: TrafficSlider
) -> None:
    quiet(slider)
    moving = replace(slider.snapshot, missing="traffic is 10 / 90")
    apply(slider, 20)
    confirm(slider)
    slider._on_snapshot(replace(moving, status=slider.status))
    assert slider.phase.word == "routing"

    for percent in (30, 40):
        apply(slider, percent)
        confirm(slider)
    assert written(api) == [20] and "next: 40 %, once the traffic has moved" in text_of(slider)
    assert slider.phase.word == "routing" and slider.phase.sentence.endswith("; next: 40 %")
    assert slider.json["queued"] == {"action": "apply", "percent": 40} and "next: 40 %" in slider.text

    slider._on_snapshot(replace(slider.snapshot, missing=""))
    until_written(slider)
    assert written(api) == [20, 40] and slider.json["queued"] is None


def test_a_queued_change_can_be_dropped(api: FakeApi, slider: TrafficSlider) -> None:
    quiet(slider)
    slider._on_snapshot(replace(slider.snapshot, missing="traffic is 10 / 90"))
    apply(slider, 20)
    press(slider, "Yes, do it")
    assert "Drop it" in buttons(slider)

    press(slider, "Drop it")
    slider._on_snapshot(replace(slider.snapshot, missing=""))

    assert written(api) == [] and slider.value == 10 and "Drop it" not in buttons(slider)


def test_a_queued_change_does_not_overwrite_another_writers_edit(api: FakeApi, slider: TrafficSlider) -> None:
    quiet(slider)
    slider._on_snapshot(replace(slider.snapshot, missing="traffic is 10 / 90"))
    apply(slider, 20)
    press(slider, "Yes, do it")

    api.put(ISVC_PATH, edited(30))
    slider._on_snapshot(replace(slider.snapshot, missing="", status=RolloutStatus.of(edited(30))))
    until_written(slider)

    assert written(api) == [] and slider.phase.word == "conflict" and "30 %" in slider.phase.sentence


def test_a_change_queued_behind_a_failing_canary_is_not_sent(api: FakeApi, slider: TrafficSlider) -> None:
    quiet(slider)
    slider._on_snapshot(replace(slider.snapshot, missing="revision 00002 is not ready yet"))
    apply(slider, 20)
    press(slider, "Yes, do it")

    slider._on_snapshot(replace(slider.snapshot, failure="no such model"))

    assert slider.json["queued"] is None and "20 % was not requested" in text_of(slider)
    assert is_enabled(slider, "Pin previous") and written(api) == []


def test_traffic_that_does_not_move_leads_to_the_doctor(slider: TrafficSlider) -> None:
    quiet(slider)
    waiting = replace(slider.snapshot, missing="traffic is 10 / 90")
    slider._on_snapshot(waiting)
    assert slider.phase.word == "routing"

    slider._change_state(lambda state: state.seen(waiting, state.waiting_since_s + STALLED_S))

    assert slider.phase.word == "stalled" and slider.phase.sentence.endswith("Find out why: lab.doctor()")


@pytest.mark.parametrize(("done", "word", "percent"), [(True, "accepted", 20), (False, "edited", 10)])
def test_an_unanswered_write_is_read_back(
    api: FakeApi, slider: TrafficSlider, done: bool, word: str, percent: int
) -> None:
    quiet(slider)
    api.mute = [done]
    slider.value = 20

    with pytest.raises(RefusedError, match="does not respond"):
        slider.apply(confirm=True)
    until_written(slider)

    assert slider.phase.word == word and written(api) == [20]
    assert slider.status is not None and slider.status.requested_percent == percent
    assert any(state["word"] == "unknown" for state in slider.json["journal"])


def test_each_transition_adds_one_sentence_to_the_story(slider: TrafficSlider) -> None:
    quiet(slider)
    apply(slider, 20)
    confirm(slider)
    slider._on_snapshot(replace(slider.snapshot, status=slider.status, missing="traffic is 10 / 90"))
    slider._on_snapshot(replace(slider.snapshot, missing=""))

    assert [state["word"] for state in slider.json["journal"]] == [
        "settled", "edited", "confirming", "writing", "accepted", "routing", "settled"]
    assert slider.text.splitlines()[-1].endswith(" 20 % is requested and routed to 00002")
    assert "20 % is requested and routed" in text_of(slider)


def test_close_waits_for_the_write_in_progress_and_leaves_no_thread(api: FakeApi, slider: TrafficSlider) -> None:
    api.answering.clear()
    apply(slider, 20)
    press(slider, "Yes, do it")
    threading.Timer(0.1, api.answering.set).start()

    slider.close()

    assert written(api) == [20]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("change of")]
