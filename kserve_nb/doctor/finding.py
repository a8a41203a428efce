"""A finding of the doctor: the rule behind it, what was seen and where, the cause, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kserve_nb.doctor.remedy import Remedy
from kserve_nb.doctor.rule import Rule
from kserve_nb.values.text.foreign_text import safe

Severity = Literal["blocker", "warning", "progress", "note"]
Hop = Literal[
    "command", "manifest", "cluster", "node", "KServe", "namespace", "gateway", "service", "revision", "pod", "model",
    "host", "rollout", "notebook",
]  # fmt: skip

# In the order in which one hop needs the one before it: a broken hop breaks all that follow.
HOPS: tuple[Hop, ...] = (
    "command", "manifest", "cluster", "node", "KServe", "namespace", "gateway", "service", "revision", "pod", "model",
    "host", "rollout", "notebook",
)  # fmt: skip
SEVERITIES: tuple[Severity, ...] = ("blocker", "warning", "progress", "note")
_SIGNS = {"blocker": "✖", "warning": "!", "progress": "…", "note": "·"}
_MAX_LINE = 240  # characters; the text that was seen may be a whole log


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, unfinished, or correct and surprising.

    >>> old = Rule("K03", "Kubernetes is older than KServe needs")
    >>> found = Finding(old, "warning", "cluster", "/version", "v1.29.3", "KServe needs 1.32.", Remedy("upgrade it"))
    >>> print("\\n".join(found.lines()))
    ! K03 Kubernetes is older than KServe needs – /version: v1.29.3
      why: KServe needs 1.32.
      do:  upgrade it
    """

    rule: Rule
    severity: Severity
    hop: Hop
    where: str  # the object: a pod's name, a host, a line
    saw: str  # verbatim
    why: str
    remedy: Remedy

    @property
    def id(self) -> str:
        """The rule's id."""
        return self.rule.id

    @property
    def title(self) -> str:
        """The rule's title."""
        return self.rule.title

    def lines(self, notebook: bool = False) -> tuple[str, str, str]:
        """The finding in three lines; commands have the form of a terminal or of a notebook cell."""
        return (
            shortened(f"{_SIGNS[self.severity]} {self.id} {self.title} – {one_line(f'{self.where}: {self.saw}')}"),
            shortened(f"  why: {one_line(self.why)}"),
            f"  do:  {safe(self.remedy.shown(notebook))}",
        )


def one_line(text: str) -> str:
    """Text of a cluster or a person, safe to print, with every run of white space replaced by one blank."""
    return " ".join(safe(text).split())


def shortened(line: str) -> str:
    """A line of at most 240 characters."""
    return line if len(line) <= _MAX_LINE else f"{line[: _MAX_LINE - 1]}…"
