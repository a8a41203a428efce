"""The slider, played by `set_state` as a browser would."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from kserve_nb.rollout.errors import NotPossibleError
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.values.rollout_status import RolloutStatus
from kserve_nb.widgets.slider.traffic_slider import TrafficSlider
from tests.fake_api import ISVC, FakeApi, one
from tests.widgets.play import DEADLINE_S, asked, click, confirm, drag, edited, shows, until


def test_a_drag_asks_nothing_until_it_is_confirmed(api: FakeApi, slider: TrafficSlider) -> None:
    drag(slider, 20)
    assert slider.value == 20 and asked(api) == []
    assert "wish: 20 %, not applied" in slider.text

    assert "10 → 20 %: only traffic: LATEST gets 20 %, PREV the other 80 %" in slider._controls.plan.value
    assert "kubectl patch isvc sklearn-iris -n kserve-test --type=merge" in slider._controls.plan.value

    click(slider._controls.apply)
    assert asked(api) == []

    confirm(slider)
    assert asked(api) == [20]
    until(slider, 20)


def test_code_does_the_same_as_a_hand(api: FakeApi, slider: TrafficSlider) -> None:
    slider.value = 20
    status = slider.apply(confirm=True)

    assert asked(api) == [20] and status is not None and status.requested_percent == 20


def test_cancel_takes_the_handle_back(api: FakeApi, slider: TrafficSlider) -> None:
    drag(slider, 20)
    click(slider._controls.apply)

    click(slider._controls.cancel)

    assert slider.value == 10 and asked(api) == []
    assert not shows(slider._controls.yes)


def test_a_wish_can_be_dropped_before_anything_is_asked(slider: TrafficSlider) -> None:
    assert not shows(slider._controls.cancel)

    drag(slider, 20)
    assert shows(slider._controls.cancel)
    click(slider._controls.cancel)

    assert slider.value == 10 and slider.state.word == "settled" and not shows(slider._controls.cancel)


def test_another_drag_takes_the_question_away(slider: TrafficSlider) -> None:
    drag(slider, 20)
    click(slider._controls.apply)
    assert shows(slider._controls.yes)

    drag(slider, 30)

    assert not shows(slider._controls.yes)


def test_an_error_is_said_in_the_view_and_raised_in_code(api: FakeApi, slider: TrafficSlider) -> None:
    api.put(f"{ISVC}/sklearn-iris", one("02-canary-10", "isvc"), "DELETED")
    drag(slider, 20)

    click(slider._controls.apply)
    confirm(slider)

    assert "✖ not applied: There is no inferenceservice" in slider._controls.note.value
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

    assert slider._controls.apply.disabled and slider._controls.handle.disabled
    assert "locked: first rollout: nothing to split with" in slider._controls.plan.value
    slider.value = 10
    with pytest.raises(NotPossibleError, match="only one revision"):
        slider.apply(confirm=True)
    slider.close()


def test_text_and_html_stand_beside_the_view(slider: TrafficSlider) -> None:
    bundle = slider._repr_mimebundle_()

    assert bundle["text/plain"] == (
        "sklearn-iris: PREV 90 % → 00001 · LATEST 10 % → 00002 · READY True\n"
        "state: settled: 10 % is asked and routed to 00002\n"
        "✔ asked 10 % → ✔ accepted → ✔ routed 10 % → · observed: nobody has looked"
    )
    assert "READY True" in bundle["text/html"] and "application/vnd.jupyter.widget-view+json" in bundle


def test_somebody_elses_edit_takes_the_question_away(api: FakeApi, slider: TrafficSlider) -> None:
    drag(slider, 20)
    click(slider._controls.apply)

    api.put(f"{ISVC}/sklearn-iris", edited(30))
    until(slider, 30)

    assert not shows(slider._controls.yes)
    note = slider._controls.note.value
    assert "somebody else (kubectl-patch) changed it meanwhile: the requested percent is 30 %" in note
    assert "30 → 20 %" in slider._controls.plan.value and asked(api) == []


def test_an_edit_that_the_view_has_not_seen_is_not_written_over(api: FakeApi, slider: TrafficSlider) -> None:
    drag(slider, 20)
    click(slider._controls.apply)
    slider._seat.live.close()

    api.put(f"{ISVC}/sklearn-iris", edited(30))
    confirm(slider)

    assert asked(api) == []
    said = "somebody else (kubectl-patch) changed it meanwhile: the requested percent is 30 %, it was 10 %"
    assert said in slider._controls.note.value


def test_a_look_that_was_under_way_does_not_undo_what_was_written(slider: TrafficSlider) -> None:
    before = slider.snapshot
    slider._seat.live.close()
    slider.status = RolloutStatus.of(edited(30))

    slider._take(before)

    assert slider.status.requested_percent == 30


def test_an_exception_of_a_callback_is_said_in_the_view(slider: TrafficSlider, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: Any) -> None:
        raise ValueError("a <fault>")

    monkeypatch.setattr(slider, "apply", broken)
    click(slider._controls.apply)
    assert "✖ a &lt;fault&gt;" in slider._controls.note.value

    monkeypatch.setattr(slider, "cancel", broken)
    slider._controls.note.value = ""
    click(slider._controls.cancel)
    assert "✖ a &lt;fault&gt;" in slider._controls.note.value


def test_nothing_to_apply_is_said_beside_the_disabled_button(slider: TrafficSlider) -> None:
    assert slider._controls.apply.disabled and "nothing to apply: 10 % is what is asked" in slider._controls.plan.value

    drag(slider, 11)

    assert not slider._controls.apply.disabled


def test_what_is_gone_is_said_and_locks(api: FakeApi, slider: TrafficSlider) -> None:
    gone = threading.Event()
    slider.observe(lambda change: gone.set() if change["new"] is None else None, "status")

    api.put(f"{ISVC}/sklearn-iris", one("02-canary-10", "isvc"), "DELETED")

    assert gone.wait(DEADLINE_S)
    assert slider._controls.apply.disabled
    assert "locked: sklearn-iris: there is none in kserve-test" in slider._controls.plan.value


def test_a_wish_goes_from_dirty_to_confirm_to_accepted(slider: TrafficSlider) -> None:
    drag(slider, 20)
    assert slider.state.word == "dirty" and "state: dirty" in slider.text

    click(slider._controls.apply)
    assert slider.state.word == "confirm" and "confirm: 20 %" in slider._controls.observed.value

    slider._seat.live.close()
    confirm(slider)
    assert slider.state.word == "accepted" and slider.json["slider"]["word"] == "accepted"


def test_somebody_elses_edit_is_a_conflict_until_the_wish_is_dropped(api: FakeApi, slider: TrafficSlider) -> None:
    drag(slider, 20)
    click(slider._controls.apply)
    slider._seat.live.close()
    api.put(f"{ISVC}/sklearn-iris", edited(30))
    confirm(slider)
    assert slider.state.word == "conflict" and "somebody else" in slider.state.sentence

    click(slider._controls.cancel)

    assert slider.state.word == "settled"


def test_json_has_what_is_seen_and_what_is_wished(slider: TrafficSlider) -> None:
    drag(slider, 20)

    assert slider.json["wish"] == 20 and slider.json["requested"]["sklearn-iris-predictor-00002"] == 10


def test_an_outage_is_said_beside_the_last_status(slider: TrafficSlider) -> None:
    slider._seat.live.close()
    lost = replace(slider.snapshot, state="stale", age_s=10, reason="the cluster does not respond")

    slider._take(lost)

    assert "✖ stale: nothing was heard for 10 s" in slider._controls.observed.value
    assert "the cluster does not respond" in slider._controls.observed.value and "✖ stale" in slider.text
    assert "LATEST 10 %" in slider._controls.observed.value


def test_the_view_says_it_in_words_and_to_a_screen_reader(slider: TrafficSlider) -> None:
    assert "role='img' aria-label='traffic: PREV 90 % → 00001, LATEST 10 % → 00002'" in slider._controls.observed.value
    assert "✔ READY True" in slider._controls.observed.value and "role='status'" in slider._controls.plan.value


def test_close_leaves_the_last_picture_and_no_thread(slider: TrafficSlider) -> None:
    slider.close()
    slider.close()

    assert slider._seat.live.closed and slider._controls.handle.disabled
    assert "locked: closed" in slider._controls.plan.value and "LATEST 10 %" in slider._controls.observed.value


def test_unknown_arguments_are_errors(rollout: Rollout) -> None:
    with pytest.raises(TypeError):
        TrafficSlider(rollout, colour="red")  # type: ignore[call-arg]


def test_where_nothing_may_be_changed_it_is_locked_and_says_why(api: FakeApi, rollout: Rollout) -> None:
    api.load("02-canary-10")
    rollout.client.read_only = "RBAC does not let you patch inferenceservices in namespace kserve-test"

    slider = TrafficSlider(rollout)

    until(slider, 10)
    assert "locked: read-only: RBAC does not let you patch" in slider._controls.plan.value
    assert slider._controls.apply.disabled and slider._controls.pin.disabled
    slider.close()
