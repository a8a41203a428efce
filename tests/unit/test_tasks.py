"""Every task can be solved, an untouched one stays open, and each wrong attempt gets its own hint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from kserve_nb.tasks.course_tasks import NOTEBOOKS, TASKS, task_named, tasks_of
from kserve_nb.tasks.task import CourseTask
from kserve_nb.tasks.task_attempt import TaskAttempt
from kserve_nb.values.manifest import MODEL, MODEL_2, inference_service
from tests.unit.simulator import BROKEN, NAME
from tests.unit.task_world import BEFORE, BOTH, DELETE, WINE_1, Change, Learner, learner_at, percent

each = pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.id)
TAG = {"metadata": {"annotations": {"serving.kserve.io/enable-tag-routing": None}}}
LABEL = {"metadata": {"labels": {"team": "botany"}}}


def model(uri: str, **predictor: Any) -> dict[str, Any]:
    return {"spec": {"predictor": {"model": {"storageUri": uri}, **predictor}}}


def began(task: CourseTask, seed: str = "") -> tuple[Learner, TaskAttempt]:
    """A learner who has just opened the task."""
    learner, attempt = learner_at(task.id), TaskAttempt(task, task.targets(seed))
    learner.name = attempt.targets.service
    attempt.observe(learner.snapshot(), learner.cluster.now)
    return learner, attempt


def solved(learner: Learner, attempt: TaskAttempt) -> None:
    for step in attempt.task.solution(attempt.targets):
        learner.do(step)
        learner.play(attempt)


def service(name: str, uri: str, value: int | None = None) -> dict[str, Any]:
    return inference_service(name, uri, percent=value)


# task, a wrong attempt, and the beginning of its hint
WRONG: list[tuple[str, Sequence[Change], str]] = [
    ("all-at-once", [model(MODEL_2, canaryTrafficPercent=10)], "You set canaryTrafficPercent: 10."),
    ("all-at-once", [model(BROKEN)], "The new revision does not start. Users stay on the old revision"),
    ("all-at-once", [LABEL], "Revision 00002 has the old model"),
    ("all-at-once", [DELETE], "The InferenceService is deleted"),
    ("second-service", [service("iris-two", BROKEN)], "The new revision does not start. Compare"),
    ("second-service", [service("iris-two", MODEL)], f"It serves {MODEL}."),
    ("second-service", [service("iris-two", MODEL_2, 10)], "A first revision has no previous one"),
    ("canary-percent", [percent(65)], "You gave 65 % to the new revision."),
    ("canary-percent", [percent(None)], "With no percent at all, all users get 00002"),
    ("canary-percent", [percent(0)], "0 % takes all users away"),
    ("canary-percent", [percent(350)], "350 is not a percent."),
    ("canary-percent", [model(MODEL, canaryTrafficPercent=35)], "You created revision 00003"),
    ("canary-percent", [percent(30)], "The spec requests 30 %."),
    ("dark-launch", [percent(None)], "With no percent at all"),
    ("dark-launch", [percent(100)], "With 100, all users get 00002"),
    ("dark-launch", [percent(1)], "1 % of the users still get the new model."),
    ("dark-launch", [{**LABEL, **percent(0)}], "You created revision 00003"),
    ("old-schema", [service(NAME, MODEL_2, 20)], "The percent is right, but it did not come from"),
    ("old-schema", [{**BOTH, "spec": {"predictor": {**BOTH["spec"]["predictor"], "canaryTrafficPercent": 20}}}],
     "Your manifest has both blocks"),
    ("old-schema", [inference_service(NAME, MODEL, percent=20, old_schema=True)], "You created revision 00003"),
    ("old-schema", [inference_service(NAME, MODEL_2, old_schema=True)], "With no percent at all"),
    ("old-schema", [inference_service(NAME, MODEL_2, percent=25, old_schema=True)], "The spec requests 25 %."),
    ("see-in-ten", [percent(25)], "At 25 %, none of 10 requests reaches the canary in 6 of 100 tries"),
    ("see-in-ten", [percent(50)], "At 50 %, 10 requests miss the canary in only 0.1 of 100 tries."),
    ("see-in-ten", [percent(100)], "With 100, all users get 00002"),
    ("measure-the-share", [percent(10)], "At 10 %, 200 requests leave ±4.2 points"),
    ("measure-the-share", [percent(5)], "At 5 %, 200 requests leave ±3.0 points. That is good enough"),
    ("measure-the-share", [percent(95)], "95 % is not below 50."),
    ("raise", [percent(25)], "You gave 25 % to the new revision."),
    ("raise", [percent(100)], "With 100, all users get 00002"),
    ("raise", [percent(0)], "0 % takes all users away"),
    ("promote", [percent(100)], "All users get the new model, but the field is still there"),
    ("promote", [percent(0)], "0 % is a rollback"),
    ("promote", [percent(99)], "99 % get the new model."),
    ("promote", [DELETE], "The InferenceService is deleted"),
    ("roll-back", [model(MODEL)], "You deployed again: users wait for a new revision, 00003."),
    ("roll-back", [percent(10)], "10 % of the users still get wrong answers."),
    ("roll-back", [percent(100)], "All users still get the newest revision"),
    ("leave-pin", [model(MODEL, canaryTrafficPercent=20)], "20 % of the users got the bad revision 00002 again"),
    ("leave-pin", [model(f"{MODEL_2}/", canaryTrafficPercent=0)], f"The new revision has {MODEL_2}/."),
    ("leave-pin", [model(MODEL)], "00003 is ready and safe, and nobody gets it yet."),
    ("leave-pin", [model(BROKEN)], "The new revision does not start."),
    ("hidden-host", [TAG], "Without the annotation enable-tag-routing"),
    ("hidden-host", [percent(1)], "The tester has a host, but 1 % of the users"),
    ("hidden-host", [percent(None)], "With no percent at all"),
    ("smaller-canary", [percent(98)], "You gave 98 % to the new revision."),
    ("smaller-canary", [percent(None)], "With no percent at all"),
    ("smaller-canary", [percent(0)], "0 % takes all users away"),
    ("smaller-canary", [percent(5)], "The spec requests 5 %."),
    ("limit-harm", [percent(6)], "At 6 %, 36 of 600 requests reach the canary in a minute."),
    ("limit-harm", [percent(4)], "At 4 %, only 24 requests reach the canary in a minute."),
    ("limit-harm", [percent(100)], "With 100, all users get 00002"),
    ("act-on-evidence", [TAG], "You removed the annotation enable-tag-routing."),
    ("act-on-evidence", [percent(60)], "You gave 60 % to the new revision."),
    ("act-on-evidence", [percent(None)], "With no percent at all"),
    ("stay-awake", [{"spec": {"predictor": {"minReplicas": 2}}}], "minReplicas is 2."),
    ("stay-awake", [{"spec": {"predictor": {"maxReplicas": 3}}}], "minReplicas is still 0"),
    ("stay-awake", [percent(10)], "A percent splits traffic"),
    ("back-under-load", [percent(70)], "You gave 70 % to the new revision."),
    ("back-under-load", [percent(100)], "With 100, all users get 00002"),
    ("back-under-load", [percent(25)], "The spec requests 25 %."),
    ("bring-back", [percent(20)], "The newest revision is still 00002, with pvc://models/wine/v2."),
    ("bring-back", [model(WINE_1)], "All users get the first model again."),
    ("bring-back", [model(WINE_1, canaryTrafficPercent=0)], "0 % gives the first model to nobody."),
    ("bring-back", [model(WINE_1, canaryTrafficPercent=80)], "You gave 80 % to the new revision."),
    ("bring-back", [model(BROKEN, canaryTrafficPercent=20)], "The new revision does not start."),
]


@each
@pytest.mark.slow
def test_it_is_open_until_it_is_solved_and_open_again_when_it_is_undone(task: CourseTask) -> None:
    learner, attempt = began(task)
    learner.play(attempt)
    assert attempt.state.progress == "open" and attempt.state.missing
    assert (attempt.state.rejected, attempt.state.hints) == (0, ())

    solved(learner, attempt)
    assert attempt.state.progress == "done", attempt.state
    assert attempt.state.rejected <= len(task.solution(attempt.targets)) - 1

    again = TaskAttempt(task, task.targets())  # an earlier command does not complete it
    state = again.observe(learner.snapshot(), learner.cluster.now)
    assert state.progress == "open"
    assert task.id in ("all-at-once", "leave-pin") or state.missing.startswith("this state was there before")

    rejected = attempt.state.rejected
    learner.do(DELETE if task.draws_service else percent(3))
    learner.play(attempt)
    assert attempt.state.progress == "open" and attempt.state.done_at
    assert attempt.state.rejected == rejected  # undoing a task does not count as an attempt


@pytest.mark.parametrize(("id_", "changes", "hint"), WRONG, ids=[f"{row[0]}-{n}" for n, row in enumerate(WRONG)])
@pytest.mark.slow
def test_a_wrong_attempt_gets_its_own_hint(id_: str, changes: Sequence[Change], hint: str) -> None:
    learner, attempt = began(task_named(id_))

    for change in changes:
        learner.do(change)
        learner.play(attempt)

    assert attempt.state.progress == "open"
    assert attempt.state.rejected == 1
    assert attempt.state.hints[0].startswith(hint), attempt.state


def test_every_task_has_three_recorded_wrong_attempts() -> None:
    counts = {id_: sum(row[0] == id_ for row in WRONG) for id_ in TASKS}
    hints = {(row[0], row[2]) for row in WRONG}

    assert min(counts.values()) >= 3
    assert len(hints) == len(WRONG)


def test_a_state_of_before_counts_after_it_was_left() -> None:
    task = task_named("canary-percent")
    learner, earlier = began(task)
    solved(learner, earlier)
    attempt = TaskAttempt(task, task.targets())
    learner.play(attempt)

    for value in (20, 35):
        learner.do(percent(value))
        learner.play(attempt)

    assert attempt.state.progress == "done"


@pytest.mark.parametrize("id_", ["second-service", "canary-percent", "see-in-ten", "measure-the-share", "leave-pin"])
@pytest.mark.slow
def test_a_new_attempt_draws_other_values_and_can_be_solved(id_: str) -> None:
    task, seed = task_named(id_), "b"
    learner, attempt = began(task, seed)

    solved(learner, attempt)

    assert task.targets(seed) == attempt.targets
    assert attempt.state.progress == "done", attempt.state


def test_seeds_give_different_values() -> None:
    drawn = {task_named("canary-percent").targets(f"{seed}").percent for seed in range(50)}
    services = {task_named("second-service").targets(f"{seed}") for seed in range(50)}

    assert len(drawn) == 5
    assert len({target.service for target in services}) == 5 and len({target.model for target in services}) == 2


def test_hints_become_clearer_with_each_rejected_attempt() -> None:
    learner, attempt = began(task_named("canary-percent"))

    hints = []
    for value in (30, 31, 32):
        learner.do(percent(value))
        learner.play(attempt)
        hints.append(attempt.state.hints)

    assert [len(words) for words in hints] == [1, 2, 3]
    assert hints[1][1] == (
        "The first difference: spec.predictor.canaryTrafficPercent is 31, and should be 35 (only traffic: LATEST gets "
        "35 %, PREV the other 65 %).")  # fmt: skip
    assert "kubectl patch isvc sklearn-iris" in hints[2][2]


def test_a_failure_is_explained_as_the_doctor_does() -> None:
    learner, attempt = began(task_named("canary-percent"))

    for value in (350, 351):
        learner.do(percent(value))
        learner.play(attempt)

    assert attempt.state.rejected == 2
    assert attempt.state.hints[1].startswith("The doctor: C12 "), attempt.state.hints


def test_a_failure_that_passes_at_once_is_no_attempt() -> None:
    learner, attempt = began(task_named("canary-percent"))
    learner.do(percent(350))
    learner.cluster.settle(1.0)
    attempt.observe(learner.snapshot(), learner.cluster.now)

    learner.do(percent(35))
    learner.play(attempt)

    assert (attempt.state.progress, attempt.state.rejected) == ("done", 0)


def test_a_spoiled_attempt_can_be_repaired() -> None:
    learner, attempt = began(task_named("leave-pin"))
    learner.do(model(MODEL, canaryTrafficPercent=20))
    learner.play(attempt)
    assert attempt.state.progress == "open"

    for value in (0, 20):
        learner.do(percent(value))
        learner.play(attempt)

    assert attempt.state.progress == "done"


def test_a_cluster_that_does_not_answer_changes_nothing() -> None:
    learner, attempt = began(task_named("canary-percent"))
    before = attempt.state

    attempt.observe(type(learner.snapshot())("sklearn-iris", state="stale"), 0.0)

    assert attempt.state == before


def test_there_are_as_many_tasks_as_the_course_promises() -> None:
    counts = {notebook: len(tasks_of(notebook)) for notebook in NOTEBOOKS}

    assert len(TASKS) >= 12 and set(BEFORE) == set(TASKS)
    assert all(counts[notebook] for notebook in list(NOTEBOOKS)[1:])
    assert {counts[name] for name in ("03_canary", "06_promote", "07_rollback")} == {2}


def test_an_unknown_task_is_named() -> None:
    with pytest.raises(ValueError, match=r"There is no task 'x'\. The tasks are: all-at-once, "):
        task_named("x")


def test_the_statements_name_what_is_needed_and_no_command() -> None:
    for task in TASKS.values():
        text = task.text(task.targets())
        assert "{" not in text and "kubectl" not in text, task.id


