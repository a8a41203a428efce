"""The table in docs/admission.md names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

UNIT = Path(__file__).parent
NAMED = re.findall(r"`(test_\w+\.py)::(test_\w+)`", (UNIT.parents[1] / "docs/admission.md").read_text())


@pytest.mark.parametrize(("module", "test"), NAMED, ids=[test for _, test in NAMED])
def test_a_rule_has_its_test(module: str, test: str) -> None:
    assert f"\ndef {test}(" in (UNIT / module).read_text()


def test_each_row_has_a_test_or_a_reason() -> None:
    text = (UNIT.parents[1] / "docs/admission.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith(("| ---", "| rule",
                                                                                                "| what"))]

    assert [row for row in rows if "::" not in row and "not applied" not in row] == []
