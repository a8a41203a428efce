"""The start page: the map, both paths, the glossary, the quiz, and the summary card."""

from __future__ import annotations

import re

import nbformat

from kserve_nb.tasks.course_map import SHORT_PATH, CourseMap
from kserve_nb.tasks.course_tasks import NOTEBOOKS
from kserve_nb.tasks.learner_progress import LearnerProgress
from kserve_nb.tasks.task_attempt import TaskState
from tests.notebooks.conftest import NOTEBOOKS as FILES
from tests.notebooks.conftest import ROOT

PAGE = nbformat.read(ROOT / "notebooks" / "index.ipynb", as_version=4)
CARD = (ROOT / "notebooks" / "summary-card.html").read_text(encoding="utf-8")
TEXT = {cell.id: cell.source for cell in PAGE.cells}


def test_it_has_no_outputs_and_runs_without_a_cluster() -> None:
    code = [cell for cell in PAGE.cells if cell.cell_type == "code"]

    assert [(cell.id, cell.outputs, cell.execution_count) for cell in code] == [("map", [], None)]
    assert "connect" not in code[0].source


def test_the_map_and_the_paths_have_every_notebook() -> None:
    short, everything = TEXT["paths"].split("* **Everything")

    assert list(NOTEBOOKS) == [path.stem for path in FILES][: len(NOTEBOOKS)]
    assert tuple(re.findall(r"\((\w+)\.ipynb\)", short)) == SHORT_PATH
    assert set(re.findall(r"\((\w+)\.ipynb\)", short + everything)) == set(NOTEBOOKS)


def test_the_glossary_has_at_most_25_terms_in_order() -> None:
    terms = re.findall(r"^\| ([^|]+) \| ", TEXT["glossary"], re.MULTILINE)[2:]

    assert 15 <= len(terms) <= 25
    assert terms == sorted(terms, key=str.lower)


def test_each_part_has_a_quiz_with_a_sentence_for_each_answer() -> None:
    quizzes = [text for id_, text in TEXT.items() if id_.startswith("quiz-")]
    answers = [re.findall(r"<details><summary>(.*?)</summary>\n\n(.*?)\n", text) for text in quizzes]

    assert len(quizzes) == 3
    for found in answers:
        assert len(found) == 6 and sum(why.startswith("Yes:") for _, why in found) == 2
        assert len({why for _, why in found}) == 6


def test_links_lead_to_files_or_headings() -> None:
    headings = {line.lstrip("#").strip().replace(" ", "-") for text in TEXT.values() for line in text.splitlines()
                if line.startswith("#")}

    for target in re.findall(r"\]\(([^)]+)\)", "\n".join(TEXT.values())):
        known = target[1:] in headings if target.startswith("#") else (ROOT / "notebooks" / target).is_file()
        assert known, target


def test_the_summary_card_loads_nothing() -> None:
    assert "<script" not in CARD and "http" not in CARD and "@page" in CARD
    assert CARD.count("<tr>") == 10


def test_the_map_shows_the_learners_marks(tmp_path) -> None:
    progress = LearnerProgress(tmp_path / "progress.json")
    progress.note_opened("00_setup")
    progress.note_opened("03_canary")
    progress.note_task("canary-percent", TaskState("done", "", done_at=1e9), "")

    shown = CourseMap(progress)

    marks = {row.notebook: (row.mark, row.done, row.tasks) for row in shown.rows}
    assert marks["00_setup"] == ("✔", 0, 0) and marks["03_canary"] == ("◐", 1, 2)
    assert marks["01_first_inference_service"] == ("○", 0, 1)
    assert "href='03_canary.ipynb'" in shown._repr_html_() and "next: " in shown.text


def test_terms_of_the_glossary_are_linked_where_they_come_first() -> None:
    terms = {term.lower() for term in re.findall(r"^\| ([^|]+) \| ", TEXT["glossary"], re.MULTILINE)}
    sources = [cell.source for path in FILES for cell in nbformat.read(path, as_version=4).cells]

    linked = re.findall(r"\[([^\]]+)\]\(index\.ipynb#Glossary\)", "\n".join(sources))

    assert len(linked) >= 18 and len(set(linked)) == len(linked)
    assert {term.lower().removesuffix("s") for term in linked} <= {term.removesuffix("s") for term in terms}
