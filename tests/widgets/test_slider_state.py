"""The slider's state machine: what is seen and what was done, to one word, one sentence, and what can be pressed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kserve_nb.observe.snapshot import Snapshot
from kserve_nb.values.revisions import Revision
from kserve_nb.values.rollout_status import RolloutStatus
from kserve_nb.widgets.slider.slider_order import Order, blocked, order_of, question, second_question
from kserve_nb.widgets.slider.slider_state import State, Story, Wish, state_of, steps_of, told, under_way
from tests.fake_api import one
from tests.widgets.replay import at
from tests.widgets.test_texts import counted

NOW = at(50)  # 90/10, settled
TWENTY, PIN = Order("apply", 20), Order("pin", 0)
UID = NOW.status.uid if NOW.status else ""
NEXT = (UID, 99)  # an edition that was not seen yet
LATEST = "sklearn-iris-predictor-00002"


def status(step: str = "02-canary-10", **changes: object) -> RolloutStatus:
    return replace(RolloutStatus.of(one(step, "isvc")), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(("seen", "wish", "read_only", "locked", "word"), [
    (Snapshot("iris"), Wish(10), "", "", "loading"),
    (replace(NOW, state="closed"), Wish(10), "", "", "closed"),
    (replace(NOW, state="stale"), Wish(10, open=True), "", "", "stale"),
    (replace(NOW, state="error"), Wish(10, writing=TWENTY), "", "", "stale"),
    (NOW, Wish(20, open=True), "RBAC", "RBAC", "read-only"),
    (NOW, Wish(20, open=True), "", "first rollout", "locked"),
    (NOW, Wish(20, open=True), "", "", "dirty"),
    (NOW, Wish(20, open=True).asked(TWENTY), "", "", "confirm"),
    (NOW, Wish(20, open=True).sent(TWENTY), "", "", "applying"),
    (NOW, Wish(20, open=True).ended("conflict", TWENTY, "no"), "", "", "conflict"),
    (NOW, Wish(20, open=True).ended("rejected", TWENTY, "no"), "", "", "rejected"),
    (NOW, Wish(20, open=True).ended("unknown", TWENTY, "no"), "", "", "unknown"),
    (NOW, Wish(20).taken(TWENTY, NEXT), "", "", "accepted"),
    (replace(NOW, failure="log\nno such model"), Wish(10), "", "", "canary-failed"),
    (replace(NOW, missing="no pod is ready"), Wish(10), "", "", "reconciling"),
    (replace(NOW, missing="no pod is ready"), Wish(20, open=True).waits(TWENTY), "", "", "reconciling"),
    (replace(NOW, missing="no pod is ready"), Wish(10, stalled=True), "", "", "stalled"),
    (NOW, Wish(10).taken(TWENTY, ("that-was-deleted", 99)), "", "", "settled"),
    (NOW, Wish(10), "", "", "settled"),
    (counted(NOW, hits=96, sent=1000), Wish(10), "", "", "verified"),
    (counted(NOW, hits=300, sent=1000), Wish(10), "", "", "settled"),
])  # fmt: skip
def test_each_state_has_its_word(seen: Snapshot, wish: Wish, read_only: str, locked: str, word: str) -> None:
    assert state_of(seen, wish, read_only, locked).word == word


def test_a_drag_takes_question_and_failure_away_but_nothing_that_was_sent() -> None:
    assert Wish(20).asked(TWENTY).moved(30, is_open=True) == Wish(30, open=True)
    assert Wish(20).ended("rejected", TWENTY, "no").moved(30, is_open=True) == Wish(30, open=True)
    assert Wish(20).sent(TWENTY).moved(30, is_open=True).writing == TWENTY
    assert Wish(20).waits(TWENTY).moved(30, is_open=True).queued == TWENTY


def test_the_queue_has_one_place_and_a_failure_empties_it() -> None:
    waiting = Wish(30).sent(TWENTY).waits(Order("apply", 30)).waits(Order("apply", 40))
    assert waiting.queued == Order("apply", 40) and waiting.writing == TWENTY

    assert waiting.ended("rejected", TWENTY, "no").queued is None
    assert waiting.sent(PIN).queued is None


@pytest.mark.parametrize(("seen", "wish", "busy"), [
    (NOW, Wish(10), False),
    (NOW, Wish(10).sent(TWENTY), True),
    (NOW, Wish(10).taken(TWENTY, NEXT), True),
    (replace(NOW, missing="more"), Wish(10), True),
    (replace(NOW, missing="more", failure="it fails"), Wish(10), False),
    (replace(NOW, missing="more"), Wish(10, stalled=True), False),
])  # fmt: skip
def test_a_failed_or_stalled_order_is_under_way_no_longer(seen: Snapshot, wish: Wish, busy: bool) -> None:
    assert under_way(seen, wish) is busy


@pytest.mark.parametrize(("seen", "wish", "marks", "words"), [
    (NOW, Wish(10), "✔✔✔·", "routed 10 %"),
    (NOW, Wish(20).sent(TWENTY), "✔◌··", "asked 20 %"),
    (NOW, Wish(20).ended("rejected", TWENTY, "no"), "✔✖··", "not accepted"),
    (NOW, Wish(20).ended("unknown", TWENTY, "no"), "✔◌··", "asked 20 %"),
    (NOW, Wish(20).taken(TWENTY, NEXT), "✔✔··", "asked 20 %"),
    (replace(NOW, missing="more"), Wish(10), "✔✔◌·", "routed 10 %"),
    (replace(NOW, failure="it fails"), Wish(10), "✔✔✖·", "routed 10 %"),
    (counted(NOW, hits=96, sent=1000), Wish(10), "✔✔✔✔", "observed 9.6 % [7.9–11.6]"),
    (counted(NOW, hits=300, sent=1000), Wish(10), "✔✔✔✖", "observed 30.0 %"),
    (counted(NOW, hits=1, sent=10, batch=10), Wish(10), "✔✔✔◌", "too few to tell"),
])  # fmt: skip
def test_four_steps_say_how_far_an_order_has_come(seen: Snapshot, wish: Wish, marks: str, words: str) -> None:
    steps = steps_of(seen, wish)

    assert "".join(step.mark for step in steps) == marks and words in " ".join(step.words for step in steps)


def test_a_starting_canary_prepares_and_then_switches() -> None:
    assert state_of(at(34.5), Wish(10), "", "").sentence.startswith("preparing: revision 00002 is not ready yet")
    assert state_of(replace(NOW, missing="traffic is …"), Wish(10), "", "").sentence == "switching: traffic is …"


def test_a_failed_canary_says_who_serves_the_users() -> None:
    state = state_of(replace(NOW, failure="log\nno such model."), Wish(10), "", "")

    assert state.sentence == "the new revision fails: no such model. Users are served by 00001, 00002"


def test_a_story_has_one_sentence_a_transition() -> None:
    story: Story = ()
    for moment, state in enumerate([
        State("loading", "looking"), State("settled", "10 %"), State("settled", "10 %"), State("dirty", "wish 11"),
        State("dirty", "wish 20"), State("applying", "asked 20"), State("settled", "20 %"), State("settled", "30 %"),
    ]):  # fmt: skip
        story = told(story, float(moment), state)

    assert [(when, state.sentence) for when, state in story] == [
        (1.0, "10 %"), (3.0, "wish 20"), (5.0, "asked 20"), (6.0, "20 %"), (7.0, "30 %")]


def test_a_rise_of_more_than_25_points_is_asked_about_twice() -> None:
    now = status()

    assert second_question(Order("apply", 35), now) == "" and second_question(PIN, now) == ""
    assert second_question(Order("apply", 36), now).startswith("That is 26 points at once: of 100 users 26 more meet")
    assert "90 points" in second_question(Order("promote", None), now)


def test_each_order_says_in_words_what_yes_does() -> None:
    now = status()
    said = {order.verb: question(order, now) for order in (
        TWENTY, Order("promote", None), PIN, Order("back", 5))}  # fmt: skip

    assert said == {
        "apply": "Apply: LATEST (00002) gets 20 % of the users, PREV (00001) the other 80 %. Do it?",
        "promote": "Promote LATEST (00002): all users get it, and a roll back leads to it from then on. "
        "PREV (00001) loses its pod about a minute after its last request. Do it?",
        "pin": "Pin previous: all users go back to PREV (00001); LATEST (00002) keeps its pod and gets nobody. Do it?",
        "back": "Back to the last split: LATEST (00002) gets 5 % of the users, PREV (00001) the other 95 %. Do it?",
    }


def test_a_promote_takes_the_field_away_in_the_command_too() -> None:
    assert Order("promote", None).command("iris", "demo") == (
        """kubectl patch isvc iris -n demo --type=merge -p '{"spec":{"predictor":{"canaryTrafficPercent":null}}}'""")
    assert order_of("back", 10, None) == Order("back", 10) and order_of("pin", 10, None) == PIN


def test_each_button_that_cannot_be_pressed_says_why() -> None:
    here = Order("apply", 10)

    assert blocked(NOW, status(), here, None) == {
        "apply": "nothing to apply: 10 % is what is asked. Drag the handle, or use arrow keys",
        "back": "no other split of this model was seen"}
    assert blocked(NOW, status("05-rollback"), TWENTY, PIN) == {"pin": "PREV has all users already"}
    assert blocked(NOW, status(requested_percent=None), TWENTY, PIN) == {"promote": "LATEST has all users already"}


@pytest.mark.parametrize("pending", [
    {"latest_created": "sklearn-iris-predictor-00003"},  # Knative has made it, and it is not ready
    {"model": "gs://a/third"},  # it was asked for a moment ago, and nothing has been made of it
])  # fmt: skip
def test_no_order_sends_users_to_a_revision_that_is_pinned_away(pending: dict[str, str]) -> None:
    now = status("05-rollback", **pending)
    old = Revision(LATEST, ready=True, model=status("05-rollback").model)

    why = blocked(replace(NOW, revisions=(old,)), now, TWENTY, Order("back", 10))

    assert set(why) == {"apply", "promote", "back", "pin"}
    assert why["apply"] == (
        "sklearn-iris: 20 % would go to 00002, which is pinned away, until the new revision is ready. "
        "First await rollout.wait(), then the percent.")
    assert why["promote"].startswith("sklearn-iris: 100 % would go to 00002")
