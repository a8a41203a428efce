"""A broken lesson fails in papermill and nbval, with the expected value, the observed value and the next step."""

from __future__ import annotations

from pathlib import Path

import nbformat

from tests.notebooks.conftest import ROOT, Runner


def broken(name: str, cell: str, old: str, new: str, folder: Path, *, output: bool = False) -> Path:
    """Copy a notebook and change one cell or its expected output."""
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    (found,) = [item for item in notebook.cells if item.id == cell]
    place, key = (found.outputs[0], "text") if output else (found, "source")
    assert old in place[key]
    place[key] = place[key].replace(old, new)
    path = folder / f"{name}.ipynb"
    nbformat.write(notebook, path)
    return path


def test_a_promote_that_keeps_its_percent_fails(runner: Runner, tmp_path: Path):
    with_field = "  predictor:\n    canaryTrafficPercent: 60\n"
    lesson = broken("06_promote", "apply-promote", "  predictor:\n", with_field, tmp_path)

    done = runner.papermill(lesson)

    assert done.returncode != 0
    assert "✖" in done.stderr and "expected" in done.stderr and "do:" in done.stderr


def test_a_check_that_fails_is_three_lines_and_fails_nbval(runner: Runner, tmp_path: Path):
    lesson = broken("00_setup", "check-ingress", "lab.check.ingress()", "lab.check.canary_spec(percent=11)", tmp_path)

    by_papermill, by_nbval = runner.papermill(lesson), runner.nbval(lesson)

    assert by_papermill.returncode != 0 and by_nbval.returncode != 0
    shown = by_papermill.stderr
    assert "✖" in shown and "Traceback" not in shown.partition("✖")[2].partition("\n\n")[0]
    assert "✖" in by_nbval.stdout


def test_another_text_than_the_kept_one_fails_nbval(runner: Runner, tmp_path: Path):
    lesson = broken("00_setup", "check-ingress", "✔ the gateway answers", "✔ the gateway sings", tmp_path, output=True)

    done = runner.nbval(lesson)

    assert done.returncode != 0 and "the gateway sings" in done.stdout
