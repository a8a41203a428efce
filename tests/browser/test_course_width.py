"""Tests that no output, picture or code line of the executed course is wider than its cell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest
from jupyterlab_server.workspaces_handler import WorkspacesManager
from nbformat.sign import NotebookNotary

from kserve_nb.cli import lab_command
from kserve_nb.clusters.state import Record
from kserve_nb.runner.course import find_course
from tests.browser.jupyter import Jupyter, Notebook, until

WIDTHS = (1280, 1024)
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
# Parts of a cell that are wider than it is, or that scroll sideways.
TOO_WIDE = """panel => {
    const found = [];
    for (const place of panel.querySelectorAll(".jp-OutputArea-output, .jp-RenderedMarkdown, .cm-scroller")) {
        const right = Math.ceil(place.getBoundingClientRect().right) + 1;
        for (const part of [place, ...place.querySelectorAll("*")]) {
            if (part.closest(".knb-hidden, .jp-RenderedHTMLCommon mjx-container, .cm-layer")) continue;
            const box = part.getBoundingClientRect();
            const scrolls = ["auto", "scroll", "hidden"].includes(getComputedStyle(part).overflowX);
            if ((box.width && box.right > right) || (scrolls && part.scrollWidth > part.clientWidth + 1))
                found.push(`${part.tagName} ${part.className}: ${part.textContent.slice(0, 60)}`);
        }
    }
    return found;
}"""


@pytest.fixture(scope="module")
def course(executed_notebooks: Path, jupyter: Jupyter, cluster: Record, new_page: Any) -> Iterator[Notebook]:
    """All cells of the course with their outputs, as one notebook, in the layout of `kserve-nb lab`."""
    jupyter.write("course.ipynb", merged(executed(executed_notebooks, cluster)))
    home = jupyter.folder.parent
    NotebookNotary(data_dir=str(home / "DATA")).sign(nbformat.read(jupyter.folder / "course.ipynb", as_version=4))
    layout = lab_command._collapsed() | {"metadata": {"id": "course"}}
    WorkspacesManager(str(home / "WORKSPACES")).save("course", json.dumps(layout))
    jupyter.show_all_cells()
    shown = Notebook(new_page(), jupyter, "course.ipynb")
    shown.open("course")
    yield shown
    jupyter.end_kernel("course.ipynb")
    shown.page.close()


def executed(folder: Path, cluster: Record) -> list[nbformat.NotebookNode]:
    """The executed notebooks of another test; missing ones are executed here."""
    missing = [path for path in sorted(find_course().glob("0*.ipynb")) if not (folder / path.name).exists()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KSERVE_NB_NAME", cluster.name)
        for path in missing:
            papermill.execute_notebook(str(path), str(folder / path.name), kernel_name="python3", cwd=str(path.parent),
                                       progress_bar=False, execution_timeout=180)
    return [nbformat.read(path, as_version=4) for path in sorted(folder.glob("*.ipynb"))]


def merged(notebooks: list[nbformat.NotebookNode]) -> nbformat.NotebookNode:
    """One notebook with the cells and the widgets of all."""
    whole = notebooks[0]
    for other in notebooks[1:]:
        whole.cells += other.cells
        mine, others = (one.metadata.get("widgets", {}).get(WIDGET_STATE, {"state": {}}) for one in (whole, other))
        mine["state"] |= others["state"]
        whole.metadata["widgets"] = {WIDGET_STATE: {"version_major": 2, "version_minor": 0, **mine}}
    for number, cell in enumerate(whole.cells):
        cell["id"] = f"cell-{number}"
    return whole


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_in_the_course_is_cut_off(course: Notebook, width: int, shoot: Any) -> None:
    course.page.set_viewport_size({"width": width, "height": 900})
    course.panel.locator(".jp-CodeCell").nth(100).wait_for()

    shoot(course.page)
    assert not course.page.locator("#jp-left-stack").is_visible()  # the side bar is collapsed
    until(lambda: course.panel.evaluate(TOO_WIDE) == [], lambda: "\n".join(course.panel.evaluate(TOO_WIDE)), 10)
