"""Collects all pages of the site in one folder, which Sphinx reads."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import nbformat

from website import executed, generated
from website.contents import COURSE, sections
from website.links import START, Links, copy_sources

DOCTOR = "docs/doctor.md"
SERVED = "served"  # files that are copied to the site without changes
_TITLE = re.compile(r"^# (.+)$", re.MULTILINE)
_TIMELINE = """# A rollout, moment by moment

This file was saved by `timeline.export()` of a `RevisionTimeline`, while a rollout went from 10 % to a promotion and
back. Move the control below the picture to look back. The text below it states what was known at that moment.

<iframe class="timeline" src="../notebooks/timeline.html" title="Timeline of a rollout"></iframe>

<a href="../notebooks/timeline.html">Open the file alone.</a> Notebook [06](../notebooks/06_promote.ipynb) makes such
a timeline.
"""


def stage(root: Path, folder: Path, target: Path) -> None:
    """Write the pages into an empty folder: the repository's, the executed notebooks, and those made from data.

    Args:
        root: the repository.
        folder: the output of `kserve-nb run --output FOLDER --junit FOLDER/junit.xml`, and `timeline.html`.
        target: the folder to write; its former content is deleted.
    """
    shutil.rmtree(target, ignore_errors=True)
    notebooks = sorted(path.name for path in (root / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    pages = {**_repository_pages(root), **_generated_pages(root, folder)}
    names = frozenset({*pages, *(f"notebooks/{name}" for name in notebooks), f"{COURSE}.ipynb"})
    links = Links(root, names)
    written = {name: links.rewritten(text, name) for name, text in pages.items()}
    for name in notebooks:
        written[f"notebooks/{name}"] = executed.page(executed.read(folder, name), links, f"notebooks/{name}")
    written[f"{COURSE}.ipynb"] = _course(root, links, notebooks)
    written |= _lists(written, [name.removesuffix(".md") for name in pages if name != START])
    for name, text in written.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text(text, encoding="utf-8")
    _copy_files(root, folder, target)
    copy_sources(links, target / SERVED)


def _repository_pages(root: Path) -> dict[str, str]:
    """Write the README as the start page, and the other Markdown files under their names."""
    files = [*root.glob("*.md"), *(root / "docs").glob("*.md")]
    named = {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in files}
    named[DOCTOR] = generated.doctor(named[DOCTOR])
    named[START] = generated.start(named.pop("README.md"))
    return named


def _generated_pages(root: Path, folder: Path) -> dict[str, str]:
    course = nbformat.read(root / f"{COURSE}.ipynb", as_version=4)
    terms = next(cell.source for cell in course.cells if cell.source.startswith("## Glossary"))
    words = (root / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Glossary")[2]
    card = (root / "notebooks" / "summary-card.html").read_text(encoding="utf-8")
    junit = _needed(folder, "junit.xml").read_text(encoding="utf-8")
    return {"docs/timings.md": generated.timings(junit), "docs/glossary.md": generated.glossary(terms, words),
            "docs/summary-card.md": generated.summary_card(card), "docs/api.md": generated.api(),
            "docs/timeline.md": _TIMELINE}  # fmt: skip


def _course(root: Path, links: Links, notebooks: list[str]) -> str:
    """Write the course's start page, with the notebooks as its sub-pages."""
    table = generated.learning_path((root / "README.md").read_text(encoding="utf-8"))
    notebook = executed.start_page(nbformat.read(root / f"{COURSE}.ipynb", as_version=4), table)
    contents = generated.toctree(name.removesuffix(".ipynb") for name in notebooks)
    notebook.cells.append(nbformat.v4.new_markdown_cell(contents, id="contents"))
    return executed.page(notebook, links, f"{COURSE}.ipynb")


def _lists(written: dict[str, str], pages: list[str]) -> dict[str, str]:
    """Write the page of each section."""
    titles = {name.removesuffix(".md"): _title(text) for name, text in written.items() if name.endswith(".md")}
    return {f"{section.name}.md": generated.section(section, titles) for section in sections(pages)}


def _title(page: str) -> str:
    found = _TITLE.search(page)
    return found[1] if found else ""


def _copy_files(root: Path, folder: Path, target: Path) -> None:
    """Copy pictures and other files to the site without changes."""
    shutil.copytree(root / "docs" / "img", target / "docs" / "img")
    shutil.copytree(root / "notebooks" / "img", target / "notebooks" / "img")
    served = target / SERVED / "notebooks"
    served.mkdir(parents=True)
    shutil.copy(root / "notebooks" / "summary-card.html", served)
    shutil.copy(_needed(folder, "timeline.html"), served)


def _needed(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        raise executed.NotExecutedError(f"Cannot use {folder}: it has no {name}. Run: make site")
    return path


