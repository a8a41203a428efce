"""The report of a page's drift, as text for a terminal and as Markdown."""

from __future__ import annotations

import re
from collections import Counter
from difflib import unified_diff

from kserve_nb.runner.pages.page_drift import Change, DriftEntry, PageDrift

_TITLES: dict[Change, str] = {
    "changed": "The command has changed",
    "new": "New on the page: no notebook runs it",
    "gone": "No longer on the page",
    "not run": "No cell runs the command any more",
    "output": "The output differs from the executed one",
}


def summary(drift: PageDrift) -> str:
    """One line: how many commands are unchanged, changed, new, gone, and have another output."""
    counts = Counter(entry.change for entry in drift.entries)
    return (f"{counts['unchanged']} unchanged, {counts['changed']} changed, {counts['new']} new, "
            f"{counts['gone']} gone, {counts['output']} with another output"
            + (f", {counts['not run']} not run" if counts["not run"] else ""))


def text(drift: PageDrift, source: str) -> str:
    """The report for a terminal."""
    parts = [f"page           {source}\ncompared with  {drift.page}\nresult         {summary(drift)}"]
    for change, title in _TITLES.items():
        entries = [entry for entry in drift.drifted if entry.change == change]
        parts += [title.upper()] if entries else []
        parts += ["\n".join([f"{_place(entry)}{_by(entry)}", *(f"    {line}" for line in _body(entry))])
                  for entry in entries]
    return "\n\n".join(parts)


def markdown(drift: PageDrift, source: str) -> str:
    """The report as Markdown. Text of the page appears in code only, so it cannot add links, mentions or markup."""
    parts = ["# Differences between KServe's page and the notebooks",
             f"Page: {_code(source)}, compared with {_code(drift.page)}.\n\n**{summary(drift)}**"]
    for change, title in _TITLES.items():
        entries = [entry for entry in drift.drifted if entry.change == change]
        parts += [f"## {title}"] if entries else []
        for entry in entries:
            parts += [f"### {_code(_place(entry))}", *([f"Run by {_code(entry.cell)}."] if entry.cell else []),
                      _fenced("\n".join(_body(entry)), "diff" if change == "changed" else "text")]
    return "\n\n".join(parts) + "\n"


def _place(entry: DriftEntry) -> str:
    return f"{entry.heading or 'before the first heading'}" + (f" (line {entry.line})" if entry.line else "")


def _by(entry: DriftEntry) -> str:
    return f", run by {entry.cell}" if entry.cell else ""


def _body(entry: DriftEntry) -> list[str]:
    if entry.change == "changed":
        rows = unified_diff(entry.before.splitlines(), entry.command.splitlines(), "notebook", "page", lineterm="", n=2)
        return [row for row in rows if not row.startswith("@@")]
    command = entry.command.splitlines()
    if entry.change in ("output", "not run"):
        return [command[0], *(f"  {detail}" for detail in entry.details)]
    return command


def _code(value: str) -> str:
    """Inline code; a page's backticks and line breaks cannot end it."""
    return f"`{' '.join(value.replace('`', chr(39)).split())}`"


def _fenced(body: str, language: str) -> str:
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall(r"`+", body)), 3)
    return f"{fence}{language}\n{body}\n{fence}"
