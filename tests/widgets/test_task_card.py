"""The card of a task: it follows the cluster's state, gives hints, and solves the task on request."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from kserve_nb.rollout.rollout import Rollout
from kserve_nb.tasks.course_tasks import task_named
from kserve_nb.tasks.learner_progress import LearnerProgress
from kserve_nb.widgets.task_card import TaskCard
from tests.fake_api import ISVC, KSVC, FakeApi
from tests.widgets.page import buttons, press, text_of
from tests.widgets.seen import until

SERVICE = f"{ISVC}/sklearn-iris"


@pytest.fixture
def progress(tmp_path: Path) -> LearnerProgress:
    return LearnerProgress(tmp_path / "state" / "progress.json")


@pytest.fixture
def card(api: FakeApi, rollout: Rollout, progress: LearnerProgress) -> Iterator[TaskCard]:
    api.load("02-canary-10")
    task = task_named("canary-percent")
    shown = TaskCard(task, rollout, task.targets(), progress)
    yield shown
    shown.close()


def route(api: FakeApi, percent: int) -> None:
    """Request and route a percent, as the controllers leave it."""
    isvc = {**api.objects[SERVICE]}
    isvc["spec"]["predictor"]["canaryTrafficPercent"] = percent
    meta = isvc["metadata"]
    meta["generation"] += 1
    meta["resourceVersion"] = str(int(meta["resourceVersion"]) + 1)
    ksvc = {**api.objects[f"{KSVC}/sklearn-iris-predictor"]}
    for rows in (isvc["status"]["components"]["predictor"]["traffic"], ksvc["spec"]["traffic"]):
        rows[0]["percent"], rows[1]["percent"] = percent, 100 - percent
    api.put(f"{KSVC}/sklearn-iris-predictor", ksvc)
    api.put(SERVICE, isvc)


def test_it_ticks_itself_and_is_open_again_when_the_state_is_undone(
    api: FakeApi, card: TaskCard, progress: LearnerProgress
) -> None:
    assert card.text.splitlines()[0] == "○ task: Another share of the users"
    assert "Now: the traffic is PREV 90 % (00001), LATEST 10 % (00002)." in text_of(card)

    route(api, 35)
    until(card, lambda _snapshot: card.done)
    assert "✔ done" in text_of(card) and not [b for b in buttons(card) if b.text == "Show me"]
    assert progress.task("canary-percent").done_at > 0

    route(api, 20)
    until(card, lambda _snapshot: not card.done)
    assert "It was done at" in card.text and "has been undone" in card.text
    assert progress.task("canary-percent").done_at == 0 and progress.task("canary-percent").done


def test_finishing_reads_the_cluster_once_more(api: FakeApi, card: TaskCard) -> None:
    card.close()  # the card no longer watches the cluster
    route(api, 35)

    result = card.finish()

    assert result.done and repr(result) == "✔ task canary-percent: Another share of the users"


def test_an_open_task_is_reported_and_does_not_fail(card: TaskCard) -> None:
    assert repr(card.finish()).startswith(
        "○ task canary-percent is open: the traffic is PREV 90 % (00001), LATEST 10 % (00002). The notebook goes on")


def test_show_me_solves_the_task_and_is_recorded(api: FakeApi, card: TaskCard, progress: LearnerProgress) -> None:
    api.patched.clear()
    press(card, "Show me")
    assert api.patched.wait(60)
    route(api, 35)
    until(card, lambda _snapshot: card.done)

    assert ("PATCH", SERVICE) in [(verb, path) for verb, path, _ in api.writes]
    assert "It was shown to you" in card.text and progress.task("canary-percent").shown
    assert repr(card.finish()).endswith("(shown)")


def test_a_solution_that_fails_is_shown_in_the_card(api: FakeApi, card: TaskCard) -> None:
    api.turned_down = "no"

    with pytest.raises(RuntimeError, match="no"):
        asyncio.run(card.solve(1))

    press(card, "Show me")
    until(card, lambda content: "Show me: no" in card.text, "content")


def test_a_new_kernel_goes_on_with_the_rejected_attempts(
    api: FakeApi, rollout: Rollout, progress: LearnerProgress
) -> None:
    api.load("02-canary-10")
    task = task_named("canary-percent")
    first = TaskCard(task, rollout, task.targets(), progress)
    first._attempt.resume(2)
    first._read_now()
    first.close()

    again = TaskCard(task, rollout, task.targets(), LearnerProgress(progress.file))
    again.close()

    assert again.state.rejected == 2
