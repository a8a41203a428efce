"""Run notebooks with papermill, one after the other on one cluster."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from kserve_nb.clusters import Record, cluster_of
from kserve_nb.runner import post_mortem
from kserve_nb.runner.course import unsolved
from kserve_nb.runner.post_mortem import Diagnose
from kserve_nb.runner.run_result import Run, cells_of

_START_S = 60  # the start of a kernel
_CELL_S = 300  # one cell
_QUIET = ["--log-level=CRITICAL"]  # a kernel logs its own shutdown as an error


@dataclass(frozen=True)
class Plan:
    """Which notebooks to run, and how. It can be pickled, to be sent to another process."""

    notebooks: tuple[Path, ...]
    output: Path  # the folder for the executed notebooks and the report
    diagnose: Diagnose  # called when a notebook has failed
    parameters: Mapping[str, Any]  # for the notebooks that have a parameter of that name
    solve: bool = False  # run the solutions of the tasks as well
    bars: bool = False  # show a progress bar for each notebook, on standard error

    @property
    def report(self) -> Path:
        """The file of the HTML report."""
        return self.output / "report.html"


def read(parameters: Iterable[tuple[str, str]], notebooks: Iterable[Path]) -> dict[str, Any]:
    """Parameters as typed on a command line; each value is parsed as YAML, so `20` is a number.

    Raises ValueError if a value is not YAML, or if no notebook has a parameter of that name.
    """
    try:
        values = {name: yaml.safe_load(value) for name, value in parameters}
    except yaml.YAMLError as error:
        raise ValueError(f"a parameter is not valid YAML: {error}") from None
    known = {name for notebook in notebooks for name in _parameters(notebook)} if values else set()
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(
            f"There is no parameter {' or '.join(unknown)}. The parameters are: {', '.join(sorted(known))}.")
    return values


def run_all(plan: Plan, record: Record, collect: Callable[[Run], object]) -> None:
    """Run all notebooks in turn, also after a failure, and call `collect` with each result."""
    for number in range(len(plan.notebooks)):
        collect(run(plan, number, record))


def run(plan: Plan, number: int, record: Record, row: int = 0) -> Run:
    """Run one notebook of the plan; its working folder is the folder that it is in.

    Args:
        plan: the plan.
        number: the notebook's index in the plan.
        record: the cluster to run it on.
        row: the terminal row of its progress bar.
    """
    notebook = plan.notebooks[number]
    output = plan.output / notebook.name
    title = f"{number + 1}/{len(plan.notebooks)} {notebook.stem}"
    bar = {"desc": title, "position": row, "leave": False} if plan.bars else False
    began = time.monotonic()
    with _environment(record), _with_or_without_solutions(notebook, plan.solve) as source:
        error = _execute(source, notebook.parent, output, plan.parameters, bar)
    done = Run(notebook, output, time.monotonic() - began, _cells(output, bool(error)), error)
    if done.passed:
        return done
    cluster = cluster_of(record, plan.parameters.get("namespace"))
    return replace(done, diagnosis=post_mortem.record(cluster, error, plan.diagnose))


@contextmanager
def _with_or_without_solutions(notebook: Path, solve: bool) -> Iterator[Path]:
    """The notebook; or a copy without the cells that solve its tasks."""
    try:
        source = notebook.read_text(encoding="utf-8")
        without = source if solve else unsolved(source)
    except (OSError, ValueError):  # papermill reports a notebook that cannot be read
        yield notebook
        return
    if solve:
        yield notebook
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / notebook.name
        copy.write_text(without, encoding="utf-8")
        yield copy


def _execute(
    notebook: Path, folder: Path, output: Path, parameters: Mapping[str, Any], bar: dict[str, Any] | bool
) -> str:
    """Run the notebook in a folder; return the message of the exception, empty if there was none."""
    import papermill  # slow to import

    output.parent.mkdir(parents=True, exist_ok=True)
    output.unlink(missing_ok=True)  # a file of an earlier run would look like the result of this one
    try:
        accepted = {name: value for name, value in parameters.items() if name in _parameters(notebook)}
        papermill.execute_notebook(
            str(notebook), str(output), parameters=accepted, kernel_name="python3", cwd=str(folder),
            progress_bar=bar, start_timeout=_START_S, execution_timeout=_CELL_S, extra_arguments=_QUIET)
    except TimeoutError:
        return (f"The cell ran longer than {_CELL_S} s, so its kernel was stopped. The report shows the last events of "
                "the cluster.")
    except Exception as raised:  # the notebooks after this one must run, whatever failed
        return str(getattr(raised, "evalue", "") or raised).strip() or type(raised).__name__
    return ""


def _parameters(notebook: Path) -> Sequence[str]:
    import papermill

    try:
        return list(papermill.inspect_notebook(str(notebook)))
    except ValueError as error:
        raise ValueError(f"Cannot read {notebook.name}: {error}") from None


def _cells(output: Path, failed: bool) -> tuple[Any, ...]:
    """The executed cells; none if papermill did not write the notebook."""
    if not output.exists():
        return ()
    import nbformat  # slow to import
    from nbconvert.preprocessors import CoalesceStreamsPreprocessor

    # A busy kernel sends the output of one print in several pieces: join them, as JupyterLab does.
    notebook, _ = CoalesceStreamsPreprocessor(enabled=True)(nbformat.read(output, as_version=4), {})
    nbformat.write(notebook, output)
    return cells_of(notebook, failed)


@contextmanager
def _environment(record: Record) -> Iterator[None]:
    """Set the environment variables by which a kernel finds the cluster; restore the old values afterwards."""
    extra = {"KSERVE_NB_NAME": record.name, "KUBECONFIG": record.kubeconfig, "PYDEVD_DISABLE_FILE_VALIDATION": "1",
             "KSERVE_NB_PROGRESS": "off",  # a run by a program is not the learner's progress
             "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    before = {key: os.environ.get(key) for key in extra}
    os.environ.update(extra)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value
