"""Run notebooks by papermill, on a cluster that is up, and say of each whether it passed."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from kserve_nb.clusters.state import Record

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Report:
    """How one notebook went."""

    notebook: Path
    output: Path  # the executed notebook
    seconds: float
    error: str | None = None  # the last line of what the failing cell raised, and which cell


def run_all(notebooks: Iterable[Path], record: Record, parameters: Mapping[str, str], output: Path,
            say: Callable[[str], object]) -> list[Report]:
    """Run each notebook in turn, whether or not those before it passed; each in its own folder's sight.

    Args:
        parameters: values as typed on a command line; each is read as YAML, so `20` is a number.
        output: where the executed notebooks are written.
    """
    output.mkdir(parents=True, exist_ok=True)
    values = {key: yaml.safe_load(value) for key, value in parameters.items()}
    reports = []
    with _environment(record):
        for notebook in notebooks:
            report = _run(notebook, values, output / notebook.name)
            say(f"{'passed' if report.error is None else 'FAILED'}  {notebook.name}  {report.seconds:.1f} s"
                + (f"\n        {report.error}\n        executed notebook: {report.output}" if report.error else ""))
            reports.append(report)
    return reports


def _run(notebook: Path, values: dict[str, Any], output: Path) -> Report:
    import papermill
    from papermill.exceptions import PapermillException

    began = time.monotonic()
    error = None
    try:
        papermill.execute_notebook(
            str(notebook), str(output), parameters=_known(notebook, values), kernel_name="python3",
            cwd=str(notebook.parent), progress_bar=sys.stderr.isatty(), start_timeout=60, execution_timeout=300,
            extra_arguments=["--log-level=ERROR"])
    except PapermillException as raised:
        cell = getattr(raised, "exec_count", None)
        words = str(getattr(raised, "evalue", None) or raised).strip()
        error = (f"cell [{cell}]: " if cell else "") + words
    return Report(notebook, output, time.monotonic() - began, error)


def _known(notebook: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Those of the values that the notebook has a parameter for: one command line serves different notebooks."""
    import papermill

    return {key: value for key, value in values.items() if key in papermill.inspect_notebook(str(notebook))}


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
