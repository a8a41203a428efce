"""What the doctor says: findings, each with the rule's id, where, what was seen, why, and what to do."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from html import escape
from typing import Literal

Severity = Literal["blocker", "warning", "note"]
Hop = Literal[
    "command", "cluster", "KServe", "namespace", "gateway", "service", "revision", "pod", "model", "host", "rollout",
    "notebook",
]  # fmt: skip

# In the order in which one hop needs the one before it: what is broken early breaks all that follows.
HOPS: tuple[Hop, ...] = (
    "command", "cluster", "KServe", "namespace", "gateway", "service", "revision", "pod", "model", "host", "rollout",
    "notebook",
)  # fmt: skip
_SEVERITIES: tuple[Severity, ...] = ("blocker", "warning", "note")
_SIGNS = {"blocker": "✖", "warning": "!", "note": "·"}
_LONGEST = 240  # characters of one line; what was seen may be a log

# Every rule there is, and what it is about.
TITLES: dict[str, str] = {
    "K01": "this does not look like a cluster to learn on",
    "K02": "no cluster answers",
    "K03": "Kubernetes is older than KServe needs",
    "K04": "the node has no room for the pod",
    "K05": "KServe's webhook does not answer",
    "K06": "Standard mode: canaryTrafficPercent does nothing",
    "K07": "a part of Knative's network is missing",
    "K08": "the namespace keeps KServe from downloading models",
    "K13": "the model cannot be downloaded",
    "K17": "no revision gets ready",
    "R01": "the gateway has no external address",
    "R02": "the node's address cannot be reached from here",
    "R03": "the host's name does not lead to the gateway",
    "R04": "404",
    "R05": "-default belongs to an older KServe",
    "R06": "the domain is for the inside of the cluster alone",
    "R07": "the body is not announced as JSON",
    "R08": "the model cannot read the body",
    "R09": "the way to the gateway is cut",
    "R10": "scaled to zero: the first request waits",
    "C01": "a percent on the first revision splits nothing",
    "C02": "too few requests to see the split",
    "C03": "one connection is not one revision",
    "C04": "READY is not about what users get",
    "C05": "the canary is being prepared, not serving yet",
    "C06": "an annotation makes a new revision, a percent does not",
    "C07": "pods beside the ones that serve",
    "C08": "a pin takes two steps",
    "C09": "a new model takes the pin away first",
    "C10": "previousRolledoutRevision is left out while it is empty",
    "C11": "apply will not take the percent away",
    "C12": "canaryTrafficPercent is not where or what it must be",
    "C13": "prev- is always open, latest- only with tag routing",
    "J01": "widgets of an earlier session cannot be shown",
    "J02": "JupyterLab has no widget extension",
    "J03": "this ipykernel cannot update widgets from threads",
    "J04": "a blocking cell keeps the widgets from answering",
    "J05": "a slider that asks the cluster while it is dragged",
    "J06": "a cell that waits for a hand runs into its timeout",
    "J07": "an output that differs from run to run is compared",
    "J08": "no cell takes the parameters",
    "J09": "the notebook asks for a kernel that may not be there",
    "J10": "Binder gives little memory, for a short time",
    "J11": "Binder has no Docker",
}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or that is right and surprises."""

    id: str
    severity: Severity
    hop: Hop
    where: str  # the very object: a pod's name, a host, a line
    saw: str  # verbatim
    why: str
    do: str  # to copy

    @property
    def title(self) -> str:
        """What the rule is about."""
        return TITLES[self.id]

    @property
    def lines(self) -> tuple[str, str, str]:
        """What it looks like in a terminal: at most three lines."""
        head = f"{_SIGNS[self.severity]} {self.id} {self.title} – {self.where}: {_flat(self.saw)}"
        return _cut(head), _cut(f"  why: {_flat(self.why)}"), f"  do:  {_flat(self.do)}"


@dataclass(frozen=True)
class Report:
    """What an examination found, the first broken hop first."""

    findings: tuple[Finding, ...]
    looked: str = ""  # what was looked at, for one who finds nothing
    took_s: float = 0.0

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong: notes do not count."""
        return all(finding.severity == "note" for finding in self.findings)

    @property
    def blocked(self) -> bool:
        """Whether something has to be mended before anything else will work."""
        return any(finding.severity == "blocker" for finding in self.findings)

    @property
    def text(self) -> str:
        """Three lines for the first broken hop and for each warning; one for what may follow from it, and for notes."""
        return "\n".join(self._lines())

    @property
    def html(self) -> str:
        """The same for a browser; what is folded in the text unfolds here."""
        rows = "".join(_html(finding) for finding in self.findings)
        return f"<p>{escape(self._summary())}</p>{rows}"

    def to_json(self) -> str:
        """All findings, for a program."""
        rows = [asdict(finding) | {"title": finding.title} for finding in self.findings]
        return json.dumps({"healthy": self.healthy, "took_s": round(self.took_s, 3), "findings": rows}, indent=2)

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return self.html

    def _lines(self) -> Iterator[str]:
        blocked = False
        if self.healthy:
            yield self._summary()
        for finding in self.findings:
            if finding.severity == "note":
                yield _cut(f"{finding.lines[0]}. {finding.why}")
            elif finding.severity == "blocker" and blocked:
                yield f"  then: {finding.lines[0]}"
            else:
                yield from finding.lines
                blocked = blocked or finding.severity == "blocker"

    def _summary(self) -> str:
        if self.healthy:
            return f"✔ nothing is wrong: {self.looked}" if self.looked else "✔ nothing is wrong"
        return f"{sum(f.severity != 'note' for f in self.findings)} found, the first thing to mend first"


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Blockers by hop, then warnings, then notes; what came first stays first among equals."""
    return tuple(sorted(findings, key=lambda f: (_SEVERITIES.index(f.severity), HOPS.index(f.hop))))


def _flat(text: str) -> str:
    return " ".join(text.split())


def _cut(line: str) -> str:
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def _html(finding: Finding) -> str:
    head, why, do = (escape(part) for part in (finding.lines[0], finding.why, finding.do))
    opened = " open" if finding.severity == "blocker" else ""
    return f"<details{opened}><summary>{head}</summary><p>{why}</p><pre>{do}</pre></details>"
