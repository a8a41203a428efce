"""Rules for every notebook in git."""

from __future__ import annotations

import ast
import itertools
import json
import re
from pathlib import Path

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode

from kserve_nb.runner.course import stripped
from kserve_nb.tasks.course_questions import QUESTIONS
from kserve_nb.tasks.course_tasks import tasks_of
from tests.notebooks.conftest import NOTEBOOKS, ROOT
from tests.notebooks.tutorial import assigned, blocks, files

LINES = 12
COLOUR = re.compile(r'(?:fill|stroke)="(#[0-9a-f]{6})"')
DARK = re.compile(r"<style>@media \(prefers-color-scheme: dark\) \{.*?</style>", re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)")
ABSOLUTE = re.compile(r"(?<![\w.:/}<-])/(?:home|root|work|tmp|usr|Users|var|etc|opt|mnt/(?!models))\b|\b[A-Z]:\\")
each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def code(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell: NotebookNode) -> list[str]:
    return list(cell.metadata.get("tags", []))


def python_of(cell: NotebookNode) -> ast.Module:
    return ast.parse(TransformerManager().transform_cell(cell.source))


def test_they_are_numbered_without_a_gap():
    assert len(NOTEBOOKS) >= 9
    assert [path.stem[:3] for path in NOTEBOOKS] == [f"{number:02}_" for number in range(len(NOTEBOOKS))]


@each
def test_is_valid_and_runs_on_python3(path: Path):
    notebook = read(path)

    nbformat.validate(notebook)

    assert notebook.metadata.kernelspec.name == "python3"


@each
def test_its_cells_have_ids_of_their_own(path: Path):
    ids = [cell["id"] for cell in json.loads(path.read_text())["cells"]]  # nbformat would repair them while reading

    assert len(set(ids)) == len(ids)


@each
def test_only_its_first_code_cell_has_the_parameters(path: Path):
    first, *others = code(read(path))

    assert tags(first) == ["parameters"]
    assert {"cluster", "namespace", "timeout_s"} <= {
        target.id for line in python_of(first).body for target in getattr(line, "targets", [])}
    assert {tag for cell in others for tag in tags(cell)} <= {"keep_output", "nbval-check-output", "solution"}


@each
def test_keeps_only_outputs_that_are_compared(path: Path):
    for cell in code(read(path)):
        compared = "nbval-check-output" in tags(cell)
        assert cell.execution_count is None, cell.id
        assert compared == ("keep_output" in tags(cell)) == bool(cell.outputs), cell.id
        assert "NBVAL" not in cell.source, f"{cell.id}: use the tag, not a marker comment"
        forms = {mime for output in cell.outputs for mime in output.get("data", {})}
        assert forms <= {"text/plain", "text/html"}, f"{cell.id}: a widget or a picture differs from run to run"


@each
def test_its_cells_are_short_and_wait_for_nothing_but_awaits(path: Path):
    for cell in code(read(path)):
        if not cell.source.startswith("%%kubectl"):
            assert len(cell.source.splitlines()) <= LINES, cell.id
        assert not re.search(r"^\s*!|=\s*!", cell.source, re.MULTILINE), f"{cell.id}: `!` swallows exit codes"
        for node in ast.walk(python_of(cell)):
            assert not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.While | ast.Assert), cell.id
        assert "sleep" not in cell.source, cell.id


@each
def test_text_comes_before_each_code_cell(path: Path):
    cells = read(path).cells

    assert cells[0].cell_type == "markdown" and "After this notebook you can" in cells[0].source
    assert cells[-1].cell_type == "markdown" and "## Recap" in cells[-1].source
    for before, cell in itertools.pairwise(cells):
        if cell.cell_type == "code" and "parameters" not in tags(cell):
            assert before.cell_type == "markdown", cell.id


@each
def test_needs_a_confirmation_before_each_apply(path: Path):
    cells = read(path).cells

    for before, cell in itertools.pairwise(cells):
        if cell.source.startswith("%%kubectl apply"):
            assert "Predict first" in before.source, cell.id


@each
def test_its_cells_have_readable_ids(path: Path):
    ids = [cell.id for cell in read(path).cells]

    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[a-z][a-z0-9-]+", name) and not re.fullmatch(r"[0-9a-f]{8}", name) for name in ids)


@each
def test_each_task_has_a_solution_that_a_learners_copy_does_not_have(path: Path):
    cells = read(path).cells
    copy = nbformat.reads(stripped(path.read_text()), as_version=4).cells

    for task in tasks_of(path.stem):
        ids = [cell.id for cell in cells]
        at = ids.index(f"task-{task.id}")
        rest = [f"about-solution-{task.id}", f"solution-{task.id}", f"about-done-{task.id}", f"done-{task.id}"]
        assert ids[at + 1 : at + 5] == rest
        assert [tags(cell) for cell in cells[at + 1 : at + 3]] == [["solution"]] * 2
        assert not [cell.id for cell in copy if cell.id.startswith(("solution-", "about-solution-"))]
        hidden = [task.nudge, task.commands(task.targets(), "kserve-test")]
        assert not [cell.id for cell in copy for words in hidden if words in cell.source]


@each
def test_each_question_is_entered_before_its_cell(path: Path):
    found = [cell.id.removeprefix("predict-") for cell in code(read(path)) if cell.id.startswith("predict-")]

    assert found == [question.id for question in QUESTIONS.values() if question.notebook == path.stem]


@each
def test_ends_with_a_check(path: Path):
    last_two = code(read(path))[-2:]  # a notebook may clean up after its check

    assert any("lab.check." in cell.source for cell in last_two)


@each
def test_its_links_and_pictures_are_there(path: Path):
    markdown = [cell.source for cell in read(path).cells if cell.cell_type == "markdown"]

    for target in LINK.findall("\n".join(markdown)):
        assert target.startswith("https://") or (path.parent / target).is_file(), target


@each
def test_leads_to_its_neighbours(path: Path):
    recap, number = read(path).cells[-1].source, NOTEBOOKS.index(path)

    for neighbour in NOTEBOOKS[max(number - 1, 0) : number + 2]:
        assert neighbour == path or f"({neighbour.name})" in recap


@each
def test_names_no_path_of_one_machine(path: Path):
    sources = "\n".join(cell.source for cell in read(path).cells)

    assert not ABSOLUTE.search(sources), ABSOLUTE.findall(sources)
    assert str(ROOT) not in sources


def test_pictures_have_alternative_text():
    for picture in (ROOT / "notebooks" / "img").glob("*.svg"):
        text = picture.read_text()
        assert "<title" in text and "<desc" in text, picture.name
        assert "http" not in text.replace("http://www.w3.org", ""), f"{picture.name} loads another file"
        assert any(picture.name in path.read_text() for path in NOTEBOOKS), f"{picture.name} is in no notebook"


def test_each_colour_of_a_picture_has_another_one_in_dark_themes():
    for picture in (ROOT / "notebooks" / "img").glob("*.svg"):
        text = picture.read_text()
        (dark,) = DARK.findall(text)

        assert set(COLOUR.findall(text.replace(dark, ""))) == set(COLOUR.findall(dark)), picture.name


def test_files_and_names_of_the_pages_are_in_the_notebooks():
    for block in blocks():
        assert bool(block.notebook) != bool(block.not_run), block.step
        for name, content in files(block).items():
            assert (ROOT / "notebooks" / name).read_text() == content, block.step
        for name, value in assigned(block):
            if block.notebook:
                sources = "\n".join(cell.source for cell in code(read(ROOT / "notebooks" / f"{block.notebook}.ipynb")))
                assert f'{name} = "{value}"' in sources, block.step
