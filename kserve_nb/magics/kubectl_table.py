"""Tables that kubectl printed, as HTML: a cell wraps in a narrow notebook, where a line of text would break."""

from __future__ import annotations

import re

from kserve_nb.values.text.foreign_text import safe_html

_COLUMN = re.compile(r"\S+(?: \S+)*")  # a heading may consist of two words: NOMINATED NODE
_HEADING = re.compile(r"[A-Z][A-Z0-9 ()/_-]*")
_LONG = 16  # characters; a longer word without a hyphen may break anywhere
_TABLE = "border-collapse:collapse;margin:0;font:12px/1.4 var(--jp-code-font-family, monospace)"
_CELL = "text-align:left;vertical-align:top;padding:2px 10px 2px 4px;max-width:none;overflow-wrap:break-word"


def html(text: str) -> str:
    """The tables in what kubectl printed, as HTML; empty if the text is anything else.

    >>> html("NAME   READY\\nmine   True\\n").count("<td")
    2
    """
    if not text.strip():
        return ""
    tables = [_rows(block.splitlines()) for block in text.strip("\n").split("\n\n")]
    return "".join(map(_table, tables)) if all(tables) else ""


def _rows(lines: list[str]) -> list[list[str]]:
    """The cells of a table, line by line; empty if the lines are not a table."""
    starts = [found.start() for found in _COLUMN.finditer(lines[0])]
    ends = [*starts[1:], None]
    rows = [[line[start:end].strip() for start, end in zip(starts, ends, strict=True)] for line in lines]
    is_aligned = all(not line[start - 1 : start].strip() for line in lines for start in starts[1:])
    has_headings = len(starts) > 1 and starts[0] == 0 and all(map(_HEADING.fullmatch, rows[0]))
    return rows if len(lines) > 1 and is_aligned and has_headings else []


def _table(rows: list[list[str]]) -> str:
    head = "".join(f"<th scope='col' style='{_look(cell)}'>{safe_html(cell)}</th>" for cell in rows[0])
    cells = ["".join(f"<td style='{_look(cell)}'>{safe_html(cell)}</td>" for cell in row) for row in rows[1:]]
    body = "".join(f"<tr>{row}</tr>" for row in cells)
    return f"<table style='{_TABLE}'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _look(cell: str) -> str:
    """The style of a cell: a long word such as an address breaks rather than making the table wider than its place."""
    is_long = max(map(len, re.split(r"[\s-]", cell))) > _LONG
    return f"{_CELL};overflow-wrap:anywhere;min-width:9em" if is_long else _CELL
