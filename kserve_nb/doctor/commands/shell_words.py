"""The words of a pasted shell line: prompt, continued lines, quotes and variables, up to the first operator."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from kserve_nb.magics.command_line import CommandError

_PROMPT = re.compile(r"^\s*(?:%%(?:curl|bash|sh)[ \t]*\n\s*|(?:\S+@\S+[^$#\n]*)?[$#!>]\s+|[$!]|%%?)(?=\S*curl\b)")
_CONTINUED = re.compile(r"(?:\\|\^|`)[ \t]*\r?\n[ \t]*")
_VARIABLE = re.compile(r"\$\{(\w+)(?::?-([^}]*))?\}|\$([A-Za-z_]\w*)")
_SUBSTITUTION = re.compile(r"\$\(([^()]*)\)|`([^`\n]*)`")
_TYPOGRAPHIC = "“”„‘’‚"
_PLAIN = str.maketrans(_TYPOGRAPHIC, "\"\"\"'\'\'")
_POWERSHELL = re.compile(r"\bcurl\.exe\b|`[ \t]*\r?\n")
_ASSIGNMENT = re.compile(r"""(?:^|[\s;])([A-Za-z_]\w*)=('[^']*'|"[^"]*"|[^\s;&|]*)(?=[\s;&])""")
_OPERATORS = {"|", "||", "&&", "&", ";", ">", ">>", "<", "<<", "<<<", "2", "2>"}


@dataclass(frozen=True)
class ShellWords:
    """The words of one curl command, without `curl` itself, and the variables that had no value."""

    words: tuple[str, ...]
    unset: tuple[str, ...] = ()
    piped: bool = False  # something is piped or redirected into it
    curly: bool = False  # the line has typographic quotes, which are read as plain ones


def read_words(line: str, variables: Mapping[str, str]) -> ShellWords:
    """Read a line as a shell does. Raises CommandError when it has no curl command or an open quote."""
    curly = any(quote in line for quote in _TYPOGRAPHIC)
    text = _CONTINUED.sub(" ", _PROMPT.sub("", line.translate(_PLAIN)).strip()).replace("$'", "'").replace('$"', '"')
    if _POWERSHELL.search(line):
        text = text.replace('\\"', '"')  # PowerShell needs the backslash for programs, also between single quotes
    variables = {**variables, **_assigned(text)}
    unset: list[str] = []
    text = _expanded(_SUBSTITUTION.sub(lambda found: _substituted(found, variables), text), variables, unset)
    lexer = shlex.shlex(text, posix=True, punctuation_chars="|;&<>")
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        words = list(lexer)
    except ValueError as error:
        raise CommandError(f"{line.strip()}: {error}.") from None
    start = next((n for n, word in enumerate(words) if word in ("curl", "curl.exe") or word.endswith("/curl")), None)
    if start is None and not (words and words[0].startswith(("-", "http"))):
        raise CommandError(f"{line.strip()[:80]}: this is not a curl command.")
    first = 0 if start is None else start + 1
    end = next((n for n in range(first, len(words)) if _is_operator(words, n)), len(words))
    piped = "|" in words[:first] or any(word.startswith("<") for word in words[end : end + 1])
    return ShellWords(tuple(words[first:end]), tuple(dict.fromkeys(unset)), piped, curly)


def _assigned(text: str) -> dict[str, str]:
    """The variables that the line itself sets in front of the command: `HOST=a.example.com; curl …`."""
    return {name: value.strip("'\"") for name, value in _ASSIGNMENT.findall(text.partition("curl ")[0])}


def _is_operator(words: list[str], n: int) -> bool:
    if words[n] == "2":  # the 2 in 2>/dev/null
        return n + 1 < len(words) and words[n + 1].startswith(">")
    return words[n] in _OPERATORS


def _substituted(found: re.Match[str], variables: Mapping[str, str]) -> str:
    """The value of $(…): the host, if the command in it reads status.url; otherwise unknown."""
    command = found[1] or found[2] or ""
    if "url" in command:
        host = variables.get("SERVICE_HOSTNAME", "")
        return host if re.search(r"cut|sed|awk|\bf3\b", command) else f"http://{host}"
    return ""


def _expanded(text: str, variables: Mapping[str, str], unset: list[str]) -> str:
    """The text with variables replaced, except inside single quotes. One without a value becomes empty."""

    def value(found: re.Match[str]) -> str:
        name, default = found[1] or found[3], found[2]
        if variables.get(name):
            return str(variables[name])
        if default is None:
            unset.append(name)
        return default or ""

    parts: list[str] = []
    for quoted, part in _single_quoted(text):
        parts.append(part if quoted else _VARIABLE.sub(value, part))
    return "".join(parts)


def _single_quoted(text: str) -> list[tuple[bool, str]]:
    """The text in parts, and whether each is in single quotes. An apostrophe inside double quotes does not count."""
    parts: list[tuple[bool, str]] = []
    start, single, double = 0, False, False
    for number, char in enumerate(text):
        if char == '"' and not single and text[number - 1 : number] != "\\":
            double = not double
        elif char == "'" and not double:
            end = number + 1 if single else number
            parts.append((single, text[start:end]))
            start, single = end, not single
    return [*parts, (single, text[start:])]
