"""Prints docs/differences.md, the list of fields and settings that have no effect on the embedded cluster.

    python -m kserve_nb.clusters.embedded.api.admission.differences > docs/differences.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from kserve_nb.clusters.embedded.api.admission.fields_without_effect import DIFFERENCES, Difference

_INTRODUCTION = """# Differences from a real cluster

The embedded cluster accepts these fields and does not act on them. `kubectl apply` prints a warning for each of them,
except for those that are marked with *.
`tests/unit/test_fields_without_effect.py` has a test for each line. This page is generated from the package's table.

CEL rules (`x-kubernetes-validations`) of your own CustomResourceDefinitions are not evaluated either; the definition is
accepted with a warning for each list of rules. The evaluator for Python, cel-python, would add 18 MB and half a second
to the server process.

| kind | field | on the embedded cluster | instead |
| --- | --- | --- | --- |"""


def lines() -> Iterator[str]:
    """The lines of the page."""
    yield _INTRODUCTION
    for item in DIFFERENCES:
        for kind in item.kinds:
            mark = "" if item.warns else " *"
            about = kind.kind if item.objects is None else f"{kind.kind} `{_cell(item.objects)}`"
            yield f"| {about} | `{item.path}`{_values(item)}{mark} | {item.effect} | {item.instead} |"


def _values(item: Difference) -> str:
    return "" if item.values is None else f" (`{_cell(item.values)}`)"


def _cell(pattern: str) -> str:
    """A regular expression inside a table cell."""
    return pattern.replace("|", r"\|")


if __name__ == "__main__":
    sys.stdout.write("\n".join(lines()) + "\n")
