"""The executed notebooks of a folder that `kserve-nb run` wrote, prepared for the site."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from website.links import Links

_WIDGET = "application/vnd.jupyter.widget-view+json"
_TIMELINE_CELL = "timeline"  # the recorded timeline is inserted after the text of this cell
_MAP = """## Your map

In your own copy of the course, this page shows which tasks you have done. These are the notebooks:

{table}
"""
_TIMELINE = """`timeline.export()` saves a timeline as one HTML file. This is the file of another rollout: move the
control below the picture to look back.

<iframe class="timeline" src="{source}" title="Timeline of a rollout" loading="lazy"></iframe>
"""


class NotExecutedError(Exception):
    """The folder lacks an executed notebook."""


def read(folder: Path, name: str) -> NotebookNode:
    """Read an executed notebook. Raises NotExecutedError if it is missing, was not executed, or has failed."""
    path = folder / name
    advice = "Run: kserve-nb run --output FOLDER --junit FOLDER/junit.xml"
    if not path.is_file():
        raise NotExecutedError(f"Cannot use {folder}: it has no {name}. {advice}")
    notebook: NotebookNode = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if not any(cell.execution_count for cell in code):
        raise NotExecutedError(f"Cannot use {path}: it was not executed. {advice}")
    if any(output.output_type == "error" for cell in code for output in cell.outputs):
        raise NotExecutedError(f"Cannot use {path}: a cell of it failed. Repair it, then run it again.")
    return notebook


def page(notebook: NotebookNode, links: Links, name: str) -> str:
    """The notebook as a page of the site: widgets as their last picture, links rewritten."""
    for cell in notebook.cells:
        cell.source = links.rewritten(cell.source, name) if cell.cell_type == "markdown" else cell.source
        for output in cell.get("outputs", ()):
            output.get("data", {}).pop(_WIDGET, None)  # its scripts would come from another host
        cell.metadata = {}
    notebook.cells = list(_with_timeline(notebook.cells))
    notebook.metadata.pop("widgets", None)
    return str(nbformat.writes(notebook))


def start_page(notebook: NotebookNode, table: str) -> NotebookNode:
    """The course's start page with a table of the notebooks in place of the map, which needs a learner's progress."""
    notebook.cells = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
    for cell in notebook.cells:
        if cell.source.startswith("## Your map"):
            cell.source = _MAP.format(table=table)
    return notebook


def _with_timeline(cells: Iterable[NotebookNode]) -> Iterable[NotebookNode]:
    for cell in cells:
        yield cell
        if cell.id == _TIMELINE_CELL and cell.cell_type == "code":
            yield nbformat.v4.new_markdown_cell(_TIMELINE.format(source="timeline.html"), id="exported-timeline")
