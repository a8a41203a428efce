"""Run notebooks: one after the other on one cluster, or side by side on a cluster for each."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from kserve_nb.clusters import of
from kserve_nb.clusters.state import Record
from kserve_nb.runner import post_mortem
from kserve_nb.runner.post_mortem import Diagnose
from kserve_nb.runner.result import Run, cells_of

_START_S = 60  # a kernel's start
_CELL_S = 300  # one cell
_QUIET = ["--log-level=CRITICAL"]  # a kernel calls its own end an ERROR


@dataclass(frozen=True)
class Plan:
    """What to run, and how; it can be sent to another process."""

    notebooks: tuple[Path, ...]
    output: Path  # the folder of the executed notebooks and of the report
    diagnose: Diagnose  # asked where a notebook fails
    parameters: Mapping[str, Any]  # values for those notebooks that have a parameter of that name
    bars: bool = False  # a progress bar of each notebook's cells, on standard error

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.output / "report.html"


def read(parameters: Iterable[tuple[str, str]], notebooks: Iterable[Path]) -> dict[str, Any]:
    """Parameters as typed on a command line: each value is read as YAML, so `20` is a number.

    Raises ValueError where one cannot be read, or where none of the notebooks has it.
    """
    try:
        values = {name: yaml.safe_load(value) for name, value in parameters}
    except yaml.YAMLError as error:
        raise ValueError(f"a parameter cannot be read as YAML: {error}") from None
    known = {name for notebook in notebooks for name in _parameters(notebook)} if values else set()
    strangers = sorted(set(values) - known)
    if strangers:
        raise ValueError(f"no notebook has a parameter {' or '.join(strangers)}; there are {', '.join(sorted(known))}")
    return values


def run_all(plan: Plan, record: Record, say: Callable[[Run], object]) -> None:
    """Run each notebook in turn, whether or not those before it passed, and say how each went."""
    for number in range(len(plan.notebooks)):
        say(run(plan, number, record))


def run(plan: Plan, number: int, record: Record, row: int = 0) -> Run:
    """Run one of the plan's notebooks, in its own folder's sight.

    Args:
        row: where on the terminal its progress bar is.
    """
    notebook = plan.notebooks[number]
    output = plan.output / notebook.name
    title = f"{number + 1}/{len(plan.notebooks)} {notebook.stem}"
    bar = {"desc": title, "position": row, "leave": False} if plan.bars else False
    began = time.monotonic()
    with _environment(record):
        error = _execute(notebook, output, plan.parameters, bar)
    done = Run(notebook, output, time.monotonic() - began, _cells(output, bool(error)), error)
    if done.passed:
        return done
    cluster = of(record, plan.parameters.get("namespace"))
    return replace(done, aftermath=post_mortem.look(cluster, error, plan.diagnose))


def _execute(notebook: Path, output: Path, parameters: Mapping[str, Any], bar: dict[str, Any] | bool) -> str:
    """What was raised; empty where nothing was."""
    import papermill  # seconds: paid by those who run notebooks

    output.parent.mkdir(parents=True, exist_ok=True)
    output.unlink(missing_ok=True)  # of an earlier run, which would be taken for this one's
    try:
        own = {name: value for name, value in parameters.items() if name in _parameters(notebook)}
        papermill.execute_notebook(
            str(notebook), str(output), parameters=own, kernel_name="python3", cwd=str(notebook.parent),
            progress_bar=bar, start_timeout=_START_S, execution_timeout=_CELL_S, extra_arguments=_QUIET)
    except Exception as raised:  # whatever it was, the notebooks behind it run
        return str(getattr(raised, "evalue", "") or raised).strip() or type(raised).__name__
    return ""


def _parameters(notebook: Path) -> Sequence[str]:
    import papermill

    try:
        return list(papermill.inspect_notebook(str(notebook)))
    except ValueError as error:
        raise ValueError(f"{notebook.name} cannot be read: {error}") from None


def _cells(output: Path, failed: bool) -> tuple[Any, ...]:
    """The cells as they were executed; none where papermill did not come so far."""
    if not output.exists():
        return ()
    import nbformat  # as papermill
    from nbconvert.preprocessors import CoalesceStreamsPreprocessor

    # A kernel that is busy sends one print in several pieces: join them, as JupyterLab does.
    notebook, _ = CoalesceStreamsPreprocessor(enabled=True)(nbformat.read(output, as_version=4), {})
    nbformat.write(notebook, output)
    return cells_of(notebook, failed)


@contextmanager
def _environment(record: Record) -> Iterator[None]:
    """What a kernel needs to find the cluster; put back afterwards."""
    extra = {"KSERVE_NB_NAME": record.name, "KUBECONFIG": record.kubeconfig, "PYDEVD_DISABLE_FILE_VALIDATION": "1",
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
