"""The card of a drill: the lock of the doctor, attempts, the hint, the repair, and the result."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kserve_nb.rollout.rollout import Rollout
from kserve_nb.tasks.drill import HINT_AFTER_S, DrillClock
from kserve_nb.tasks.drill_faults import FAULTS, correct_command
from kserve_nb.tasks.learner_progress import LearnerProgress
from kserve_nb.widgets.drill_card import DrillCard
from tests.fake_api import FakeApi
from tests.widgets.page import press, text_of, type_into
from tests.widgets.seen import until
from tests.widgets.test_task_card import route

NO_TYPE = next(fault for fault in FAULTS if fault.id == "no-content-type")
TOO_MUCH = next(fault for fault in FAULTS if fault.id == "over-hundred")
HOST = "sklearn-iris-predictor.kserve-test.example.com"


@pytest.fixture
def card(api: FakeApi, rollout: Rollout, progress: LearnerProgress) -> Iterator[DrillCard]:
    api.load("02-canary-10")
    shown = DrillCard(8, NO_TYPE, rollout, progress, HOST)
    yield shown
    shown.finish()


def test_a_repaired_command_ends_it(card: DrillCard, rollout: Rollout, progress: LearnerProgress) -> None:
    assert card.is_locked and "The doctor is locked" in text_of(card)
    assert "Content-Type" not in card.text and "A hint comes two minutes" in card.text

    type_into(card, "The repaired command", "curl")
    press(card, "Send it")
    assert not card.repaired and not card.is_locked and "names no address" in card.text

    type_into(card, "The repaired command", correct_command(HOST, rollout.ingress.address))
    press(card, "Send it")
    assert card.repaired

    result = card.finish()
    assert (result.repaired, result.attempts, result.fault) == (True, 2, "no-content-type")
    assert progress.drills()[0]["repaired"] and len(progress.drills()) == 1


def test_a_fault_of_the_cluster_is_repaired_when_its_state_is_healthy(
    api: FakeApi, rollout: Rollout, progress: LearnerProgress
) -> None:
    api.load("02-canary-10")
    card = DrillCard(14, TOO_MUCH, rollout, progress, HOST)
    route(api, 101)
    until(card, lambda _snapshot: card._fault_seen)

    route(api, 20)
    until(card, lambda _snapshot: not card.is_locked)
    assert not card.repaired

    route(api, 10)
    until(card, lambda _snapshot: card.repaired)
    assert card.finish().attempts == 2


def test_a_repair_counts_although_no_state_showed_the_fault(
    api: FakeApi, rollout: Rollout, progress: LearnerProgress
) -> None:
    api.load("02-canary-10")
    card = DrillCard(14, TOO_MUCH, rollout, progress, HOST)
    card._generation = rollout.status().generation  # the fault was written, and repaired before the feed saw it
    until(card, lambda snapshot: snapshot.state == "live")
    assert not card.repaired

    route(api, 10)
    until(card, lambda _snapshot: card.repaired)
    assert card.finish().attempts == 1


def test_an_open_drill_is_reported_as_open(card: DrillCard) -> None:
    assert repr(card.finish()) == "○ drill 8 is open. The notebook goes on without it."


def test_the_hint_comes_after_two_minutes() -> None:
    clock = DrillClock(0, NO_TYPE, began=100.0)

    assert clock.hint(100.0) == "A hint comes two minutes after the start."
    assert clock.hint(100.0 + HINT_AFTER_S) == f"Hint: {NO_TYPE.hint}"
    clock.note(True, 300.0)
    assert clock.hint(400.0) == "" and repr(clock.result(500.0, 10, 1)) == (
        "✔ drill 0: you repaired 'no-content-type' in 200 s, with 1 attempt; 1 of 10 requests of users failed")
