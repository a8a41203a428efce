"""The slider, played by `set_state` as a browser would."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import ipywidgets
import pytest

from kserve_nb.model import RolloutStatus
from kserve_nb.rollout import NotPossibleError, Rollout
from kserve_nb.snapshot import Snapshot
from kserve_nb.widgets.slider_state import Wish, state_of
from kserve_nb.widgets.traffic_slider import TrafficSlider
from tests.fake_api import ISVC, FakeApi, one
from tests.widgets.replay import at
from tests.widgets.test_texts import counted

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


def edited(percent: int) -> dict[str, Any]:
    """The InferenceService as somebody else's patch leaves it."""
    changed = one("02-canary-10", "isvc")
    changed["spec"]["predictor"]["canaryTrafficPercent"] = percent
    changed["metadata"]["generation"] += 1
    changed["metadata"]["resourceVersion"] += "1"
    return changed


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

    assert bundle["text/plain"] == (
        "sklearn-iris: PREV 90 % → 00001 · LATEST 10 % → 00002 · READY True\n"
        "state: settled: 10 % is asked and routed"
    )
    assert "READY True" in bundle["text/html"] and "application/vnd.jupyter.widget-view+json" in bundle


def test_somebody_elses_edit_takes_the_question_away(api: FakeApi, slider: TrafficSlider) -> None:
    drag(slider, 20)
    click(slider.apply_button)

    api.put(f"{ISVC}/sklearn-iris", edited(30))
    until(slider, 30)

    assert slider._answers.layout.display == "none"
    assert "✖ not applied: it was changed meanwhile" in slider._note.value
    assert "30 → 20 %" in slider._plan.value and asked(api) == []


def test_an_edit_that_the_view_has_not_seen_is_not_written_over(api: FakeApi, slider: TrafficSlider) -> None:
    drag(slider, 20)
    click(slider.apply_button)
    slider._seat.live.close()

    api.put(f"{ISVC}/sklearn-iris", edited(30))
    click(slider.confirm_button)

    assert asked(api) == []
    assert "somebody else changed it meanwhile: it asks for 30 % now, and asked for 10 %" in slider._note.value


def test_a_look_that_was_under_way_does_not_undo_what_was_written(slider: TrafficSlider) -> None:
    before = slider.snapshot
    slider._seat.live.close()
    slider.status = RolloutStatus.of(edited(30))

    slider._take(before)

    assert slider.status.asked_percent == 30


def test_an_exception_of_a_callback_is_said_in_the_view(slider: TrafficSlider, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: Any) -> None:
        raise ValueError("a <fault>")

    monkeypatch.setattr(slider, "apply", broken)
    click(slider.apply_button)
    assert "✖ a &lt;fault&gt;" in slider._note.value

    monkeypatch.setattr(slider, "cancel", broken)
    slider._note.value = ""
    click(slider.cancel_button)
    assert "✖ a &lt;fault&gt;" in slider._note.value


def test_nothing_to_apply_is_said_beside_the_disabled_button(slider: TrafficSlider) -> None:
    assert slider.apply_button.disabled and "nothing to apply: 10 % is what is asked" in slider._plan.value

    drag(slider, 11)

    assert not slider.apply_button.disabled


def test_what_is_gone_is_said_and_locks(api: FakeApi, slider: TrafficSlider) -> None:
    gone = threading.Event()
    slider.observe(lambda change: gone.set() if change["new"] is None else None, "status")

    api.put(f"{ISVC}/sklearn-iris", one("02-canary-10", "isvc"), "DELETED")

    assert gone.wait(DEADLINE_S)
    assert slider.apply_button.disabled
    assert "locked: sklearn-iris: there is none in kserve-test" in slider._plan.value


def test_a_wish_goes_from_dirty_to_confirm_to_accepted(slider: TrafficSlider) -> None:
    drag(slider, 20)
    assert slider.state.word == "dirty" and "state: dirty" in slider.text

    click(slider.apply_button)
    assert slider.state.word == "confirm" and "confirm: 20 %" in slider._observed.value

    slider._seat.live.close()
    click(slider.confirm_button)
    assert slider.state.word == "accepted" and slider.json["slider"]["word"] == "accepted"


