"""Predictions: the accepted input, the cluster's answer, and a sentence for each wrong answer."""

from __future__ import annotations

import pytest

from kserve_nb.observe.snapshot import Snapshot
from kserve_nb.tasks.course_questions import QUESTIONS, question_named
from kserve_nb.tasks.course_tasks import NOTEBOOKS
from kserve_nb.tasks.question import ONE, CourseQuestion
from tests.unit.simulator import Simulator
from tests.unit.task_world import BOTH, CANARY, FIRST, PINNED, PROMOTED, TAGGED, Change, Learner, percent

LONG_S = 120.0  # as long as a pod without traffic takes to stop

# question, the state before it, the change, and the cluster's answer
ANSWERS: list[tuple[str, list[Change], Change, dict[str, str]]] = [
    ("first-row", [], FIRST, {"PREV": "", "LATEST": "100", "pods": "1"}),
    ("canary-row", [FIRST], CANARY, {"PREV": "90", "LATEST": "10", "pods": "2"}),
    ("percent-revision", [FIRST, CANARY], percent(20), {ONE: "no"}),
    ("old-schema-row", [FIRST, CANARY], percent(20), {"PREV": "80", "LATEST": "20", "pods": "2"}),
    ("both-blocks", [FIRST, CANARY], BOTH, {ONE: "model-2"}),
    ("half-row", [FIRST, CANARY], percent(50), {"PREV": "50", "LATEST": "50", "pods": "2"}),
    ("promote-row", [FIRST, CANARY], PROMOTED, {"PREV": "", "LATEST": "100", "pods": "1"}),
    ("pin-row", [FIRST, CANARY, PROMOTED], PINNED, {"PREV": "100", "LATEST": "0", "pods": "2"}),
    ("slider-pods", [FIRST, CANARY], percent(0), {ONE: "no"}),
    ("tag-row", [FIRST, CANARY, PINNED], TAGGED, {"PREV": "90", "LATEST": "10", "pods": "2"}),
]


def states(before: list[Change], change: Change) -> tuple[Snapshot, Snapshot, Snapshot]:
    """The snapshots before the change, in its first moment, and at the end."""
    learner = Learner(Simulator(gateway="istio"))
    for step in before:
        learner.do(step)
        learner.cluster.settle(LONG_S)
    start = learner.snapshot()
    learner.do(change)
    moment = learner.snapshot()
    learner.cluster.settle(LONG_S)
    return start, moment, learner.snapshot()


@pytest.mark.parametrize(("id_", "before", "change", "answer"), ANSWERS, ids=[row[0] for row in ANSWERS])
@pytest.mark.slow
def test_the_cluster_answers_after_the_change_and_not_before(
    id_: str, before: list[Change], change: Change, answer: dict[str, str]
) -> None:
    question = question_named(id_)
    assert question.read is not None

    start, moment, end = states(before, change)

    assert question.read(start, start) is None
    assert id_ == "both-blocks" or question.read(start, moment) is None
    assert question.read(start, end) == answer


@pytest.mark.slow
def test_the_cluster_answers_what_needs_no_change() -> None:
    start, _, end = states([FIRST, CANARY], percent(0))

    for id_, first, last in (("none-of-ten", "35", "100"), ("tag-hosts", "prev", "prev")):
        read = question_named(id_).read
        assert read is not None
        assert (read(start, start), read(start, end)) == ({ONE: first}, {ONE: last})


def test_each_wrong_choice_has_its_own_sentence() -> None:
    for question in QUESTIONS.values():
        if question.kind == "choice":
            wrong = {value for _, value in question.options if value not in question.wrong}
            assert len(wrong) == 1, question.id  # the right one
            assert len(set(question.wrong.values())) == len(question.wrong)
        else:
            assert set(question.otherwise) == set(question.fields), question.id


def test_a_row_explains_each_wrong_field() -> None:
    question = question_named("canary-row")
    answer = {"PREV": "90", "LATEST": "10", "pods": "2"}

    assert question.explain(question.normalized(answer), answer) == ("You predicted it.",)
    assert question.explain({"PREV": "10", "LATEST": "90", "pods": "1"}, answer) == (
        "The percent is LATEST's share: the new revision gets it.",
        "The percent is LATEST's share: the new revision gets it.",
        "The old revision keeps its pod: it still serves most users.",
    )
    assert question.explain({"PREV": "", "LATEST": "10", "pods": "2"}, answer)[0].startswith("canaryTrafficPercent is")


def test_a_number_may_be_near() -> None:
    question = question_named("none-of-ten")

    assert question.is_right({ONE: "33"}, {ONE: "35"}) and not question.is_right({ONE: "10"}, {ONE: "35"})
    assert question.normalized({ONE: " 35 % "}) == {ONE: "35"}


@pytest.mark.parametrize(("id_", "entered", "problem"), [
    ("canary-row", {"PREV": "90", "LATEST": "ten", "pods": "2"}, "LATEST: 'ten' is not a number"),
    ("canary-row", {"PREV": "-", "LATEST": "", "pods": "2"}, "LATEST: '' is not a number"),
    ("percent-revision", {ONE: "maybe"}, "Choose one of: yes, no"),
    ("canary-failures", {ONE: ""}, "answer: '' is not a number"),
])
def test_what_is_not_understood_is_named(id_: str, entered: dict[str, str], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        question_named(id_).normalized(entered)


def test_every_question_belongs_to_a_notebook() -> None:
    assert {question.notebook for question in QUESTIONS.values()} == set(list(NOTEBOOKS)[1:])
    assert all(isinstance(question, CourseQuestion) and question.text.endswith("?") for question in QUESTIONS.values())


def test_an_unknown_question_is_named() -> None:
    with pytest.raises(ValueError, match=r"There is no question 'x'\. The questions are: first-row, "):
        question_named("x")
