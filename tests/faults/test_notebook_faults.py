"""A notebook whose cell is stopped in the middle of a wait, while the cluster keeps running."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from kserve_nb import clusters
from kserve_nb.clusters import Record
from kserve_nb.values import manifest
from tests.exposure import family
from tests.faults.conftest import eventually, kubectl, part, processes_in
from tests.faults.report import report

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(300)]
CELL_S = 8
RUN = f"""
from kserve_nb.runner import notebook_runner
notebook_runner._CELL_S = {CELL_S}
from kserve_nb.cli import main
main()
"""
WAIT = """
from kserve_nb import PodTable, TrafficSlider, connect
rollout = connect().rollout()
widgets = PodTable(rollout), TrafficSlider(rollout)
await rollout.wait(200)
"""


@pytest.fixture
def record() -> Iterator[Record]:
    started = clusters.start("late")
    assert kubectl(started, "create", "namespace", "kserve-test").returncode == 0
    yield started
    clusters.delete("late")


def objects(record: Record) -> set[str]:
    kinds = "isvc,ksvc,configurations,revisions,routes,deployments,services.v1.,namespaces"
    return set(kubectl(record, "get", kinds, "-A", "-o", "name").stdout.split())


def test_a_cell_that_takes_too_long_ends_with_its_kernel_and_leaves_its_objects(
    record: Record, state_home: Path, tmp_path: Path
) -> None:
    """The node runtime is suspended, so that the wait of the cell lasts longer than papermill allows."""
    runtime, expected = part(record, "runtime"), {process.pid for process in family(record)}
    assert runtime is not None
    cells = [nbformat.v4.new_code_cell(source) for source in (WAIT, "print('never')")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "wait.ipynb")
    words = ["run", "--name", "late", "--output", str(tmp_path / "out"), str(tmp_path / "wait.ipynb")]

    runtime.suspend()
    document = manifest.inference_service("sklearn-iris", manifest.MODEL)
    applied = kubectl(record, "apply", "-n", "kserve-test", "-f", "-", stdin=json.dumps(document))
    assert applied.returncode == 0, applied.stderr
    done = subprocess.run([sys.executable, "-c", RUN, *words], capture_output=True, text=True, check=False, timeout=200,
                          env={**os.environ})

    assert done.returncode == 1 and "wait.ipynb" in done.stdout.splitlines()[-1], done.stdout + done.stderr
    assert f"ran longer than {CELL_S} s, so its kernel was stopped" in done.stdout, done.stdout
    assert {process.pid for process in processes_in(state_home)} == expected
    before, began = objects(record), time.monotonic()
    assert "inferenceservice.serving.kserve.io/sklearn-iris" in before

    runtime.resume()

    ready = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
    assert eventually(lambda: kubectl(record, "get", "isvc", "sklearn-iris", "-n", "kserve-test", "-o",
                                      ready).stdout == "True")
    assert objects(record) >= before
    report(f"papermill stops a cell after {CELL_S} s in the middle of a wait",
           objects=f"{len(before)} of {len(before)}", recovery=f"{time.monotonic() - began:.1f} s",
           message="The cell ran longer than … s, so its kernel was stopped")
