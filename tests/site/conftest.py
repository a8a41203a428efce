"""The site, built once from notebooks with made-up outputs, because running the course takes minutes."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_output

from kserve_nb.widgets.revision_timeline import document
from tests.widgets.replay import at, history
from website import __main__ as website
from website import staging

ROOT = Path(__file__).parents[2]
WIDGET = {"application/vnd.jupyter.widget-view+json": {"model_id": "a", "version_major": 2, "version_minor": 0},
          "text/html": "<div class='knb knb-static'>the last picture</div>", "text/plain": "text"}  # fmt: skip


@pytest.fixture(scope="package")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `kserve-nb run` writes it. The last code cell of notebook 03 has a widget's output."""
    folder = tmp_path_factory.mktemp("run")
    cases = []
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        for number, cell in enumerate(code, 1):
            cell.execution_count = number
        if path.stem == "03_canary":
            code[-1].outputs = [new_output("display_data", WIDGET)]
        nbformat.write(notebook, folder / path.name)
        cases.append(f"<testsuite name='{path.stem}' time='1.5'><testcase name='first' time='1.2'/></testsuite>")
    (folder / "junit.xml").write_text(f"<testsuites>{''.join(cases)}</testsuites>")
    (folder / "timeline.html").write_text(document(at(190), history()), encoding="utf-8")
    return folder


@pytest.fixture(scope="package")
def site(executed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a warning of Sphinx is an error."""
    pages, target = tmp_path_factory.mktemp("pages"), tmp_path_factory.mktemp("site")
    staging.stage(ROOT, executed, pages)
    assert website.build(pages, target) == 0
    return target
