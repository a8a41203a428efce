"""The little of a shell that the tutorial's commands need: variables, quotes, a pipe into jq, a log of what was run."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jq

LOG = "KSERVE_NB_COMMAND_LOG"  # where set, each command that was run is appended to this file as a JSON line
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|([A-Za-z_]\w*))")
_SINGLE_QUOTED = re.compile(r"('[^']*')")


class CommandError(RuntimeError):
    """A command that did not succeed; in IPython its traceback is only its message."""

    def _render_traceback_(self) -> list[str]:
        return str(self).splitlines()


@dataclass(frozen=True)
class CommandLine:
    """A command line, read: its words, and the jq filter that its output goes through."""

    words: tuple[str, ...]
    jq: str | None = None
    raw: bool = False  # jq -r

    def shown(self, output: str) -> str:
        """The output as this command shows it."""
        return output if self.jq is None else through_jq(output, self.jq, self.raw)


def expand(text: str, variables: Mapping[str, Any]) -> str:
    """The text with $NAME and ${NAME} replaced, but not inside single quotes. Raises CommandError for an unset one."""

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name not in variables:
            raise CommandError(f"{name} is not set. Set it in a cell before this one: {name} = …")
        return str(variables[name])

    parts = _SINGLE_QUOTED.split(text)
    return "".join(part if part.startswith("'") else _VARIABLE.sub(value, part) for part in parts)


def read(text: str, variables: Mapping[str, Any]) -> CommandLine:
    """A command line as a shell reads it: continued lines, variables, quotes, and `| jq` at its end."""
    joined = re.sub(r"\\\n\s*", " ", text.strip())
    lexer = shlex.shlex(expand(joined, variables), posix=True, punctuation_chars="|")
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        words = list(lexer)
    except ValueError as error:
        raise CommandError(f"{text.strip()}: {error}.") from None
    if "|" not in words:
        return CommandLine(tuple(words))
    at = words.index("|")
    program, *options = words[at + 1 :] or [""]
    if program != "jq" or "|" in options:
        raise CommandError(f"| {' '.join(words[at + 1 :])}: only `| jq [filter]` may follow here.")
    filters = [word for word in options if not word.startswith("-")]
    return CommandLine(tuple(words[:at]), filters[0] if filters else ".", "-r" in options)


def through_jq(text: str, program: str, raw: bool = False) -> str:
    """What jq makes of a JSON text, indented as jq does."""
    try:
        results = jq.compile(program).input_text(text).all()
    except ValueError as error:
        raise CommandError(f"jq: {error}. It was given: {text.strip()[:200] or 'nothing'}") from None
    return "\n".join(
        result if raw and isinstance(result, str) else json.dumps(result, indent=2, ensure_ascii=False)
        for result in results
    )


def log(line: str, words: Sequence[str], stdin: str, code: int) -> None:
    """Append a command that was run to the file that KSERVE_NB_COMMAND_LOG names, if it names one."""
    target = os.environ.get(LOG)
    if target:
        row = json.dumps({"line": line.strip(), "argv": list(words), "stdin": stdin, "exit": code})
        with Path(target).open("a", encoding="utf-8") as file:
            file.write(row + "\n")
