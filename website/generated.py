"""Pages that are made from data: lists of pages, timings, glossary, summary card, API. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from importlib import import_module
from inspect import isclass, isfunction
from xml.etree import ElementTree as ET

from website.contents import COURSE, SECTIONS, Entry, Section

_TOC = "```{toctree}\n:hidden:\n\n"
_RULE = re.compile(r"^### (\w\d\d)\n\n\*\*(.+)\*\*$", re.MULTILINE)
# Classes that the public functions return. Notebooks mostly call their methods.
RETURNED = ("kserve_nb.lab.Lab", "kserve_nb.gates.gated_rollout.GatedRollout", "kserve_nb.rollout.rollout.Rollout",
            "kserve_nb.values.rollout_status.RolloutStatus", "kserve_nb.checks.tutorial.Checks",
            "kserve_nb.doctor.report.Report")  # fmt: skip


def toctree(names: Iterable[str]) -> str:
    """A table of contents, from which the theme makes its menus."""
    return _TOC + "\n".join(names) + "\n```\n"


def start(readme: str) -> str:
    """The start page: the README, and a list of the site's sections."""
    return f"{readme}\n{toctree([f'Course <{COURSE}>', *(section.name for section in SECTIONS)])}"


def doctor(page: str) -> str:
    """The page of the doctor's rules, with each rule's title in its heading. The anchor is still the id."""
    return _RULE.sub(lambda rule: f"({rule[1].lower()})=\n### {rule[1]} {rule[2]}", page)


def section(of: Section, titles: dict[str, str]) -> str:
    """The page of a section, which lists its pages with one sentence each."""
    rows = "\n".join(f"* [{titles[page.name]}]({page.name}.md){_about(page)}" for page in of.pages)
    return f"# {of.title}\n\n{of.about}\n\n{rows}\n\n{toctree(page.name for page in of.pages)}"


def timings(junit: str) -> str:
    """The seconds of each notebook and its slowest cell, from the JUnit report of `kserve-nb run`."""
    suites = list(ET.fromstring(junit).iter("testsuite"))
    rows = "\n".join(_timing(suite) for suite in suites)
    total = sum(float(suite.get("time", 0)) for suite in suites)
    return f"""# Timings

`kserve-nb run` executed the notebooks of this site one after the other on an embedded cluster. This is how long each
of them took. The cell `connect` brings the cluster to the state that the notebook needs.

| notebook | seconds | cells | slowest cell |
| --- | ---: | ---: | --- |
{rows}
| **all** | {total:.1f} | {sum(len(suite) for suite in suites)} | |

[Real clusters](real-clusters.md#the-cost) compares the embedded cluster with kind, and [Reliability](reliability.md)
has figures of failures. `python -m bench` measures more.
"""


def _timing(suite: ET.Element) -> str:
    name = suite.get("name", "")
    slowest = max(suite, key=lambda case: float(case.get("time", 0)))
    return (f"| [{name}](../notebooks/{name}.ipynb) | {float(suite.get('time', 0)):.1f} | {len(suite)} | "
            f"`{slowest.get('name')}`, {float(slowest.get('time', 0)):.1f} s |")


def glossary(course: str, project: str) -> str:
    """The glossary: the terms of the course, and the project's own words."""
    return (f"# Glossary\n\n## Terms of the course\n\n{_table(course)}\n\n## Words of the project\n\n"
            "Messages, code and pages use these words. All others are those of Kubernetes, Knative, KServe and Jupyter."
            f"\n\n{_table(project)}\n")


def summary_card(document: str) -> str:
    """The summary card as a page, with a link to the file that prints on one page."""
    body = document.partition("<body>")[2].partition("</body>")[0]
    body = re.sub(r"<h1>.*?</h1>", "", body, count=1).strip()
    return f'''# Summary card

KServe's canary rollout on one page. <a href="../notebooks/summary-card.html">Open the card alone</a> to print it: it
fits on one landscape A4 page.

<div class="summary-card">
{body}
</div>
'''


def learning_path(readme: str) -> str:
    """The table of the notebooks in the README, with links as the course's start page needs them."""
    return _table(readme.partition("## The learning path")[2]).replace("](notebooks/", "](")


def api() -> str:
    """The public names, each with its docstring."""
    package, widgets = import_module("kserve_nb"), import_module("kserve_nb.widgets")
    names = [name for name in package.__all__ if name not in widgets.__all__]
    groups: dict[str, list[str]] = {"Functions": [], "Classes": [], "Constants": []}
    for name in names:
        value = getattr(package, name)
        groups["Functions" if isfunction(value) else "Classes" if isclass(value) else "Constants"].append(name)
    parts = ["# API", "The names that notebooks import from `kserve_nb`, and the objects that they return.",
             "## Functions", *(_directive("function", f"kserve_nb.{name}") for name in groups["Functions"]),
             "## What they return", *(_directive("class", name) for name in RETURNED),
             "## Classes", *(_directive("class", f"kserve_nb.{name}") for name in groups["Classes"]),
             "## Constants", *(f"`{name}` = {_shown(getattr(package, name))}" for name in groups["Constants"]),
             "## Widgets", "All are in `kserve_nb.widgets`. [The widgets' page](widgets.md) says what each is for.",
             *(_directive("class", f"kserve_nb.widgets.{name}") for name in widgets.__all__)]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _directive(kind: str, name: str) -> str:
    members = "   :members:\n" if kind == "class" else ""
    return f"```{{eval-rst}}\n.. auto{kind}:: {name}\n{members}```"


def _shown(value: object) -> str:
    return f"`{value!r}`" if isinstance(value, str) else f"{len(value)} rows" if isinstance(value, Sequence) else ""


def _table(text: str) -> str:
    """The first table of a text."""
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("|"):
            lines.append(line)
        elif lines:
            break
    return "\n".join(lines)


def _about(page: Entry) -> str:
    return f"  \n  {page.about}" if page.about else ""
