"""The parts of a shell that the tutorial's commands use: variables, quotes, a pipe into jq; and a log of commands."""

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

from kserve_nb.values.text.readable_error import ReadableError, wrapped

LOG = "KSERVE_NB_COMMAND_LOG"  # names a file to which each command is appended as a JSON line
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|([A-Za-z_]\w*))")
_SINGLE_QUOTED = re.compile(r"('[^']*')")


class CommandError(ReadableError, RuntimeError):
    """A command that failed; a notebook shows only the message, as a terminal would."""

    def _render_traceback_(self) -> list[str]:
        return wrapped(str(self))


@dataclass(frozen=True)
class CommandLine:
    """A parsed command line: its words, and the jq filter for its output.

    >>> read("kubectl get isvc -n ${NS} -o json | jq .status", {"NS": "kserve-test"})
    CommandLine(words=('kubectl', 'get', 'isvc', '-n', 'kserve-test', '-o', 'json'), jq='.status', raw=False)
    """

    words: tuple[str, ...]
    jq: str | None = None
    raw: bool = False  # jq -r

    def shown(self, output: str) -> str:
        """The output after the jq filter."""
        return output if self.jq is None else through_jq(output, self.jq, self.raw)


def expand(text: str, variables: Mapping[str, Any]) -> str:
    """The text with $NAME and ${NAME} replaced outside single quotes. Raises CommandError for an unset variable."""

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name not in variables:
            raise CommandError(f"There is no variable {name}. Set it in a cell before this one: {name} = …")
        return str(variables[name])

    parts = _SINGLE_QUOTED.split(text)
    return "".join(part if part.startswith("'") else _VARIABLE.sub(value, part) for part in parts)


def read(text: str, variables: Mapping[str, Any]) -> CommandLine:
    """Parse a command line as a shell does: continued lines, variables, quotes, and `| jq` at the end."""
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
        raise CommandError(f"Cannot run `| {' '.join(words[at + 1 :])}`: only `| jq [filter]` can follow a command.")
    filters = [word for word in options if not word.startswith("-")]
    return CommandLine(tuple(words[:at]), filters[0] if filters else ".", "-r" in options)


def through_jq(text: str, program: str, raw: bool = False) -> str:
    """The result of a jq filter on a JSON text, indented as jq does it."""
    try:
        results = jq.compile(program).input_text(text).all()
    except ValueError as error:
        raise CommandError(f"jq: {error}. Its input was: {text.strip()[:200] or 'empty'}") from None
    return "\n".join(
        result if raw and isinstance(result, str) else json.dumps(result, indent=2, ensure_ascii=False)
        for result in results
    )


def log(line: str, words: Sequence[str], stdin: str, code: int) -> None:
    """Append a command to the file named by KSERVE_NB_COMMAND_LOG, if it is set."""
    target = os.environ.get(LOG)
    if target:
        row = json.dumps({"line": line.strip(), "argv": list(words), "stdin": stdin, "exit": code})
        with Path(target).open("a", encoding="utf-8") as file:
            file.write(row + "\n")
