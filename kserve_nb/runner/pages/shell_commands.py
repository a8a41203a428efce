"""Shell commands as a page prints them and as notebook cells run them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

_CONTINUED = re.compile(r"\\\n\s*")
_HERE_DOCUMENT = re.compile(r"^(?P<line>.*?)\s*<<-?\s*(['\"]?)(?P<end>\w+)\2(?P<rest>.*)$")
_FILE = re.compile(r"^\s*>\s*[\"']?(?P<name>[^\"']+?)[\"']?\s*$")
_SUBSTITUTION = re.compile(r"^(?:export )?\w+=\$\((?P<command>.*)\)$")
_ASSIGNMENT = re.compile(r"^(?:export )?[A-Za-z_]\w*=\S")
_PROMPT = re.compile(r"^[$#>] (?=\S)")
_PROGRAMS = frozenset({
    "awk", "cat", "cd", "cp", "curl", "docker", "echo", "for", "gcloud", "git", "grep", "helm", "hey", "istioctl", "jq",
    "kind", "kn", "kubectl", "ls", "make", "minikube", "mkdir", "oc", "pip", "python", "python3", "sed", "seq", "watch",
    "wget", "while",
})
_LINE_MAGIC = re.compile(r"^(?:\w+ = )?%(kubectl .*)$", re.MULTILINE)
_ALLOW = re.compile(r"^kubectl --allow \w+ ")


@dataclass(frozen=True)
class ShellCommand:
    """A command of a shell: its line, and the text that a here document passes to it.

    >>> ShellCommand("kubectl get pods | wc -l").words
    ('kubectl', 'get', 'pods')
    """

    line: str
    stdin: str = ""
    file: str = ""  # the file that a here document is written to

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the command inside `$(…)` and before a pipe; all words of the line if quotes do not match."""
        captured = _SUBSTITUTION.match(self.line)
        line = captured["command"] if captured else self.line
        try:
            found = shlex.split(line)
        except ValueError:
            found = line.split()
        return tuple(found[: found.index("|")] if "|" in found else found)

    @property
    def key(self) -> tuple[str, ...]:
        """A value that is equal for two commands with the same effect: spaces and the form of YAML are left out."""
        return (" ".join(self.line.split()), _meaning(self.stdin), self.file.removeprefix("./"))

    @property
    def text(self) -> str:
        """The command as it is typed."""
        target = f' > "{self.file}"' if self.file else ""
        return f"{self.line} <<EOF{target}\n{self.stdin}\nEOF" if self.stdin else self.line


def parsed(text: str) -> tuple[tuple[ShellCommand, ...], str]:
    """The commands at the start of a code block, and the output that follows them.

    >>> parsed("kubectl get pods\\n\\nNAME   READY")
    ((ShellCommand(line='kubectl get pods', stdin='', file=''),), 'NAME   READY')
    """
    lines, commands = _CONTINUED.sub("", text).splitlines(), []
    while lines:
        line = _PROMPT.sub("", lines[0].strip())
        if not is_command(line):
            if line and not lines[0].lstrip().startswith("#"):
                break
            lines = lines[1:]
            continue
        command, length = _command(line, lines[1:])
        commands.append(command)
        lines = lines[length + 1:]
    return tuple(commands), "\n".join(lines).strip("\n")


def is_command(line: str) -> bool:
    """Whether a line is a command: an assignment, or a program that documentation pages call."""
    return bool(_ASSIGNMENT.match(line)) or line.partition(" ")[0] in _PROGRAMS


def commands_of_cell(source: str) -> Iterator[ShellCommand]:
    """The kubectl and curl commands that the magics of a notebook cell run."""
    first, _, rest = source.partition("\n")
    if first.startswith("%%kubectl "):
        yield ShellCommand(first.removeprefix("%%"), rest.strip())
    elif first.startswith("%%curl"):
        yield ShellCommand(_CONTINUED.sub(" ", rest.strip()))
    else:
        yield from (ShellCommand(_ALLOW.sub("kubectl ", line)) for line in _LINE_MAGIC.findall(source))


def _command(line: str, following: list[str]) -> tuple[ShellCommand, int]:
    """The command of a line, and the number of following lines that its here document takes."""
    here = _HERE_DOCUMENT.match(line)
    if here is None:
        return ShellCommand(line), 0
    end = next((number for number, each in enumerate(following) if each.strip() == here["end"]), len(following))
    file = _FILE.match(here["rest"])
    body = "\n".join(following[:end]).strip()
    return ShellCommand(here["line"], body, file["name"] if file else ""), min(end + 1, len(following))


def _meaning(document: str) -> str:
    try:
        return repr(list(yaml.safe_load_all(document)))
    except yaml.YAMLError:
        return document
