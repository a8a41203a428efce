"""Links of the repository, rewritten for the site, and which notebooks it accepts."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from website.executed import NotExecutedError, read
from website.links import Links

PAGES = frozenset({"index.md", "docs/a.md", "docs/b.md", "notebooks/03_canary.ipynb", "notebooks/index.ipynb"})


@pytest.fixture
def links(tmp_path: Path) -> Links:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").write_text('"""What the folder is for."""')
    (tmp_path / "pkg" / "code.py").write_text("")
    return Links(tmp_path, PAGES)


@pytest.mark.parametrize(("page", "before", "after"), [
    ("docs/a.md", "[b](b.md#part)", "[b](b.md#part)"),
    ("docs/a.md", "[start](../README.md)", "[start](../index.md)"),
    ("docs/a.md", "[three](../notebooks/03_canary.ipynb)", "[three](../notebooks/03_canary.ipynb)"),
    ("index.md", "[a](docs/a.md)", "[a](docs/a.md)"),
    ("docs/a.md", "[map](#map-of-the-code)", "[map](#map-of-the-code)"),
    ("notebooks/03_canary.ipynb", "[t](index.ipynb#Glossary)", "[t](index.ipynb#glossary)"),
    ("notebooks/index.ipynb", "[t](#Continue-tomorrow,-or-start-over)", "[t](#continue-tomorrow-or-start-over)"),
    ("docs/a.md", "[`code`](../pkg/code.py)", '<a href="../source/pkg/code.py.txt"><code>code</code></a>'),
    ("docs/a.md", "[the folder](../pkg)", '<a href="../source/pkg/__init__.py.txt">the folder</a>'),
    ("index.md", "[web](https://kserve.github.io/a)", "[web](https://kserve.github.io/a)"),
    ("index.md", "![picture](docs/img/a.png)", "![picture](docs/img/a.png)"),
    ("docs/a.md", "```\n[start](../README.md)\n```", "```\n[start](../README.md)\n```"),
    ("docs/a.md", "[gone](gone.md)", "[gone](gone.md)"),
])  # fmt: skip
def test_a_link_leads_to_the_same_place(links: Links, page: str, before: str, after: str) -> None:
    assert links.rewritten(before, page) == after


def test_the_sources_that_pages_lead_to_are_collected(links: Links) -> None:
    links.rewritten("[a](../pkg) [b](../pkg/code.py)", "docs/a.md")

    assert links.sources == {"pkg/__init__.py", "pkg/code.py"}


@pytest.mark.parametrize(("cell", "reason"), [
    (new_code_cell("1"), "was not executed"),
    (new_code_cell("1", execution_count=1, outputs=[new_output("error", ename="E", evalue="", traceback=[])]),
     "failed"),
])  # fmt: skip
def test_a_notebook_that_did_not_run_is_refused(tmp_path: Path, cell: nbformat.NotebookNode, reason: str) -> None:
    nbformat.write(new_notebook(cells=[cell]), tmp_path / "a.ipynb")

    with pytest.raises(NotExecutedError, match=reason):
        read(tmp_path, "a.ipynb")


def test_a_missing_notebook_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotExecutedError, match=r"has no a\.ipynb"):
        read(tmp_path, "a.ipynb")
