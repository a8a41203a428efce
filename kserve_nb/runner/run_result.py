"""The result of a notebook run, read from the notebook that papermill executed. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

State = Literal["passed", "failed", "not run"]
_INJECTED = "injected-parameters"


@dataclass(frozen=True)
class Cell:
    """One code cell of an executed notebook."""

    name: str  # its id in the notebook
    source: str
    state: State
    seconds: float = 0.0
    output: str = ""  # what it printed and raised, without colour codes


@dataclass(frozen=True)
class Diagnosis:
    """The state of the cluster immediately after a notebook failed."""

    findings: str = ""  # the doctor's report
    events: tuple[str, ...] = ()  # the last events of the namespace, the newest last


@dataclass(frozen=True)
class Run:
    """The result of running one notebook."""

    notebook: Path
    output: Path  # the executed notebook
    seconds: float
    cells: tuple[Cell, ...] = ()
    error: str = ""  # the message of the exception; empty if the notebook passed
    diagnosis: Diagnosis = Diagnosis()

    @property
    def passed(self) -> bool:
        """Whether every cell ran and none raised."""
        return not self.error

    @property
    def failed_cell(self) -> Cell | None:
        """The cell that raised; None if all passed, or if the notebook failed outside its cells."""
        return next((cell for cell in self.cells if cell.state == "failed"), None)

    @property
    def slowest(self) -> Cell | None:
        """The cell that took longest."""
        return max(self.cells, key=lambda cell: cell.seconds, default=None)


def verdict(runs: Sequence[Run]) -> str:
    """One line: how many notebooks passed and failed, and which failed."""
    failed = [run for run in runs if not run.passed]
    return f"{len(runs) - len(failed)} passed, {len(failed)} failed" + "".join(f"; {r.notebook.name}" for r in failed)


def lines(run: Run) -> str:
    """The result as a terminal shows it: one line, and for a failure the cell and its error."""
    slow = f"  (slowest: {run.slowest.name} {run.slowest.seconds:.1f} s)" if run.slowest else ""
    head = f"{'passed' if run.passed else 'FAILED'}  {run.notebook.name}  {run.seconds:.1f} s{slow}"
    if run.passed:
        return head
    where = f"cell {run.failed_cell.name}:\n" if run.failed_cell else ""
    executed = f"executed notebook: {run.output}" if run.cells else ""
    details = "\n".join(filter(None, [f"{where}{run.error}", run.diagnosis.findings, executed]))
    return "\n        ".join([head, *details.splitlines()])


def cells_of(notebook: Mapping[str, Any], failed: bool) -> tuple[Cell, ...]:
    """The code cells of a notebook that papermill executed.

    Args:
        notebook: the executed notebook.
        failed: whether the run failed. papermill does not mark a cell that timed out or ended its kernel: then the
            last cell that ran is the one that failed.
    """
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    states = [_state(cell) for cell in code]
    if failed and "failed" not in states and "passed" in states:
        states[len(states) - 1 - states[::-1].index("passed")] = "failed"
    return tuple(_cell(cell, state) for cell, state in zip(code, states, strict=True))


def _cell(cell: Mapping[str, Any], state: State) -> Cell:
    metadata = cell.get("metadata") or {}
    name = _INJECTED if _INJECTED in metadata.get("tags", []) else cell.get("id", "")
    seconds = (metadata.get("papermill") or {}).get("duration") or 0.0
    return Cell(name, cell["source"], state, float(seconds), "\n".join(_texts(cell["outputs"])).strip())


def _state(cell: Mapping[str, Any]) -> State:
    ran = (cell.get("metadata") or {}).get("papermill") or {}
    if ran.get("exception") or any(output["output_type"] == "error" for output in cell["outputs"]):
        return "failed"
    return "not run" if ran.get("duration") is None else "passed"


def _texts(outputs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    from nbconvert.filters import strip_ansi  # slow to import

    for output in outputs:
        if output["output_type"] == "error":
            yield strip_ansi("\n".join(output["traceback"]) or f"{output['ename']}: {output['evalue']}")
        elif output["output_type"] == "stream":
            yield strip_ansi(output["text"]).rstrip("\n")
        else:
            yield str(output["data"].get("text/plain", ""))
