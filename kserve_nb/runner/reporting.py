"""Say how each notebook went as soon as it is known, and leave a report of all, also where the run is interrupted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kserve_nb.runner import junit, report
from kserve_nb.runner.result import Run, lines
from kserve_nb.runner.runner import Plan


class Said:
    """Called with each run: says it, and keeps it."""

    def __init__(self, say: Callable[[str], object]):
        self.runs: list[Run] = []
        self._say = say

    def __call__(self, run: Run) -> None:
        self.runs.append(run)
        self._say(lines(run))


@contextmanager
def reporting(plan: Plan, say: Callable[[str], object], junit_file: Path | None) -> Iterator[Said]:
    """Write the plan's report at the end, and JUnit XML where a file is given; in the plan's order."""
    said, began = Said(say), time.monotonic()
    try:
        yield said
    finally:
        said.runs.sort(key=lambda run: plan.notebooks.index(run.notebook))
        title = f"{len(said.runs)} of {len(plan.notebooks)} notebooks were run, in {time.monotonic() - began:.1f} s"
        plan.output.mkdir(parents=True, exist_ok=True)
        plan.report.write_text(report.html(said.runs, title), encoding="utf-8")
        if junit_file is not None:
            junit_file.parent.mkdir(parents=True, exist_ok=True)
            junit_file.write_text(junit.xml(said.runs), encoding="utf-8")
