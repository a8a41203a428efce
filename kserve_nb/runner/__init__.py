"""Run notebooks with papermill and report the results: as lines, as one HTML page, as JUnit XML.

May import `access`, `values` and the top of `clusters`.
"""

from kserve_nb.runner import iri_grammar

iri_grammar.omit()  # before the modules below import nbformat

# ruff: noqa: E402
from kserve_nb.runner.created_objects import deleting_created
from kserve_nb.runner.notebook_runner import Plan, read, run_all
from kserve_nb.runner.parallel_runs import run_parallel
from kserve_nb.runner.reporting import reporting
from kserve_nb.runner.run_result import Run, verdict

__all__ = ["Plan", "Run", "deleting_created", "read", "reporting", "run_all", "run_parallel", "verdict"]
