"""docs/canary-page-corrected.md quotes the page's commands, and the outputs in the recordings of a real KServe."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

from kserve_nb.runner.pages.known_blocks import known_blocks

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "canary-page-corrected.md").read_text(encoding="utf-8")
RECORDED: list[dict[str, Any]] = json.loads((ROOT / "tests/conformance/recorded/tutorial-istio.json").read_text())[0]
ROW = re.compile(r"^(sklearn-iris +http.*)$", re.MULTILINE)
STEPS = ("first model", "canary", "promote", "roll back")
_REAL = re.compile(r"\*\*KServe 0\.20 prints\*\*[^\n]*\n\n```\w+\n(.*?)\n```", re.DOTALL)


def test_every_command_is_one_of_kserves_page() -> None:
    printed = {line.strip() for block in known_blocks() for line in block.text.splitlines()}

    commands = re.findall(r"^    ((?:kubectl|curl|MODEL_NAME=).*)$", TEXT, re.MULTILINE)
    assert len(commands) >= 9
    assert [command for command in commands if command.strip() not in printed] == []


def test_each_manifest_is_the_one_of_kserves_pages() -> None:
    blocks = [f"{block.text.strip()}\n" for block in known_blocks()]
    applied = [textwrap.dedent(found) for found in re.findall(r"^    kubectl apply.*?^    EOF\n", TEXT, re.M | re.S)]

    assert len(applied) == 5
    assert [manifest for manifest in applied if manifest not in blocks] == []


@pytest.mark.parametrize("number", range(len(STEPS)), ids=STEPS)
def test_the_rows_of_a_real_kserve_are_those_of_its_recording(number: int) -> None:
    rows = [row for block in _REAL.findall(TEXT) for row in ROW.findall(block)]
    step = next(step for step in RECORDED if step["say"].startswith(STEPS[number]))
    settled = step["settled"]
    traffic = {tag or "latest": (percent, revision) for tag, percent, _, revision in settled["traffic"]}
    previous, latest = traffic.get("prev", ("", "")), traffic["latest"]

    expected = ["sklearn-iris", settled["url"], settled["ready"], previous[0], latest[0], previous[1], latest[1]]
    texts = [str(value) for value in expected if value != ""]
    shown = [f"sklearn-iris-predictor-{value}" if value.startswith("000") else value for value in texts]

    assert rows[number].split()[:-1] == shown  # the last column is the age


def test_the_json_of_a_real_kserve_is_that_of_its_recording() -> None:
    real = next(json.loads(block) for block in _REAL.findall(TEXT) if block.startswith("{"))
    recorded = next(step["command"][1] for step in RECORDED if step["say"].startswith("status of the predictor"))

    assert real == json.loads(recorded)


def test_the_json_of_kserves_page_is_that_which_notebook_08_compares() -> None:
    page = json.loads((ROOT / "notebooks" / "page-status.json").read_text())
    printed = re.findall(r"\*\*KServe\'s page prints\*\*\n\n```json\n(.*?)\n```", TEXT, re.DOTALL)

    assert [json.loads(block) for block in printed] == [page]