def test_somebody_elses_edit_is_a_conflict_until_the_wish_is_dropped(api: FakeApi, slider: TrafficSlider) -> None:
    drag(slider, 20)
    click(slider.apply_button)
    slider._seat.live.close()
    api.put(f"{ISVC}/sklearn-iris", edited(30))
    click(slider.confirm_button)
    assert slider.state.word == "conflict" and "somebody else" in slider.state.sentence

    click(slider.cancel_button)

    assert slider.state.word == "settled"


NOW = Snapshot("iris", state="live")


@pytest.mark.parametrize(("seen", "wish", "read_only", "locked", "word"), [
    (Snapshot("iris"), Wish(10), "", "", "loading"),
    (replace(NOW, state="closed"), Wish(10), "", "", "closed"),
    (replace(NOW, state="stale"), Wish(10, open=True), "", "", "stale"),
    (NOW, Wish(10, open=True), "RBAC", "RBAC", "read-only"),
    (NOW, Wish(10, open=True), "", "first rollout", "locked"),
    (NOW, Wish(10, refused="no", changed=True), "", "", "conflict"),
    (NOW, Wish(10, refused="no"), "", "", "rejected"),
    (NOW, Wish(10, open=True, questioned=True), "", "", "confirm"),
    (NOW, Wish(10, open=True), "", "", "dirty"),
    (replace(NOW, failure="log\nno such model"), Wish(10), "", "", "canary-failed"),
    (replace(NOW, left="no pod is ready"), Wish(10), "", "", "reconciling"),
    (NOW, Wish(10), "", "", "settled"),
])  # fmt: skip
def test_each_state_has_its_word(seen: Snapshot, wish: Wish, read_only: str, locked: str, word: str) -> None:
    assert state_of(seen, wish, read_only, locked).word == word


def test_enough_requests_verify_a_split() -> None:
    assert state_of(counted(at(50), hits=96, sent=1000), Wish(10), "", "").word == "verified"


def test_json_has_what_is_seen_and_what_is_wished(slider: TrafficSlider) -> None:
    drag(slider, 20)

    assert slider.json["wish"] == 20 and slider.json["asked"]["sklearn-iris-predictor-00002"] == 10


def test_an_outage_is_said_beside_the_last_status(slider: TrafficSlider) -> None:
    slider._seat.live.close()
    lost = replace(slider.snapshot, state="stale", age_s=10, reason="the cluster does not answer")

    slider._take(lost)

    assert "✖ stale: nothing was heard for 10 s" in slider._observed.value
    assert "the cluster does not answer" in slider._observed.value and "✖ stale" in slider.text
    assert "LATEST 10 %" in slider._observed.value


def test_the_view_says_it_in_words_and_to_a_screen_reader(slider: TrafficSlider) -> None:
    assert "role='img' aria-label='traffic: PREV 90 % → 00001, LATEST 10 % → 00002'" in slider._observed.value
    assert "✔ READY True" in slider._observed.value and "role='status'" in slider._plan.value


def test_close_leaves_the_last_picture_and_no_thread(slider: TrafficSlider) -> None:
    slider.close()
    slider.close()

    assert slider._seat.live.closed and slider._handle.disabled
    assert "locked: closed" in slider._plan.value and "LATEST 10 %" in slider._observed.value


def test_unknown_arguments_are_errors(rollout: Rollout) -> None:
    with pytest.raises(TypeError):
        TrafficSlider(rollout, colour="red")  # type: ignore[call-arg]


def test_where_nothing_may_be_changed_it_is_locked_and_says_why(api: FakeApi, rollout: Rollout) -> None:
    api.load("02-canary-10")
    rollout.client.read_only = "RBAC does not let you patch inferenceservices in namespace kserve-test"

    slider = TrafficSlider(rollout)

    until(slider, 10)
    assert "locked: read-only: RBAC does not let you patch" in slider._plan.value and slider.apply_button.disabled
    slider.close()
