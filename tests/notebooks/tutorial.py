"""The tutorial's command blocks, and the commands that a notebook must run for each."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from kserve_nb.runner.pages.known_blocks import KnownBlock as Block
from kserve_nb.runner.pages.known_blocks import known_blocks
from kserve_nb.runner.pages.shell_commands import commands_of_cell, parsed

_ASSIGNED = re.compile(r"^(\w+)=([\w-]+)$")


@dataclass(frozen=True)
class Command:
    """One command, as printed or as run: kubectl by its words, curl by its line before variables are filled in."""

    words: tuple[str, ...]
    stdin: str = ""


def blocks() -> list[Block]:
    """Return all blocks of both pages, in order."""
    return known_blocks()


def printed(block: Block) -> list[Command]:
    """Return the kubectl and curl commands of a block."""
    return [Command(each.words, each.stdin) for each in parsed(block.text)[0] if each.words[0] in ("kubectl", "curl")]


def files(block: Block) -> dict[str, str]:
    """Return the files that a block writes, by name."""
    return {each.file: f"{each.stdin}\n" for each in parsed(block.text)[0] if each.file}


def assigned(block: Block) -> list[tuple[str, str]]:
    """Return the plain assignments of a block: name and value."""
    return [found.groups() for found in map(_ASSIGNED.match, block.text.splitlines()) if found]  # type: ignore[misc]


def run(log: Path) -> list[Command]:
    """Return the commands in the magics' log, without those that failed."""
    rows = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return [
        Command(tuple(row["argv"]), row["stdin"].strip()) if row["argv"][0] == "kubectl" else command(row["line"])
        for row in rows
        if row["exit"] == 0 or "--allow AlreadyExists" in row["line"]
    ]


def wrong(notebook: str, log: Path) -> dict[Command, tuple[int, int]]:
    """Return the commands that this notebook ran more or less often than the pages print them."""
    expected = Counter(command for block in blocks() if block.notebook == notebook for command in printed(block))
    ran = Counter(run(log))
    return {command: (count, ran[command]) for command, count in expected.items() if ran[command] != count}


def command(line: str) -> Command:
    """Return a command without its pipe (Python or our own jq processes the output) and its line breaks."""
    (found,) = commands_of_cell(f"%%curl\n{line}")
    return Command(found.words)
