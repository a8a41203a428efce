"""A learner's progress: the stored data, the file after a crash, and its texts."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest

from kserve_nb.tasks import progress_text
from kserve_nb.tasks.attempts import begin
from kserve_nb.tasks.course_tasks import NOTEBOOKS, TASKS
from kserve_nb.tasks.learner_progress import LearnerProgress
from kserve_nb.tasks.task_attempt import TaskState

DONE = TaskState("done", "", 1, ("look",), 1e9)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "progress.json"


def add(file: Path, number: int) -> None:
    LearnerProgress(file).note_drill({"seed": number})


def test_another_process_finds_what_was_stored(file: Path) -> None:
    progress = LearnerProgress(file)
    progress.note_opened("03_canary")
    progress.note_task("canary-percent", DONE, "")
    progress.begin_attempt("x")
    progress.note_prediction("first-row", True)

    found = LearnerProgress(file)

    assert found.opened() == {"03_canary"} and found.seed == "x" and found.predictions() == {"first-row": True}
    record = found.task("canary-percent")
    assert record.done and (record.rejected, record.hints) == (1, 1)


@pytest.mark.slow
def test_two_processes_lose_nothing(file: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.starmap(add, [(file, number) for number in range(20)])

    assert sorted(row["seed"] for row in LearnerProgress(file).drills()) == list(range(20))


def test_a_write_that_was_killed_leaves_the_old_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    progress = LearnerProgress(file)
    progress.note_opened("00_setup")

    def killed(_source: Path, _target: Path) -> None:
        raise OSError(5, "killed")

    monkeypatch.setattr(Path, "replace", killed)
    progress.note_opened("01_first_inference_service")
    monkeypatch.undo()

    assert LearnerProgress(file).opened() == {"00_setup"}
    assert "killed" in progress.problem


@pytest.mark.parametrize("damage", ["{", "[1]", "7", '{"format": "1"}', '{"tasks": {"a": 7}}', '{"drills": [1]}'])
def test_a_damaged_file_is_kept_and_named(file: Path, damage: str) -> None:
    file.parent.mkdir()
    file.write_text(damage)
    progress = LearnerProgress(file)

    progress.note_opened("00_setup")

    assert LearnerProgress(file).opened() == {"00_setup"}
    assert file.with_name("progress.json.damaged").read_text() == damage
    assert "Cannot read" in progress.problem


def test_a_file_of_a_newer_version_is_not_changed(file: Path) -> None:
    file.parent.mkdir()
    file.write_text(text := json.dumps({"format": 99, "notebooks": {"00_setup": 1}}))
    progress = LearnerProgress(file)

    progress.note_opened("03_canary")

    assert file.read_text() == text and "newer version" in progress.problem


def test_fields_of_another_version_are_kept(file: Path) -> None:
    file.parent.mkdir()
    file.write_text(json.dumps({"format": 1, "colour": "blue", "tasks": []}))

    LearnerProgress(file).note_opened("03_canary")

    assert json.loads(file.read_text())["colour"] == "blue"


def test_a_task_that_is_undone_stays_done_once(file: Path) -> None:
    progress = LearnerProgress(file)
    progress.note_task("canary-percent", DONE, "")

    record = progress.note_task("canary-percent", TaskState("open", "gone", 1), "")

    assert record.done and record.done_at == 0


def test_the_headline_counts_notebooks_tasks_and_minutes(file: Path) -> None:
    progress = LearnerProgress(file)
    assert progress_text.headline(progress).startswith("0 of 15 notebooks done · 18 tasks open · about ")
    assert progress_text.next_task(progress) == "A second model, all at once (01_first_inference_service.ipynb)"

    progress.note_opened("00_setup")
    progress.note_opened("01_first_inference_service")
    progress.note_task("all-at-once", DONE, "")

    assert progress_text.headline(progress).startswith("2 of 15 notebooks done · 17 tasks open · about ")
    assert "✔ A second model, all at once (1 rejected attempt, 1 hint" in progress_text.table(progress)
    assert "next: A second service behind the same gateway" in progress_text.table(progress)


def test_the_end_of_the_course(file: Path) -> None:
    progress = LearnerProgress(file)
    for notebook in NOTEBOOKS:
        progress.note_opened(notebook)
    for id_ in TASKS:
        progress.note_task(id_, DONE, "")

    assert progress_text.headline(progress) == "15 of 15 notebooks done · all 18 tasks done"
    assert progress_text.next_task(progress) == "" and "next:" not in progress_text.table(progress)


def test_the_notebook_of_a_kernel_is_known_on_a_jupyter_server() -> None:
    assert progress_text.running_notebook({"JPY_SESSION_NAME": "/home/me/course/03_canary.ipynb"}) == "03_canary"
    assert progress_text.running_notebook({"JPY_SESSION_NAME": "Untitled.ipynb"}) == ""
    assert progress_text.running_notebook({}) == ""


def test_a_new_attempt_is_drawn_once_in_a_process(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KSERVE_NB_ATTEMPT", raising=False)
    progress = LearnerProgress(file)
    begin(progress, "same", "03_canary")
    assert progress.seed == "" and progress.opened() == {"03_canary"}

    begin(progress, "new")
    drawn = progress.seed
    begin(LearnerProgress(file), "new")

    assert drawn and LearnerProgress(file).seed == drawn


def test_progress_can_be_switched_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KSERVE_NB_PROGRESS", "off")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    progress = LearnerProgress()

    progress.note_opened("00_setup")

    assert not progress.file.exists() and not progress.opened()


def test_starting_over_keeps_the_former_file(file: Path) -> None:
    progress = LearnerProgress(file)
    progress.note_opened("00_setup")

    progress.start_over()

    assert not progress.opened() and file.with_name("progress.json.before").exists()
