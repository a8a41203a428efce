"""The tutorial's command blocks, and the commands that a notebook must run for each."""

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
    not_run: str = ""  # or the reason why no cell runs it


@dataclass(frozen=True)
class Command:
    """One command, as printed or as run: kubectl by its words, curl by its line before variables are filled in."""

    words: tuple[str, ...]
    stdin: str = ""


def blocks() -> list[Block]:
    """Return all blocks of both pages, in order."""
    rows = yaml.safe_load(DATA.read_text())
    return [
        Block(row["page"], row["step"], row["block"], row.get("notebook", ""), row.get("not_run", "")) for row in rows
    ]


def printed(block: Block) -> list[Command]:
    """Return the kubectl and curl commands of a block."""
    documents = _HERE_DOCUMENT.findall(block.text)
    found = [Command(tuple(shlex.split(line)), body.strip()) for line, name, body in documents if not name]
    for line in _HERE_DOCUMENT.sub("", block.text).splitlines():
        captured = _CAPTURED.match(line)
        plain = (captured[1] if captured else line).strip()
        if plain.startswith(("kubectl ", "curl ")):
            found.append(command(plain))
    return found


def files(block: Block) -> dict[str, str]:
    """Return the files that a block writes, by name."""
    return {name: body for _, name, body in _HERE_DOCUMENT.findall(block.text) if name}


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


def command(line: str, stdin: str = "") -> Command:
    """Return a command without its pipe (Python or our own jq processes the output) and its line breaks."""
    words = shlex.split(re.sub(r"\\\n\s*", " ", line))
    return Command(tuple(words[: words.index("|")] if "|" in words else words), stdin)
