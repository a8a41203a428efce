"""One cell runs each command block of KServe's pages, and docs/commands.md names it."""

from __future__ import annotations

import pytest

from tests.notebooks.commands_page import PAGE, commands_of, placed, places, text
from tests.notebooks.tutorial import Block, blocks, printed


@pytest.mark.parametrize("block", blocks(), ids=lambda block: block.step)
def test_each_command_of_a_block_is_in_one_cell(block: Block):
    if block.not_run:
        assert not block.notebook
        return

    for command in printed(block):
        assert len(places(block, command)) == 1, command
    assert placed(block), block.text


def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == text(), "python -m tests.notebooks.commands_page"


@pytest.mark.parametrize("source", [
    "%kubectl get pods", "x = %kubectl get pods", "%kubectl --allow NotFound get pods", "%kubectl get pods | jq",
    "# a comment\n%kubectl get pods",
])
def test_a_cells_command_is_read_as_the_page_prints_it(source: str):
    (found,) = commands_of(source)

    assert found.words == ("kubectl", "get", "pods") and found.stdin == ""
