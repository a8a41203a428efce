"""The command blocks of a Markdown or MDX page, each with the output that the page prints below it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from markdown_it import MarkdownIt
from markdown_it.token import Token

from kserve_nb.runner.pages.shell_commands import ShellCommand, is_command, parsed

_TAG = re.compile(r"^[ \t]*</?[A-Za-z][^<>\n]*>[ \t]*$", re.MULTILINE)  # a component's tag on its own line
_CONFIGURATION = frozenset({"yaml", "yml", "json"})
_TERMINAL = frozenset({"", "bash", "console", "json", "output", "sh", "shell", "shell-session", "text", "yaml", "yml"})


@dataclass(frozen=True)
class PageCommand:
    """One command on a page."""

    command: ShellCommand
    heading: str  # the section that it is in
    line: int  # the number of its line on the page, from 1
    output: str = ""  # what the page prints below it


def page_commands(text: str) -> list[PageCommand]:
    """The commands of a page, in order.

    HTML and indented code are not parsed as such: MDX has components in their place, and both MDX and the tabs of
    MkDocs indent code blocks.
    """
    markdown = MarkdownIt("commonmark").disable(["html_block", "html_inline", "code"])
    tokens = markdown.parse(_TAG.sub("", text))
    found: list[PageCommand] = []
    mentioned: PageCommand | None = None  # a command in a sentence; it counts if its output follows
    heading = ""
    for number, token in enumerate(tokens):
        if token.type == "heading_open":
            heading = tokens[number + 1].content
        elif token.type == "inline":
            mentioned = next(_mentioned(token, heading), mentioned)
        elif token.type == "fence" and _language(token) in _TERMINAL:
            commands, output = _read(token)
            line = token.map[0] + 2 if token.map else 1
            if commands:
                mentioned = None
            elif output and mentioned:
                found.append(mentioned)
                mentioned = None
            found += [PageCommand(command, heading, line) for command in commands]
            if output and found and not found[-1].output:
                found[-1] = replace(found[-1], output=output)
    return found


def _read(token: Token) -> tuple[tuple[ShellCommand, ...], str]:
    """The commands and the output of a code block; an object's document counts as a `kubectl apply` of it."""
    commands, output = parsed(token.content)
    if not commands and _language(token) in _CONFIGURATION and "apiVersion:" in output:
        return (ShellCommand("kubectl apply -f -", output.strip()),), ""
    return commands, output


def _language(token: Token) -> str:
    return token.info.split()[0].lower() if token.info.split() else ""


def _mentioned(token: Token, heading: str) -> Iterator[PageCommand]:
    """The commands in a sentence, the last one first."""
    for child in reversed(token.children or []):
        if child.type == "code_inline" and is_command(child.content) and " " in child.content:
            yield PageCommand(ShellCommand(child.content), heading, token.map[0] + 1 if token.map else 1)
