"""Explain a pasted message by the tables of known ones: kubectl, KServe, Knative, pods, storage, models and clients."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache, cached_property

from kserve_nb.doctor.finding import Finding, Hop, Severity
from kserve_nb.doctor.messages.http_answers import answer_in, explain_answer, read_table
from kserve_nb.doctor.remedy import Remedy
from kserve_nb.doctor.rule import declare, rule_of

# If a message has several known parts, the first row that matches explains it: causes come before consequences.
TABLES = ("images", "embedded", "storage", "scheduler", "pods", "models", "manifests", "knative", "kserve", "kubectl",
          "network", "clients", "notebooks", "questions")  # fmt: skip
CONTAINER_TABLES = ("images", "storage", "models", "pods")  # what a container's log or state can contain
_MAX_TEXT = 24 * 1024  # the end of a longer text: of a log, it is what matters
_MAX_LINE, _MAX_WORD = 2000, 400  # the middle of a longer text is removed: a search in it would take seconds
_LONG_LINE, _LONG_WORD = re.compile(rf"[^\n]{{{_MAX_LINE},}}"), re.compile(rf"\S{{{_MAX_WORD},}}")
_PLACEHOLDER = re.compile(r"\{(\d|[a-z]+)\}")


@dataclass(frozen=True)
class Names:
    """Values for the placeholders of a command, as far as they are known: `kubectl logs {pod} -n {namespace}`."""

    namespace: str = ""
    name: str = ""  # the name of the InferenceService
    revision: str = ""
    pod: str = ""
    host: str = ""
    ingress: str = ""

    def values(self) -> dict[str, str]:
        """The known values by name."""
        found = {field.name: str(getattr(self, field.name)) for field in fields(self)}
        return {name: value for name, value in found.items() if value}


@dataclass(frozen=True)
class MessageRow:
    """A known message. `{0}` in why, do and command is the matched text, `{1}` and so on are its groups.

    `do` is a sentence, `command` a line for a terminal, `cell` one for a notebook (by default the command as a magic).
    A row with a title declares its rule. General rows are tried last. In each line of a text the first match counts.
    """

    id: str
    hop: Hop
    patterns: Sequence[str]
    why: str
    do: str = ""
    command: str = ""
    cell: str = ""
    title: str = ""
    severity: Severity = "blocker"
    general: bool = False
    table: str = ""

    @cached_property
    def compiled(self) -> tuple[re.Pattern[str], ...]:
        """The patterns, compiled once: there are more than the cache of `re` holds."""
        return tuple(re.compile(pattern, re.MULTILINE | re.IGNORECASE) for pattern in self.patterns)

    def matches(self, text: str) -> Iterator[re.Match[str]]:
        """The matches of the patterns, in the order of the patterns."""
        for pattern in self.compiled:
            yield from pattern.finditer(text)

    def remedy(self, groups: Mapping[str, str], values: Mapping[str, str]) -> Remedy:
        """What to do. A command that needs an unknown value is left out."""
        command, cell = (_filled(text, values) if _known(text, values) else "" for text in (self.command, self.cell))
        return Remedy(_filled(self.do, groups), command, cell)


@cache
def rows() -> tuple[MessageRow, ...]:
    """All rows, the more specific tables first; declares the rules that they name first."""
    found = tuple(MessageRow(**row, table=table) for table in TABLES for row in read_table(table))
    for row in found:
        if row.title:
            declare(row.id, row.title)
    return found


def explain(
    text: str, *, names: Names | None = None, where: str = "the pasted text", tables: Sequence[str] = TABLES
) -> tuple[Finding, ...]:
    """The findings about a text, the most specific first; each rule once.

    Args:
        names: values for the commands.
        where: the object that printed the text.
        tables: the tables to search; HTTP statuses are explained only when all are searched.
    """
    text, fill = searchable(text), (names or Names()).values()
    searched = [row for row in rows() if row.table in tables]
    taken: set[int] = set()
    specific = list(_found([row for row in searched if not row.general], text, taken))
    findings = [_finding(row, found, fill, where) for row, found in specific]
    answer = answer_in(text) if tables is TABLES else None
    if answer is not None and not any(found.start() >= answer.start for _, found in specific):
        findings += explain_answer(answer, fill, where)
    general = _found([row for row in searched if row.general], text, taken)
    findings += [_finding(row, found, fill, where) for row, found in general]
    return tuple(finding for number, finding in enumerate(findings)
                 if finding.id not in {earlier.id for earlier in findings[:number]})  # fmt: skip


def searchable(text: str) -> str:
    """The end of a text, in the form that the patterns search: without a JSON string's escaped quotes, no long lines.

    >>> searchable('{"message": "pods \\\\"a\\\\" not found"}')
    '{"message": "pods "a" not found"}'
    """
    text = text[-_MAX_TEXT:].replace("\r\n", "\n").replace('\\"', '"')
    return _LONG_LINE.sub(_without_middle, _LONG_WORD.sub(_without_middle, text))


def _without_middle(found: re.Match[str]) -> str:
    long, kept = found[0], _MAX_LINE if " " in found[0] else _MAX_WORD
    return f"{long[: kept * 3 // 4]} … {long[-kept // 4 :]}"


def _found(
    searched: Sequence[MessageRow], text: str, taken: set[int]
) -> Iterator[tuple[MessageRow, re.Match[str]]]:
    """The rows that match, with their match. In each line of the text the first one counts: `taken` has its number."""
    for row in searched:
        found = next((match for match in row.matches(text) if taken.isdisjoint(_lines(text, match))), None)
        if found is not None:
            taken.update(_lines(text, found))
            yield row, found


def _finding(row: MessageRow, found: re.Match[str], fill: Mapping[str, str], where: str) -> Finding:
    groups = dict.fromkeys("123", "…")
    groups |= {str(number): group or "…" for number, group in enumerate((found[0], *found.groups()))}
    quoted = {number: shlex.quote(group) for number, group in groups.items() if group != "…"}
    return Finding(
        rule_of(row.id), row.severity, row.hop, where, found[0].strip(), _filled(row.why, groups),
        row.remedy(groups, {**fill, **quoted}),
    )  # fmt: skip


def _lines(text: str, found: re.Match[str]) -> range:
    """The numbers of the lines that a match touches."""
    return range(text.count("\n", 0, found.start()), text.count("\n", 0, max(found.end() - 1, found.start())) + 1)


def _known(text: str, values: Mapping[str, str]) -> bool:
    return bool(text) and all(name in values for name in _PLACEHOLDER.findall(text))


def _filled(text: str, values: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), text)
