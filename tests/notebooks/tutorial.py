"""The tutorial's command blocks, and what a notebook must have run for each."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import yaml

DATA = Path(__file__).parents[1] / "data" / "tutorial_commands.yaml"
_HERE_DOCUMENT = re.compile(r"^(.+?) <<EOF(?: > \"(.+)\")?\n(.*?)^EOF$", re.MULTILINE | re.DOTALL)
_CAPTURED = re.compile(r"^(?:export )?\w+=\$\((.*)\)$")
_ASSIGNED = re.compile(r"^(\w+)=([\w-]+)$")


@dataclass(frozen=True)
class Block:
    """One block of a page."""

    page: str
    step: str
    text: str
    notebook: str = ""  # whose cells run it
    not_run: str = ""  # or why none does


@dataclass(frozen=True)
class Command:
    """One command, as printed or as run: kubectl by its words, curl by its line before variables are filled in."""

    words: tuple[str, ...]
    stdin: str = ""


def blocks() -> list[Block]:
    """All blocks of both pages, in order."""
    rows = yaml.safe_load(DATA.read_text())
    return [
        Block(row["page"], row["step"], row["block"], row.get("notebook", ""), row.get("not_run", "")) for row in rows
    ]


def printed(block: Block) -> list[Command]:
    """The kubectl and curl commands of a block."""
    documents = _HERE_DOCUMENT.findall(block.text)
    found = [Command(tuple(shlex.split(line)), body.strip()) for line, name, body in documents if not name]
    for line in _HERE_DOCUMENT.sub("", block.text).splitlines():
        captured = _CAPTURED.match(line)
        command = (captured[1] if captured else line).strip()
        if command.startswith(("kubectl ", "curl ")):
            found.append(_command(command))
    return found


def files(block: Block) -> dict[str, str]:
    """Files that a block writes, by name."""
    return {name: body for _, name, body in _HERE_DOCUMENT.findall(block.text) if name}


def assigned(block: Block) -> list[tuple[str, str]]:
    """Plain assignments of a block: name and value."""
    return [found.groups() for found in map(_ASSIGNED.match, block.text.splitlines()) if found]  # type: ignore[misc]


def run(log: Path) -> list[Command]:
    """The commands that the magics wrote into their log; those that failed are not among them."""
    rows = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return [
        Command(tuple(row["argv"]), row["stdin"].strip()) if row["argv"][0] == "kubectl" else _command(row["line"])
        for row in rows
        if row["exit"] == 0 or "--allow AlreadyExists" in row["line"]
    ]


def wrong(notebook: str, log: Path) -> dict[Command, tuple[int, int]]:
    """Commands that this notebook did not run as often as the pages print them: printed, run."""
    expected = Counter(command for block in blocks() if block.notebook == notebook for command in printed(block))
    ran = Counter(run(log))
    return {command: (count, ran[command]) for command, count in expected.items() if ran[command] != count}


def _command(line: str) -> Command:
    """A command without the pipe behind it: its output is cut by Python, or goes through our own jq."""
    words = shlex.split(line)
    return Command(tuple(words[: words.index("|")] if "|" in words else words))
