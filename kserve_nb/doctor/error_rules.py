"""What a pasted message means: words that kubectl, webhooks, the gateway, model servers and Jupyter are known by."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml

from kserve_nb.doctor.finding import Finding, Hop, Severity


@dataclass(frozen=True)
class Saying:
    """A message that a rule knows; `{0}` in why and do is the whole match, `{1}` … its groups."""

    id: str
    hop: Hop
    patterns: Sequence[str]
    why: str
    do: str
    severity: Severity = "blocker"

    def find(self, text: str) -> re.Match[str] | None:
        """Where the text says so."""
        searched = (re.search(pattern, text, re.MULTILINE | re.IGNORECASE) for pattern in self.patterns)
        return next(filter(None, searched), None)


@cache
def sayings() -> tuple[Saying, ...]:
    """All that is known, the more telling ones first."""
    rows = yaml.safe_load((files(__package__) / "sayings.yaml").read_text(encoding="utf-8"))
    return tuple(Saying(**row) for row in rows)


def explain(text: str, where: str = "the pasted text") -> Iterator[Finding]:
    """What is known about a pasted text, the most telling first; each rule once."""
    seen: set[str] = set()
    for saying in sayings():
        found = None if saying.id in seen else saying.find(text)
        if found is None:
            continue
        seen.add(saying.id)
        groups = [found[0], *(group or "…" for group in found.groups())]
        why, do = saying.why.format(*groups), saying.do.format(*groups)
        yield Finding(saying.id, saying.severity, saying.hop, where, found[0], why, do)
