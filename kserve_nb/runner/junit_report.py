"""Results of notebook runs as JUnit XML: a test suite per notebook, a test case per cell. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from kserve_nb.runner.run_result import Cell, Run

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml(runs: Sequence[Run]) -> str:
    """The XML document, in the form that CI systems read."""
    cases = [case for run in runs for case in _names(run)]
    root = ET.Element("testsuites", name="kserve-nb run", tests=str(len(cases)),
                      failures=str(sum(not run.passed for run in runs)), time=_s(sum(run.seconds for run in runs)))
    for run in runs:
        root.append(_suite(run))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _suite(run: Run) -> ET.Element:
    skipped = sum(cell.state == "not run" for cell in run.cells)
    suite = ET.Element("testsuite", name=run.notebook.stem, tests=str(len(_names(run))), errors="0",
                       failures=str(int(not run.passed)), skipped=str(skipped), time=_s(run.seconds))
    for cell in run.cells:
        suite.append(_case(run, cell))
    if not run.passed and run.failed_cell is None:
        case = ET.SubElement(suite, "testcase", classname=run.notebook.stem, name="notebook", time=_s(run.seconds))
        _failure(case, run)
    return suite


def _case(run: Run, cell: Cell) -> ET.Element:
    case = ET.Element("testcase", classname=run.notebook.stem, name=cell.name, time=_s(cell.seconds))
    if cell.state == "failed":
        _failure(case, run)
    elif cell.state == "not run":
        ET.SubElement(case, "skipped", message="an earlier cell failed")
    return case


def _failure(case: ET.Element, run: Run) -> None:
    """Add the message and what the HTML report has: source, output, the doctor's findings, events."""
    failure = ET.SubElement(case, "failure", message=_clean(run.error.splitlines()[0]))
    cell = run.failed_cell
    parts = [cell.source, cell.output] if cell else [run.error]
    failure.text = _clean("\n\n".join(filter(None, [*parts, run.diagnosis.findings, "\n".join(run.diagnosis.events)])))


def _names(run: Run) -> list[str]:
    notebook = ["notebook"] if not run.passed and run.failed_cell is None else []
    return [cell.name for cell in run.cells] + notebook


def _clean(text: str) -> str:
    """The text with `?` for each character that XML does not allow."""
    return _NOT_XML.sub("?", text)


def _s(seconds: float) -> str:
    return f"{seconds:.3f}"
