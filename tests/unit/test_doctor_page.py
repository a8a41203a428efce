"""docs/doctor.md is up to date and names every rule."""

from __future__ import annotations

import re

import pytest

from kserve_nb.doctor import titles
from tests.unit.doctor_page import PAGE, page


@pytest.mark.slow
def test_the_page_of_the_rules_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "write it: python -m tests.unit.doctor_page"


def test_each_rule_has_an_anchor_and_an_explanation() -> None:
    parts = re.split(r"^### (\w\d\d)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))

    assert sorted(sections) == sorted(titles())
    assert [id_ for id_, text in sections.items() if "\n* `" not in text] == []
