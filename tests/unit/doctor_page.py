"""Generates docs/doctor.md: each rule with its meaning and its remedy. Write it: python -m tests.unit.doctor_page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from kserve_nb.doctor import Finding, explain, titles
from kserve_nb.doctor.commands import curl_rules
from kserve_nb.doctor.commands.curl_command import CurlCommand
from kserve_nb.doctor.finding import one_line, shortened
from kserve_nb.doctor.messages.message_table import Names
from kserve_nb.doctor.rules import CHECKS
from kserve_nb.doctor.session import Session
from tests.unit.doctor_cases import CASES, COMMANDS, HOST, INGRESS
from tests.unit.doctor_fixtures import ROLLOUT, TEXTS, recorded

PAGE = Path(__file__).parents[2] / "docs" / "doctor.md"
HEAD = """# The doctor's rules

`kserve-nb doctor` and `lab.doctor()` print findings such as `✖ K13 the model cannot be downloaded`. This page lists
every rule: what was seen, what it means, and what to do. To find a message, search this page for its id, or for a
word of the message. An id is never given to another rule, so some numbers are missing. The names in the examples are
those of the tutorial.
"""
GROUPS = {
    "C": "Rollouts and canaries", "E": "Limits of the embedded cluster", "J": "Jupyter and notebooks",
    "K": "Cluster, KServe and models", "L": "Model servers", "M": "Manifests and kubectl", "N": "Nodes and processes",
    "P": "Pods", "R": "Requests", "S": "Storage", "V": "Knative", "Y": "Python clients",
}  # fmt: skip
_REVISION = "sklearn-iris-predictor-00001"
_NAMES = Names("kserve-test", "sklearn-iris", _REVISION, f"{_REVISION}-deployment-0", HOST, INGRESS)
_MOST = 4  # examples of a rule
_SETTING = re.compile(r'serving\.kserve\.io/[\w-]+: "\w+"')


def page() -> str:
    """The text of the page."""
    found: dict[str, dict[str, Finding]] = {id_: {} for id_ in titles()}
    for finding in _findings():
        if finding.saw not in {other.saw for other in found[finding.id].values()}:
            found[finding.id].setdefault(finding.why, finding)
    lines = [HEAD]
    for letter, name in GROUPS.items():
        lines.append(f"## {name}\n")
        for id_, title in titles().items():
            if id_.startswith(letter):
                examples = list(found[id_].values())[:_MOST]
                lines += [f"### {id_}\n", f"**{_sentence(title)}**\n", *_entries(examples)]
    return "\n".join(lines).rstrip() + "\n"


def _findings() -> Iterator[Finding]:
    """A finding of each state, command and message that the tests have."""
    for rule, facts in CASES:
        yield from (found for check in CHECKS for found in check.find(facts) if found.id == rule)
    facts = replace(recorded(ROLLOUT / "02-canary-10"), ingress=INGRESS)
    proxied = replace(facts, session=Session(environ={"http_proxy": "http://proxy:3128"}))
    for _, line in (*COMMANDS, ("", COMMANDS[0][1].replace("'", "’"))):
        yield from curl_rules.explain(CurlCommand.read(line, {}, Path()), facts)
        yield from curl_rules.explain(CurlCommand.read(line, {}, Path()), proxied)
    for row in TEXTS:
        yield from explain(row["text"], names=_NAMES)[:1]


def _sentence(title: str) -> str:
    """The title with a capital letter, unless it begins with a name of the API or of a program."""
    first = title.split()[0]
    return title if first == "kubectl" or not first.islower() or "." in first else title[0].upper() + title[1:]


def _entries(examples: Iterable[Finding]) -> Iterator[str]:
    """The examples of a rule; what to do is printed once if it is the same in several."""
    shown: set[tuple[str, str]] = set()
    for finding in examples:
        do = (finding.remedy.text, finding.remedy.command())
        yield _entry(finding, repeated=any(do) and do in shown)
        shown.add(do)


def _entry(finding: Finding, *, repeated: bool) -> str:
    saw = shortened(one_line(finding.saw)).replace("`", "'")
    command, text = finding.remedy.command(), finding.remedy.text
    do = ": ".join(filter(None, (text, f"`{one_line(command)}`" if command else "")))
    do = "the same as above" if repeated else do
    why = _SETTING.sub(r"`\g<0>`", one_line(finding.why))
    return "\\\n  ".join(filter(None, (f"* `{saw}`", why, f"*Do:* {do}" if do else ""))) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
