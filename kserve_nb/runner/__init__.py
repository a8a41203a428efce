"""Run notebooks by papermill, and say of each whether it passed: in lines, in one HTML report, in JUnit XML."""

from kserve_nb.runner.parallel import run_parallel
from kserve_nb.runner.reporting import reporting
from kserve_nb.runner.result import Run, verdict
from kserve_nb.runner.runner import Plan, read, run_all

__all__ = ["Plan", "Run", "read", "reporting", "run_all", "run_parallel", "verdict"]
