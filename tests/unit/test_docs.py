"""The files, commands and names on the pages about the project exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EMBEDDED = ROOT / "kserve_nb" / "clusters" / "embedded"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
_LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)[^)]*\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    targets = _LINK.findall(page.read_text())

    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_the_map_lists_every_module_that_names_its_source() -> None:
    listed = (ROOT / "docs" / "architecture.md").read_text()
    sourced = [path for path in EMBEDDED.rglob("*.py") if _names_a_source(path)]

    missing = [str(path.relative_to(EMBEDDED)) for path in sourced if str(path.relative_to(EMBEDDED)) not in listed]
    assert len(sourced) > 20
    assert missing == []


def _names_a_source(path: Path) -> bool:
    return re.search(r"^Sources?:", ast.get_docstring(ast.parse(path.read_text())) or "", re.MULTILINE) is not None


def test_binders_scripts_name_files_that_exist() -> None:
    scripts = "".join((ROOT / "binder" / name).read_text() for name in ("postBuild", "start"))
    named = re.findall(r"(?:kserve_nb|notebooks|binder)/[\w./]+\.\w+", scripts)

    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []
