"""The doctor's report: a verdict in the first line, then the findings, as text, HTML and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kserve_nb.doctor.finding import HOPS, SEVERITIES, Finding, one_line, shortened
from kserve_nb.values.text.foreign_text import safe_html

_PAGE = "https://kserve-nb.github.io/kserve-nb/docs/doctor.html"  # each rule's id is an anchor of it
HEALTHY, WRONG, UNDECIDED = 0, 1, 3  # exit codes of `kserve-nb doctor`; 2 is a usage error


@dataclass(frozen=True)
class Report:
    """What an examination found, the first broken hop first.

    >>> Report((), "cluster, KServe, gateway, namespace kserve-test").text
    '✔ nothing is wrong: cluster, KServe, gateway, namespace kserve-test'
    >>> Report((), unknown="the doctor does not know this message: boom").exit_code
    3
    """

    findings: tuple[Finding, ...]
    examined: str = ""  # the parts that were examined
    took_s: float = 0.0
    unknown: str = ""  # a message that no rule knows; the report then has no findings
    not_examined: str = ""  # namespaces with InferenceServices that were left out
    notebook: bool = False  # commands are printed as magics

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong, unfinished or unknown. Notes do not count."""
        return not self.unknown and all(finding.severity == "note" for finding in self.findings)

    @property
    def blocked(self) -> bool:
        """Whether a fault must be repaired before anything else works."""
        return any(finding.severity == "blocker" for finding in self.findings)

    @property
    def exit_code(self) -> int:
        """0: nothing is wrong. 1: something is. 3: something is in progress, unknown or was not examined."""
        if any(finding.severity in ("blocker", "warning") for finding in self.findings):
            return WRONG
        return HEALTHY if self.healthy and not self.not_examined else UNDECIDED

    @property
    def has_commands(self) -> bool:
        """Whether a kubectl or curl command is among the remedies."""
        commands = [finding.remedy.command(self.notebook).lstrip("%") for finding in self.findings]
        return any(command.startswith(("kubectl ", "curl ")) for command in commands)

    @property
    def text(self) -> str:
        """The report as text: three lines for the first broken hop and for each warning, one for the rest."""
        return "\n".join(self._lines())

    @property
    def html(self) -> str:
        """The report for a browser; findings that the text shortens can be unfolded."""
        rows = "".join(_html(finding, self.notebook) for finding in self.findings)
        return f"<p>{safe_html(self._verdict())}</p>{rows}"

    def to_json(self) -> str:
        """All findings, for a program."""
        verdict = {"healthy": self.healthy, "unknown": self.unknown, "not_examined": self.not_examined}
        rows = [_row(finding, self.notebook) for finding in self.findings]
        return json.dumps({**verdict, "took_s": round(self.took_s, 3), "findings": rows}, indent=2)

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return self.html

    def _lines(self) -> Iterator[str]:
        wrong = any(finding.severity != "note" for finding in self.findings)
        if self.unknown or not wrong:
            yield self._verdict()
        blocked = False
        for finding in self.findings:
            lines = finding.lines(self.notebook)
            if finding.severity == "note":
                yield shortened(f"{lines[0]}. {one_line(finding.why)}")
            elif finding.severity == "blocker" and blocked:
                yield f"  then: {lines[0]}"
            else:
                yield from lines
                blocked = blocked or finding.severity == "blocker"
        if wrong and self.not_examined:
            yield f"? not examined: {self.not_examined}"

    def _verdict(self) -> str:
        if self.unknown:
            return f"? {self.unknown}"
        if not self.healthy:
            count = sum(finding.severity != "note" for finding in self.findings)
            return f"{count} found; repair the first one first"
        examined = f": {self.examined}" if self.examined else ""
        if self.not_examined:
            return f"? not examined: {self.not_examined}. Nothing is wrong in what was examined{examined}"
        return f"✔ nothing is wrong{examined}"


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Blockers in the order of hops, then warnings, unfinished work and notes; equal ones keep their order."""
    return tuple(sorted(findings, key=lambda f: (SEVERITIES.index(f.severity), HOPS.index(f.hop))))


def _row(finding: Finding, notebook: bool) -> dict[str, str]:
    command = finding.remedy.command(notebook)
    return {"id": finding.id, "title": finding.title, "severity": finding.severity, "hop": finding.hop,
            "where": finding.where, "saw": finding.saw, "why": finding.why,
            "do": finding.remedy.shown(notebook), "command": command,
            "page": _page(finding)}  # fmt: skip


def _page(finding: Finding) -> str:
    """The address of the rule on the project's site."""
    return f"{_PAGE}#{finding.id.lower()}"


def _html(finding: Finding, notebook: bool) -> str:
    head, why, do = map(safe_html, (finding.lines(notebook)[0], finding.why, finding.remedy.shown(notebook)))
    more = f"<p><a href='{_page(finding)}' target='_blank' rel='noopener'>More about {finding.id}</a></p>"
    opened = " open" if finding.severity == "blocker" else ""
    return f"<details{opened}><summary>{head}</summary><p>{why}</p><pre>{do}</pre>{more}</details>"
