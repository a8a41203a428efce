"""Tests of the slider's state machine: the phase, its sentence, and the enabled buttons in each state."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kserve_nb.observe.snapshot import Snapshot
from kserve_nb.rollout.errors import ChangedError
from kserve_nb.values.revisions import Revision
from kserve_nb.values.rollout_status import RolloutStatus
from kserve_nb.widgets.slider.slider_phase import Journal, SliderPhase, journaled, phase_of, steps_of
from kserve_nb.widgets.slider.slider_state import SliderState
from kserve_nb.widgets.slider.traffic_change import TrafficChange, blocked, change_of, question, second_question
from tests.fake_api import one
from tests.widgets.replay import at
from tests.widgets.test_texts import counted

NOW = at(50)  # 90/10, settled
TWENTY, PIN = TrafficChange("apply", 20), TrafficChange("pin", 0)
FORTY = TrafficChange("apply", 40)
UID = NOW.status.uid if NOW.status else ""
LATEST = "sklearn-iris-predictor-00002"
MOVING = replace(NOW, missing="no pod is ready")


def status(step: str = "02-canary-10", **changes: object) -> RolloutStatus:
    return replace(RolloutStatus.of(one(step, "isvc")), **changes)  # type: ignore[arg-type]


def state(snapshot: Snapshot = NOW, draft: int = 10) -> SliderState:
    """A slider that shows a snapshot, with the handle at a percent."""
    seen = SliderState(snapshot).seen(snapshot, 0.0)
    return seen.edited(draft) if draft != seen.draft_percent else seen


def stored(change: TrafficChange, uid: str = UID) -> SliderState:
    """A slider whose write was stored, before the watch has reported it."""
    after = replace(NOW.status, uid=uid, generation=99, requested_percent=change.percent)  # type: ignore[type-var]
    return state(draft=change.latest_percent).sent(change).stored(change, after)


@pytest.mark.parametrize(("found", "read_only", "unavailable", "word"), [
    (SliderState(Snapshot("iris")), "", "", "loading"),
    (state(replace(NOW, state="closed")), "", "", "closed"),
    (state(replace(NOW, state="stale"), 20), "", "", "stale"),
    (state(replace(NOW, state="error")).sent(TWENTY), "", "", "stale"),
    (state(draft=20), "RBAC", "RBAC", "read-only"),
    (state(draft=20), "", "first rollout", "unavailable"),
    (state(draft=20), "", "", "edited"),
    (state(draft=20).proposed(TWENTY), "", "", "confirming"),
    (state(draft=20).sent(TWENTY), "", "", "writing"),
    (state(draft=20).sent(TWENTY).write_failed(TWENTY, ChangedError("no")), "", "", "conflict"),
    (state(draft=20).sent(TWENTY).write_failed(TWENTY, RuntimeError("no")), "", "", "rejected"),
    (stored(TWENTY), "", "", "accepted"),
    (state(replace(NOW, failure="log\nno such model")), "", "", "canary-failed"),
    (state(MOVING), "", "", "routing"),
    (state(MOVING, 20).proposed(TWENTY).enqueued(), "", "", "routing"),
    (state(MOVING).seen(MOVING, 60.0), "", "", "stalled"),
    (stored(TWENTY, uid="deleted-since").seen(NOW, 1.0), "", "", "settled"),
    (state(), "", "", "settled"),
    (state(counted(NOW, hits=96, sent=1000)), "", "", "verified"),
    (state(counted(NOW, hits=300, sent=1000)), "", "", "settled"),
])  # fmt: skip
def test_each_phase_has_a_name(found: SliderState, read_only: str, unavailable: str, word: str) -> None:
    assert phase_of(found, read_only=read_only, unavailable=unavailable).word == word


def test_an_edit_drops_question_and_failure_but_nothing_that_was_sent() -> None:
    assert state(draft=20).proposed(TWENTY).edited(30).confirming is None
    failed = state(draft=20).sent(TWENTY).write_failed(TWENTY, RuntimeError("no"))
    assert failed.outcome == "rejected" and failed.edited(30).outcome == ""
    assert state(draft=20).sent(TWENTY).edited(30).writing == TWENTY
    assert state(draft=20).proposed(TWENTY).enqueued().edited(30).queued == TWENTY


def test_the_queue_has_one_place_and_a_failure_empties_it() -> None:
    waiting = state(draft=20).sent(TWENTY).proposed(TrafficChange("apply", 30)).enqueued().proposed(FORTY).enqueued()
    assert waiting.queued == FORTY and waiting.writing == TWENTY

    assert waiting.write_failed(TWENTY, RuntimeError("no")).queued is None
    assert waiting.sent(PIN).queued is None


def test_an_answer_to_a_replaced_write_changes_nothing() -> None:
    replaced = state(draft=20).sent(TWENTY).sent(PIN)

    assert replaced.write_failed(TWENTY, RuntimeError("no")) == replaced


@pytest.mark.parametrize(("found", "busy"), [
    (state(), False),
    (state().sent(TWENTY), True),
    (stored(TWENTY), True),
    (state(MOVING), True),
    (state(replace(MOVING, failure="it fails")), False),
    (state(MOVING).seen(MOVING, 60.0), False),
    (state(MOVING).seen(MOVING, 59.0), True),
])  # fmt: skip
def test_a_failed_or_stalled_change_is_under_way_no_longer(found: SliderState, busy: bool) -> None:
    assert found.is_under_way is busy


@pytest.mark.parametrize(("found", "next_"), [
    (state(draft=20).proposed(TWENTY), "write"),
    (state(draft=60).proposed(TrafficChange("apply", 60)), "confirm again"),
    (state(draft=60).proposed(TrafficChange("apply", 60)).confirmed_first(), "write"),
    (state(MOVING, 20).proposed(TWENTY), "queue"),
    (state(MOVING).proposed(PIN), "write"),
    (state(), "wait"),
])  # fmt: skip
def test_yes_writes_queues_or_needs_a_second_confirmation(found: SliderState, next_: str) -> None:
    assert found.after_yes == next_


@pytest.mark.parametrize(("found", "marks", "words"), [
    (state(), "✔✔✔·", "routed 10 %"),
    (state().sent(TWENTY), "✔◌··", "requested 20 %"),
    (state().sent(TWENTY).write_failed(TWENTY, RuntimeError("no")), "✔✖··", "not accepted"),
    (stored(TWENTY), "✔✔··", "requested 20 %"),
    (state(MOVING), "✔✔◌·", "routed 10 %"),
    (state(replace(NOW, failure="it fails")), "✔✔✖·", "routed 10 %"),
    (state(counted(NOW, hits=96, sent=1000)), "✔✔✔✔", "observed 9.6 % [7.0–12.6]"),
    (state(counted(NOW, hits=300, sent=1000)), "✔✔✔✖", "observed 30.0 %"),
    (state(counted(NOW, hits=1, sent=10, batch=10)), "✔✔✔◌", "too few requests to tell"),
])  # fmt: skip
def test_four_steps_show_how_far_a_change_has_come(found: SliderState, marks: str, words: str) -> None:
    steps = [step.words for step in steps_of(found)]

    assert "".join(step[0] for step in steps) == marks and words in " ".join(steps)


def test_the_handle_follows_the_cluster_unless_it_was_moved() -> None:
    other = replace(NOW, status=status(requested_percent=30, generation=99))

    assert state().seen(other, 1.0).draft_percent == 30
    moved = state(draft=50).seen(other, 1.0)
    assert moved.draft_percent == 50 and moved.message and "changed" in moved.message.text


def phase(found: SliderState) -> SliderPhase:
    return phase_of(found, read_only="", unavailable="")


def test_a_starting_canary_prepares_and_then_switches() -> None:
    assert phase(state(at(34.5))).sentence.startswith("the new revision is starting (revision 00002 is not ready yet")
    assert phase(state(replace(NOW, missing="traffic is …"))).sentence == "Knative is switching the traffic"


def test_a_failed_canary_names_the_revision_that_serves_the_users() -> None:
    found = phase(state(replace(NOW, failure="log\nno such model.")))

    assert found.sentence == "the new revision fails: no such model. Users are served by 00001, 00002"


def test_the_journal_has_one_line_per_phase() -> None:
    journal: Journal = ()
    for moment, (word, sentence) in enumerate([
        ("loading", "looking"), ("settled", "10 %"), ("settled", "10 %"), ("edited", "draft 11"),
        ("edited", "draft 20"), ("writing", "sent 20"), ("settled", "20 %"), ("settled", "30 %"),
    ]):  # fmt: skip
        journal = journaled(journal, float(moment), SliderPhase(word, sentence))  # type: ignore[arg-type]

    assert [(when, found.sentence) for when, found in journal] == [
        (1.0, "10 %"), (3.0, "draft 20"), (5.0, "sent 20"), (6.0, "20 %"), (7.0, "30 %")]


def test_an_increase_of_more_than_25_points_needs_two_confirmations() -> None:
    now = status()

    assert second_question(TrafficChange("apply", 35), now) == "" and second_question(PIN, now) == ""
    said = second_question(TrafficChange("apply", 36), now)
    assert said.startswith("This moves 26 points at once, more than 25: 26 of 100 requests more reach LATEST")
    assert "90 points" in second_question(TrafficChange("promote", None), now)


def test_each_confirmation_describes_its_change() -> None:
    now = status()
    said = {change.action: question(change, now) for change in (
        TWENTY, TrafficChange("promote", None), PIN, TrafficChange("back", 5))}  # fmt: skip

    assert said == {
        "apply": "Apply? LATEST (00002) gets 20 % of the traffic, PREV (00001) 80 %.",
        "promote": "Promote LATEST (00002)? It gets all traffic, and later rollbacks return to it. "
        "PREV (00001) gets no more requests, and its pod is removed after the scale-down waiting period.",
        "pin": "Pin the previous revision? PREV (00001) gets all traffic; LATEST (00002) keeps its pod and gets none.",
        "back": "Return to the last split? LATEST (00002) gets 5 % of the traffic, PREV (00001) 95 %.",
    }


def test_a_promote_takes_the_field_away_in_the_command_too() -> None:
    assert TrafficChange("promote", None).command("iris", "demo") == (
        """kubectl patch isvc iris -n demo --type=merge -p '{"spec":{"predictor":{"canaryTrafficPercent":null}}}'""")
    assert change_of("back", 10, None) == TrafficChange("back", 10) and change_of("pin", 10, None) == PIN


def test_each_disabled_button_states_the_reason() -> None:
    assert blocked(NOW, status(), 10, None) == {
        "apply": "10 % is requested already: move the handle",
        "back": "this view has seen no earlier split of this model"}
    assert blocked(NOW, status("05-rollback"), 20, PIN) == {"pin": "PREV has all traffic already"}
    assert blocked(NOW, status(requested_percent=None), 20, PIN) == {"promote": "LATEST has all traffic already"}


@pytest.mark.parametrize("pending", [
    {"latest_created": "sklearn-iris-predictor-00003"},  # Knative has created it, and it is not ready
    {"model": "gs://a/third"},  # it was requested a moment ago, and no revision exists yet
])  # fmt: skip
def test_no_change_sends_users_to_a_revision_that_is_pinned_away(pending: dict[str, str]) -> None:
    now = status("05-rollback", **pending)
    old = Revision(LATEST, ready=True, model=status("05-rollback").model)

    why = blocked(replace(NOW, revisions=(old,)), now, 20, TrafficChange("back", 10))

    assert set(why) == {"apply", "promote", "back", "pin"}
    assert why["apply"] == (
        "sklearn-iris: 20 % would go to 00002, which is pinned away, until the new revision is ready. "
        "First await rollout.wait(), then the percent.")
    assert why["promote"].startswith("sklearn-iris: 100 % would go to 00002")
