"""Run notebooks by papermill, and say of each whether it passed: in lines, in one HTML report, in JUnit XML."""

from kserve_nb.notebooks.parallel import run_parallel
from kserve_nb.notebooks.reporting import reporting
from kserve_nb.notebooks.result import Run, verdict
from kserve_nb.notebooks.runner import Plan, read, run_all

__all__ = ["Plan", "Run", "read", "reporting", "run_all", "run_parallel", "verdict"]
