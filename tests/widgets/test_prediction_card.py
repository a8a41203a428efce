"""The card of a prediction: a form, the cluster's answer next to it, and no waiting."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kserve_nb.rollout.rollout import Rollout
from kserve_nb.tasks.course_questions import question_named
from kserve_nb.tasks.learner_progress import LearnerProgress
from kserve_nb.widgets.prediction_card import PredictionCard
from tests.fake_api import FakeApi
from tests.widgets.page import press, text_of, type_into
from tests.widgets.seen import until
from tests.widgets.test_task_card import route


@pytest.fixture
def card(api: FakeApi, rollout: Rollout, progress: LearnerProgress) -> Iterator[PredictionCard]:
    api.load("02-canary-10")
    shown = PredictionCard(question_named("percent-revision"), rollout, progress)
    yield shown
    shown.close()


def test_the_form_takes_a_prediction_and_the_cluster_answers(
    api: FakeApi, card: PredictionCard, progress: LearnerProgress
) -> None:
    card._draft["answer"] = "yes"
    press(card, "Enter prediction")
    assert "Your prediction: yes" in text_of(card)

    route(api, 35)
    until(card, lambda _snapshot: card.result is not None)

    assert card.result == {"answer": "no"}
    assert "answer: you yes, the cluster no" in card.text and "A percent only changes traffic." in text_of(card)
    assert progress.predictions() == {"percent-revision": False}


def test_it_is_not_answered_before_the_change(card: PredictionCard) -> None:
    card.enter("no")

    assert card.result is None and card.compare().result is None
    assert "The cluster answers after the next cells." in card.text


def test_without_a_prediction_the_card_reports_that_it_is_skipped(api: FakeApi, card: PredictionCard) -> None:
    route(api, 35)
    until(card, lambda _snapshot: card.result is not None)

    assert "No prediction was entered" in card.text and "the cluster no" in card.text


def test_a_prediction_after_the_change_does_not_count(
    api: FakeApi, card: PredictionCard, progress: LearnerProgress
) -> None:
    route(api, 35)
    until(card, lambda _snapshot: card.result is not None)

    card.enter("no")

    assert "after the change, so it does not count" in card.text and progress.predictions() == {}


def test_a_cell_can_bring_the_answer(api: FakeApi, rollout: Rollout, progress: LearnerProgress) -> None:
    api.load("02-canary-10")
    card = PredictionCard(question_named("canary-failures"), rollout, progress)
    type_into(card, "your answer", "3")
    press(card, "Enter prediction")

    card.answer(0)
    card.close()

    assert "you 3, the cluster 0" in card.text and "No request fails" in card.text


def test_invalid_input_is_explained_in_the_form(api: FakeApi, rollout: Rollout, progress: LearnerProgress) -> None:
    api.load("02-canary-10")
    card = PredictionCard(question_named("canary-row"), rollout, progress)
    for label, value in (("PREV", "90"), ("LATEST", "ten"), ("pods", "2")):
        type_into(card, label, value)

    press(card, "Enter prediction")
    assert "LATEST: 'ten' is not a number" in text_of(card)

    type_into(card, "LATEST", "10")
    press(card, "Enter prediction")
    card.close()
    assert "Your prediction: PREV 90, LATEST 10, pods 2" in text_of(card)
