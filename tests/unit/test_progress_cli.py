"""`kserve-nb progress`: the table, JSON, and starting over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from kserve_nb.cli import main
from kserve_nb.cli.common_options import show_next_task
from kserve_nb.tasks.learner_progress import LearnerProgress
from kserve_nb.tasks.task_attempt import TaskState


@pytest.fixture
def progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LearnerProgress:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("KSERVE_NB_PROGRESS")
    stored = LearnerProgress()
    stored.note_opened("01_first_inference_service")
    stored.note_task("all-at-once", TaskState("done", "", 2, ("a", "b"), 1e9), "")
    return stored


def test_the_table_has_the_tasks_and_the_next_step(progress: LearnerProgress) -> None:
    done = CliRunner().invoke(main, ["progress"])

    assert done.exit_code == 0
    assert done.output.startswith("1 of 15 notebooks done · 17 tasks open")
    assert "✔ A second model, all at once (2 rejected attempts, 2 hints)" in done.output
    assert f"file: {progress.file}" in done.output


def test_json_has_every_task(progress: LearnerProgress) -> None:
    found = json.loads(CliRunner().invoke(main, ["progress", "-o", "json"]).output)

    assert len(found["tasks"]) == 18 and found["tasks"]["all-at-once"]["done"]
    assert found["next"].startswith("A second service")


def test_starting_over_forgets_it(progress: LearnerProgress) -> None:
    done = CliRunner().invoke(main, ["progress", "--start-over"])

    assert done.output.startswith("0 of 15 notebooks done · 18 tasks open")


def test_up_and_lab_name_the_next_task(progress: LearnerProgress, capsys: pytest.CaptureFixture[str]) -> None:
    show_next_task()

    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("your progress: 1 of 15 notebooks done · 17 tasks open")
    assert second == "next task: A second service behind the same gateway (02_ingress_and_predictions.ipynb)"
