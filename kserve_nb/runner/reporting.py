"""Report the result of each notebook when it ends, and write a report of all results at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kserve_nb.runner import html_report, junit_report
from kserve_nb.runner.notebook_runner import Plan
from kserve_nb.runner.run_result import Run, lines


class RunCollector:
    """A callable that receives the result of each notebook, prints it, and keeps it in `runs`."""

    def __init__(self, echo: Callable[[str], object]):
        self.runs: list[Run] = []
        self._echo = echo

    def __call__(self, run: Run) -> None:
        self.runs.append(run)
        self._echo(lines(run))


@contextmanager
def reporting(plan: Plan, echo: Callable[[str], object], junit_file: Path | None) -> Iterator[RunCollector]:
    """Write the HTML report, and JUnit XML if a file is given, at the end of the block, also if it is interrupted.

    Args:
        plan: the notebooks, in the order of the report.
        echo: receives the lines for the terminal.
        junit_file: the file for JUnit XML; None for none.
    """
    collector, began = RunCollector(echo), time.monotonic()
    try:
        yield collector
    finally:
        runs = collector.runs
        runs.sort(key=lambda run: plan.notebooks.index(run.notebook))
        title = f"{len(runs)} of {len(plan.notebooks)} notebooks were run, in {time.monotonic() - began:.1f} s"
        plan.output.mkdir(parents=True, exist_ok=True)
        plan.report.write_text(html_report.html(runs, title), encoding="utf-8")
        if junit_file is not None:
            junit_file.parent.mkdir(parents=True, exist_ok=True)
            junit_file.write_text(junit_report.xml(runs), encoding="utf-8")
