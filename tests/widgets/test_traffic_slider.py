"""Tests of the slider with the events that a browser sends."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from kserve_nb.rollout.errors import NotPossibleError
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.values.rollout_status import RolloutStatus
from kserve_nb.widgets.slider.traffic_change import TrafficChange
from kserve_nb.widgets.slider.traffic_slider import TrafficSlider
from tests.fake_api import ISVC, FakeApi, one
from tests.widgets.page import buttons, control, drag, is_enabled, press, report, text_of
from tests.widgets.play import DEADLINE_S, can_apply, confirm, edited, press_apply, until, written

CHANGE = TrafficChange("apply", 30)


def test_a_drag_sends_no_request_until_it_is_confirmed(api: FakeApi, slider: TrafficSlider) -> None:
    drag(slider, 20)
    assert slider.value == 20 and written(api) == []
    assert "draft: 20 %, not applied" in slider.text

    assert "10 → 20 %: only traffic: LATEST gets 20 %, PREV the other 80 %" in text_of(slider)
    assert "kubectl patch isvc sklearn-iris -n kserve-test --type=merge" in text_of(slider)

    press_apply(slider)
    assert written(api) == []

    confirm(slider)
    assert written(api) == [20]
    until(slider, 20)


def test_code_does_the_same_as_a_hand(api: FakeApi, slider: TrafficSlider) -> None:
    slider.value = 20
    status = slider.apply(confirm=True)

    assert written(api) == [20] and status is not None and status.requested_percent == 20


def test_cancel_takes_the_handle_back(api: FakeApi, slider: TrafficSlider) -> None:
    drag(slider, 20)
    press_apply(slider)

    press(slider, "Cancel")

    assert slider.value == 10 and written(api) == []
    assert "Yes, do it" not in buttons(slider)


def test_a_draft_can_be_cancelled_before_it_is_applied(slider: TrafficSlider) -> None:
    assert "Cancel" not in buttons(slider)

    drag(slider, 20)
    assert "Cancel" in buttons(slider)
    press(slider, "Cancel")

    assert slider.value == 10 and slider.phase.word == "settled" and "Cancel" not in buttons(slider)


@pytest.mark.slow
def test_another_drag_takes_the_question_away(slider: TrafficSlider) -> None:
    drag(slider, 20)
    press_apply(slider)
    assert "Yes, do it" in buttons(slider)

    drag(slider, 30)

    assert "Yes, do it" not in buttons(slider)


def test_an_error_is_shown_in_the_view_and_raised_in_code(api: FakeApi, slider: TrafficSlider) -> None:
    api.put(f"{ISVC}/sklearn-iris", one("02-canary-10", "isvc"), "DELETED")
    drag(slider, 20)

    press_apply(slider)
    confirm(slider)

    assert "✖ not applied: There is no inferenceservice 'sklearn-iris'" in text_of(slider)
    with pytest.raises(Exception, match=r"rollout\.deploy"):
        slider.apply(confirm=True)


def test_the_handle_follows_the_cluster_but_keeps_a_draft(api: FakeApi, slider: TrafficSlider) -> None:
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

    assert not can_apply(slider) and control(slider, "canary percent").is_disabled
    assert "not possible: there is only one revision" in text_of(slider)
    slider.value = 10
    with pytest.raises(NotPossibleError, match="only one revision"):
        slider.apply(confirm=True)
    slider.close()


def test_text_and_html_stand_beside_the_view(slider: TrafficSlider) -> None:
    bundle = slider._repr_mimebundle_()

    assert bundle["text/plain"] == (
        "sklearn-iris: PREV 90 % → 00001 · LATEST 10 % → 00002 · READY True\n"
        "state: settled: 10 % is requested and routed to 00002\n"
        "✔ requested 10 % → ✔ accepted → ✔ routed 10 % → · observed not measured"
    )
    assert "READY True" in bundle["text/html"] and "application/vnd.jupyter.widget-view+json" in bundle


def test_somebody_elses_edit_takes_the_question_away(api: FakeApi, slider: TrafficSlider) -> None:
    drag(slider, 20)
    press_apply(slider)

    api.put(f"{ISVC}/sklearn-iris", edited(30))
    until(slider, 30)

    assert "Yes, do it" not in buttons(slider)
    assert "somebody else (kubectl-patch) changed it meanwhile: the requested percent is 30 %" in text_of(slider)
    assert "30 → 20 %" in text_of(slider) and written(api) == []


def test_an_edit_that_the_view_has_not_seen_is_not_written_over(api: FakeApi, slider: TrafficSlider) -> None:
    drag(slider, 20)
    press_apply(slider)
    slider._subscription.feed.close()

    api.put(f"{ISVC}/sklearn-iris", edited(30))
    confirm(slider)

    assert written(api) == []
    said = "somebody else (kubectl-patch) changed it meanwhile: the requested percent is 30 %, it was 10 %"
    assert said in text_of(slider)


def test_a_read_in_progress_does_not_overwrite_a_newer_write(slider: TrafficSlider) -> None:
    before = slider.snapshot
    slider._subscription.feed.close()
    written_since = RolloutStatus.of(edited(30))
    slider._change_state(lambda state: state.sent(CHANGE).stored(CHANGE, written_since))

    slider._on_snapshot(before)

    assert slider.status is not None and slider.status.requested_percent == 30


def test_an_exception_of_a_callback_is_shown_in_the_view(
    slider: TrafficSlider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: Any) -> None:
        raise ValueError("a <fault>")

    drag(slider, 20)
    for name, label in (("apply", "Apply 20 %"), ("cancel", "Cancel")):
        monkeypatch.setattr(slider, name, broken)
        press(slider, label)
        assert "✖ a <fault>" in text_of(slider) and "<fault>" not in slider.content


def test_the_disabled_button_states_that_there_is_no_change(slider: TrafficSlider) -> None:
    assert not can_apply(slider) and "nothing to apply: 10 % is requested already" in text_of(slider)

    drag(slider, 11)

    assert can_apply(slider)


def test_a_deleted_service_is_reported_and_locks_the_widget(api: FakeApi, slider: TrafficSlider) -> None:
    gone = threading.Event()
    slider.observe(lambda change: gone.set() if change["new"] is None else None, "status")

    api.put(f"{ISVC}/sklearn-iris", one("02-canary-10", "isvc"), "DELETED")

    assert gone.wait(DEADLINE_S)
    assert not can_apply(slider)
    assert "not possible: sklearn-iris: there is no such InferenceService in namespace kserve-test" in text_of(slider)


def test_a_change_goes_from_edited_to_confirming_to_accepted(slider: TrafficSlider) -> None:
    drag(slider, 20)
    assert slider.phase.word == "edited" and "state: edited" in slider.text

    press_apply(slider)
    assert slider.phase.word == "confirming" and "20 % waits for Yes" in text_of(slider)

    slider._subscription.feed.close()
    confirm(slider)
    assert slider.phase.word == "accepted" and slider.json["slider"]["word"] == "accepted"


def test_somebody_elses_edit_is_a_conflict_until_it_is_cancelled(api: FakeApi, slider: TrafficSlider) -> None:
    drag(slider, 20)
    press_apply(slider)
    slider._subscription.feed.close()
    api.put(f"{ISVC}/sklearn-iris", edited(30))
    confirm(slider)
    assert slider.phase.word == "conflict" and "somebody else" in slider.phase.sentence

    press(slider, "Reload")

    assert slider.phase.word == "settled"


def test_json_has_the_shown_state_and_the_draft(slider: TrafficSlider) -> None:
    drag(slider, 20)

    assert slider.json["draft"] == 20 and slider.json["requested"]["sklearn-iris-predictor-00002"] == 10


def test_an_outage_is_shown_beside_the_last_status(slider: TrafficSlider) -> None:
    slider._subscription.feed.close()
    lost = replace(slider.snapshot, state="stale", at=1e9, age_s=10, reason="the cluster does not respond")

    slider._on_snapshot(lost)

    assert "✖ out of date: no answer for 10 s" in text_of(slider)
    assert "the cluster does not respond" in text_of(slider) and "✖ out of date" in slider.text
    assert "LATEST 10 %" in text_of(slider)


def test_the_view_states_it_in_words_and_to_a_screen_reader(slider: TrafficSlider) -> None:
    assert "● PREV 90 % → 00001 · ◆ LATEST 10 % → 00002 · READY True" in text_of(slider)
    handle = control(slider, "canary percent")
    assert handle.attributes["aria-valuetext"] == "10 % to 00002" and "role='status'" in slider.content


def test_close_leaves_the_last_picture_and_no_thread(slider: TrafficSlider) -> None:
    slider.close()
    slider.close()

    assert slider._subscription.feed.closed and control(slider, "canary percent").is_disabled
    assert "not possible: this view is closed" in text_of(slider) and "LATEST 10 %" in text_of(slider)


def test_unknown_arguments_are_errors(rollout: Rollout) -> None:
    with pytest.raises(TypeError):
        TrafficSlider(rollout, colour="red")  # type: ignore[call-arg]


def test_without_write_access_the_widget_is_locked_and_states_the_reason(api: FakeApi, rollout: Rollout) -> None:
    api.load("02-canary-10")
    rollout.client.read_only = "RBAC does not let you patch inferenceservices in namespace kserve-test"

    slider = TrafficSlider(rollout)

    until(slider, 10)
    assert "not possible: read-only: RBAC does not let you patch" in text_of(slider)
    assert not can_apply(slider) and not is_enabled(slider, "Pin previous")
    slider.close()


def test_a_view_that_draws_while_the_feed_publishes_does_not_wait_for_ever(slider: TrafficSlider) -> None:
    """Browser messages and the feed redraw on two threads, which must not wait for each other's locks."""
    snapshot = slider.snapshot

    def publish() -> None:
        for _ in range(300):
            slider._on_snapshot(snapshot)

    feed = threading.Thread(target=publish, daemon=True)
    feed.start()
    for number in range(300):
        report(slider, "resize", "width", str(400 + 20 * (number % 10)))

    feed.join(DEADLINE_S)
    assert not feed.is_alive()
