"""Pieces of HTML that several widgets use: notes, chips, buttons, lists to choose from, tables and commands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

_VISIBLE = {  # characters that reorder or hide the text around them: shown as their code instead
    code: f"\\u{code:04x}" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C)
}


def safe(text: str) -> str:
    """Text from the cluster as HTML: markup is escaped, and characters that change the text direction are shown.

    >>> safe("<b> \\u202e")
    '&lt;b&gt; \\\\u202e'
    """
    return escape(text.translate(_VISIBLE), quote=True)


def note(glyph: str, text: str, *, urgent: bool = False, soft: bool = False) -> str:
    """One line that a screen reader reads when it appears: immediately if urgent."""
    role = "alert" if urgent else "status"
    look = "knb-urgent" if urgent else "knb-soft" if soft else ""
    return f"<div role='{role}' class='{look}'>{glyph} {safe(text)}</div>"


def chip(glyph: str, text: str, look: str = "") -> str:
    """A short state in a frame; `look` is good, bad or warn."""
    return f"<span class='knb-chip {f'knb-{look}' if look else ''}'>{glyph} {safe(text)}</span>"


def button(name: str, label: str, *, value: str = "", why_not: str = "", look: str = "", title: str = "") -> str:
    """A button that reports `name` and `value`.

    Args:
        why_not: why the button cannot be pressed now. It stays focusable, so that keyboard users can read the reason.
        look: primary, caution or small.
    """
    state = " aria-disabled='true'" if why_not else ""
    tip = f" title='{safe(why_not or title)}'" if why_not or title else ""
    classes = " ".join(["knb-button", *(f"knb-{word}" for word in look.split())])
    return (
        f"<button type='button' class='{classes}' data-click='{name}' data-value='{safe(value)}'{state}{tip}>"
        f"{safe(label)}</button>"
    )


def checkbox(name: str, label: str, *, checked: bool) -> str:
    """A checkbox that reports `true` or `false`."""
    state = " checked" if checked else ""
    return f"<label data-key='{name}'><input type='checkbox' data-change='{name}'{state}> {safe(label)}</label>"


def choice(name: str, label: str, options: Iterable[tuple[str, str]], selected: str) -> str:
    """A list to choose from, which reports the chosen value; each option is a label and a value."""
    items = "".join(
        f"<option value='{safe(value)}'{' selected' if value == selected else ''}>{safe(words)}</option>"
        for words, value in options
    )
    return (
        f"<label data-key='{name}'>{safe(label)} "
        f"<select data-change='{name}' data-selected='{safe(selected)}'>{items}</select></label>"
    )


def toolbar(*parts: str) -> str:
    """Controls in a row, which wraps in a narrow cell."""
    return f"<div class='knb-row'>{''.join(parts)}</div>"


def table(head: Sequence[str], body: str, caption: str) -> str:
    """A table, which scrolls within a narrow cell; `head` and `body` are HTML.

    Args:
        caption: what a screen reader calls the table.
    """
    names = "".join(f"<th scope='col'>{name}</th>" for name in head)
    return (
        f"<div class='knb-scroll' tabindex='0' role='region' aria-label='{safe(caption)}'>"
        f"<table aria-label='{safe(caption)}'><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def command(text: str) -> str:
    """A command with a button that copies it."""
    return (
        f"<div class='knb-box knb-command'><code>{safe(text)}</code>"
        f"<button type='button' class='knb-button knb-small' data-copy='{safe(text)}'>Copy command</button></div>"
    )


def hidden(words: str) -> str:
    """Text for screen readers only."""
    return f"<span class='knb-hidden'>{safe(words)}</span>"


def folded(summary: str, body: str, key: str) -> str:
    """A part of the page that is closed at first; the browser remembers whether the user opened it."""
    return f"<details data-key='{key}'><summary>{safe(summary)}</summary>{body}</details>"
