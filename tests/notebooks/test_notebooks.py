"""Every notebook runs alone, in any order, and twice in a row, and runs the tutorial's commands."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import papermill
import pytest
from nbformat import NotebookNode

from kserve_nb.tasks.course_tasks import tasks_of
from tests.notebooks.conftest import DRILL, NOTEBOOKS, Runner
from tests.notebooks.tutorial import wrong

# In reverse order: the first one runs on an empty cluster, each other one on the state of a later step.
BACKWARDS = [pytest.param(path, id=path.stem) for path in reversed(NOTEBOOKS)]
# These run again on their own final state, which no other notebook leaves; with another parameter if they have one.
AGAIN: dict[str, dict[str, object]] = {"03_canary": {"percent": 30}, "07_rollback": {}, "08_tag_routing": {}}
CELL_S = 30  # no cell takes longer


def execute(
    path: Path, runner: Runner, folder: Path, monkeypatch: pytest.MonkeyPatch, **parameters: object
) -> NotebookNode:
    """Run a notebook with papermill and its parameters. Raises if a cell fails."""
    monkeypatch.setenv("KSERVE_NB_NAME", runner.cluster)
    monkeypatch.setenv("KSERVE_NB_COMMAND_LOG", str(folder / "commands.jsonl"))
    return papermill.execute_notebook(
        str(path), str(folder / path.name), parameters={"timeout_s": 120, **parameters}, kernel_name="python3",
        cwd=str(path.parent), progress_bar=False, execution_timeout=180)


def output(notebook: NotebookNode, cell: str) -> str:
    (found,) = [item for item in notebook.cells if item.get("id") == cell]
    return "".join(part.text for part in found.outputs)


def results_of_tasks(notebook: NotebookNode) -> list[str]:
    """How each task ended: ✔ or ○."""
    return [cell.outputs[0].data["text/plain"][0] for cell in notebook.cells if cell.get("id", "").startswith("done-")]


@pytest.mark.parametrize("path", BACKWARDS)
def test_passes_alone_and_runs_the_tutorials_commands_as_printed(
    path: Path, runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, executed_notebooks: Path
):
    done = execute(path, runner, tmp_path, monkeypatch, cluster="embedded")
    shutil.copy(tmp_path / path.name, executed_notebooks)  # tests/browser measures it

    assert any("injected-parameters" in cell.metadata.tags for cell in done.cells)
    slow = {cell.id: cell.metadata.papermill.duration for cell in done.cells if cell.cell_type == "code"}
    assert max(slow.values()) < CELL_S, slow
    assert wrong(path.stem, tmp_path / "commands.jsonl") == {}
    assert results_of_tasks(done) == ["✔"] * len(tasks_of(path.stem))

    if path.stem in AGAIN:
        done = execute(path, runner, tmp_path, monkeypatch, **AGAIN[path.stem])

    if "percent" in AGAIN.get(path.stem, {}):
        assert "PREV=70 (00001) LATEST=30 (00002)" in output(done, "check-percent")


def test_the_drill_ends_unattended(runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    done = execute(DRILL, runner, tmp_path, monkeypatch, seed=14)

    shown = {cell.id: cell.outputs[-1].data["text/plain"] for cell in done.cells if cell.id in ("doctor", "result")}
    assert "the doctor is locked" in shown["doctor"]
    assert shown["result"] == "○ drill 14 is open. The notebook goes on without it."


def test_a_command_that_no_cell_ran_or_two_did_is_noticed(tmp_path: Path):
    log = tmp_path / "commands.jsonl"
    line = "kubectl get isvc sklearn-iris"
    get = {"line": line, "argv": line.split(), "stdin": "", "exit": 0}
    log.write_text(f"{json.dumps(get)}\n" * 2)

    differs = {" ".join(command.words): counts for command, counts in wrong("06_promote", log).items()}

    assert differs == {
        "kubectl apply -n kserve-test -f -": (1, 0),
        "kubectl get isvc sklearn-iris": (1, 2),
        "kubectl get pods -l serving.kserve.io/inferenceservice=sklearn-iris": (1, 0),
    }
