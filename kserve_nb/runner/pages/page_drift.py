"""The changes of a page since the notebooks were written: commands, blocks and outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal, NamedTuple

from kserve_nb.runner.pages.known_blocks import KnownBlock
from kserve_nb.runner.pages.markdown_page import PageCommand
from kserve_nb.runner.pages.output_comparison import differences
from kserve_nb.runner.pages.shell_commands import ShellCommand, commands_of_cell, parsed
from kserve_nb.runner.run_result import Cell

Change = Literal["unchanged", "changed", "new", "gone", "not run", "output"]
_ALIKE = 0.6  # commands that are less alike than this count as two different ones


class KnownCommand(NamedTuple):
    """A command of a known block."""

    command: ShellCommand
    block: KnownBlock


@dataclass(frozen=True)
class DriftEntry:
    """One command of the page, or one that the page no longer has, and how it differs from the known one."""

    change: Change
    heading: str
    command: str  # the command on the page; the known command for "gone"
    line: int = 0  # its line on the page; 0 for "gone"
    before: str = ""  # the known command, for "changed"
    cell: str = ""  # the cell that runs it
    details: tuple[str, ...] = ()  # what differs in the output, or why no cell runs it


@dataclass(frozen=True)
class PageDrift:
    """The comparison of one page."""

    page: str  # the name of the known page that it was compared with
    entries: tuple[DriftEntry, ...]

    @property
    def drifted(self) -> tuple[DriftEntry, ...]:
        """The entries that are not unchanged."""
        return tuple(entry for entry in self.entries if entry.change != "unchanged")


def known_page(commands: Sequence[PageCommand], blocks: Sequence[KnownBlock]) -> str:
    """The name of the known page that has most of these commands; the last known one if none has any."""
    keys = {each.command.key for each in commands}
    pages = list(dict.fromkeys(block.page for block in reversed(blocks)))
    return max(pages, key=lambda page: len({known.command.key for known in known_commands(page, blocks)} & keys))


def known_commands(page: str, blocks: Sequence[KnownBlock]) -> list[KnownCommand]:
    """The commands of a known page, in order."""
    return [KnownCommand(command, block) for block in blocks if block.page == page for command in parsed(block.text)[0]]


def compare(
    page: str, commands: Sequence[PageCommand], known: Sequence[KnownCommand], executed: Mapping[str, Sequence[Cell]]
) -> PageDrift:
    """Compare the commands of a page with the known ones, and their outputs with the executed ones.

    Args:
        page: the name of the known page.
        commands: the commands of the page.
        known: the commands of the known page.
        executed: the cells of each notebook that runs a known command.
    """
    pairs = _pairs([each.command for each in commands], [each.command for each in known])
    entries = [_entry(found, known[pairs[number]] if number in pairs else None, executed)
               for number, found in enumerate(commands)]
    gone = [DriftEntry("gone", each.block.step, each.command.text, cell=each.block.notebook)
            for number, each in enumerate(known) if number not in pairs.values()]
    return PageDrift(page, (*entries, *gone))


def _pairs(commands: Sequence[ShellCommand], known: Sequence[ShellCommand]) -> dict[int, int]:
    """The index of the known command for each command of the page: equal ones in order, then similar ones."""
    matcher = SequenceMatcher(None, [each.key for each in known], [each.key for each in commands], autojunk=False)
    pairs = {block.b + step: block.a + step for block in matcher.get_matching_blocks() for step in range(block.size)}
    scores = sorted(((_likeness(known[old], commands[new]), -abs(old - new), new, old)
                     for new in range(len(commands)) if new not in pairs
                     for old in range(len(known)) if old not in pairs.values()), reverse=True)
    for score, _, new, old in scores:
        if score >= _ALIKE and new not in pairs and old not in pairs.values():
            pairs[new] = old
    return pairs


def _likeness(before: ShellCommand, after: ShellCommand) -> float:
    if before.key == after.key:
        return 1.0
    if bool(before.stdin) != bool(after.stdin):
        return 0.0
    if before.stdin:
        return SequenceMatcher(None, before.stdin, after.stdin, autojunk=False).ratio()
    return SequenceMatcher(None, before.line, after.line, autojunk=False).ratio()


def _entry(found: PageCommand, known: KnownCommand | None, executed: Mapping[str, Sequence[Cell]]) -> DriftEntry:
    text = found.command.text
    if known is None:
        return DriftEntry("new", found.heading, text, found.line)
    cell = _cell(known, executed)
    name = f"{known.block.notebook}, cell {cell.name}" if cell else known.block.notebook
    if known.command.key != found.command.key:
        return DriftEntry("changed", found.heading, text, found.line, known.command.text, name)
    if cell is None and known.block.notebook and known.command.words[0] in ("kubectl", "curl"):
        return DriftEntry("not run", found.heading, text, found.line, cell=name,
                          details=("the executed notebook has no cell that runs this command",))
    details = tuple(differences(found.output, cell.output)) if cell and found.output else ()
    return DriftEntry("output" if details else "unchanged", found.heading, text, found.line, cell=name, details=details)


def _cell(known: KnownCommand, executed: Mapping[str, Sequence[Cell]]) -> Cell | None:
    """The first executed cell of the block's notebook that runs the command."""
    wanted = known.command.words, known.command.stdin
    return next((cell for cell in executed.get(known.block.notebook, ()) if cell.state == "passed"
                 and wanted in [(each.words, each.stdin) for each in commands_of_cell(cell.source)]), None)
