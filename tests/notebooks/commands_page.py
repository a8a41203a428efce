"""Write docs/commands.md, which lists the cell that runs each command block of KServe's pages.

    python -m tests.notebooks.commands_page
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

import nbformat

from kserve_nb.runner.pages.shell_commands import commands_of_cell
from tests.notebooks.tutorial import Block, Command, assigned, blocks, files, printed

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "commands.md"
_HERE = re.compile(r"<<EOF(.*?)\n.*?^EOF$", re.MULTILINE | re.DOTALL)
_HEAD = """# Every command of the tutorial, and the cell that runs it

KServe's canary example builds on the page *First InferenceService*. This page lists all command blocks of both pages in
order, each with the cell that runs it unchanged. `python -m tests.notebooks.commands_page` generates it from
`kserve_nb/runner/pages/known_blocks.yaml` and the notebooks. Tests compare it with both, and compare the commands
that the cells ran with those of the pages.
"""


@dataclass(frozen=True)
class Place:
    """A code cell."""

    notebook: str
    cell: str

    def __str__(self) -> str:
        return f"[{self.notebook}](../notebooks/{self.notebook}.ipynb), cell `{self.cell}`"


def commands_of(source: str) -> Iterator[Command]:
    """Return the kubectl and curl commands that a cell's magics run."""
    return (Command(each.words, each.stdin) for each in commands_of_cell(source))


def places(block: Block, wanted: Command) -> list[Place]:
    """Return the cells of the block's notebook that run this command."""
    return [Place(block.notebook, name) for name, source in _cells(block.notebook) if wanted in commands_of(source)]


def placed(block: Block) -> list[Place]:
    """Return the cells that run a block; one cell runs each command, file and assignment."""
    found = [place for wanted in printed(block) for place in places(block, wanted)]
    said = [f'"{Path(name).name}"' for name in files(block)]
    said += [f'{name} = "{value}"' for name, value in assigned(block)]
    cells = _cells(block.notebook)
    found += [Place(block.notebook, name) for words in said for name, source in cells if words in source]
    return list(dict.fromkeys(found))


def text() -> str:
    """Return the text of the page."""
    parts = [_HEAD]
    for page, of_page in groupby(blocks(), lambda block: block.page):
        parts += [f"\n## {page}\n", "| step of the page | commands | run by |", "| --- | --- | --- |"]
        parts += [_row(block) for block in of_page]
    return "\n".join(parts) + "\n"


def _row(block: Block) -> str:
    by = "<br>".join(map(str, placed(block))) if block.notebook else f"no cell: {block.not_run}"
    return f"| {block.step} | {'<br>'.join(_shown(block))} | {by} |"


def _shown(block: Block) -> list[str]:
    """Return the block's lines without the contents of here documents."""
    lines = _HERE.sub(r"<<EOF\1 …", block.text).strip().splitlines()
    return [f"`{line}`".replace("|", "\\|") for line in lines if not line.startswith("#")]


@cache
def _cells(notebook: str) -> list[tuple[str, str]]:
    found = nbformat.read(ROOT / "notebooks" / f"{notebook}.ipynb", as_version=4)
    return [(cell.id, cell.source) for cell in found.cells if cell.cell_type == "code"]


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(text(), encoding="utf-8")
