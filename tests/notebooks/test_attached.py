"""Notebooks run on an attached cluster, and report if its two models give the same answers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from kserve_nb import clusters, runner
from kserve_nb.clusters.embedded.node.runtime import iris_models
from kserve_nb.clusters.state import Record
from kserve_nb.doctor import summary
from tests.notebooks.test_notebooks import results_of_tasks

FOLDER = Path(__file__).parents[2] / "notebooks"


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Record]:
    """Attach a cluster that serves one model for both of the tutorial's URIs."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("KUBECONFIG", "KSERVE_INGRESS_HOST_PORT", "INGRESS_HOST", "INGRESS_PORT"):
        monkeypatch.delenv(name, raising=False)
    iris_models.save("model", tmp_path / "model")
    other = iris_models.cache_folder() / "model-2" / iris_models.FILE
    other.parent.mkdir()
    shutil.copyfile(tmp_path / "model", other)
    run = clusters.start(f"theirs-{os.getpid()}", owner=os.getpid(), temporary=True)
    yield clusters.start(f"mine-{os.getpid()}", "attach", kubeconfig=Path(run.kubeconfig))
    clusters.delete(run.name)
    clusters.delete(f"mine-{os.getpid()}")


def test_models_with_equal_answers_are_reported_and_the_lessons_pass(theirs: Record, tmp_path: Path) -> None:
    lessons = (FOLDER / "05_more_requests.ipynb", FOLDER / "08_tag_routing.ipynb")
    reports: list[runner.Run] = []

    runner.run_all(runner.Plan(lessons, tmp_path / "out", summary.in_full, {}), theirs, reports.append)

    assert [report.error for report in reports] == ["", ""]
    executed = [nbformat.read(report.output, as_version=4) for report in reports]
    assert [results_of_tasks(lesson) for lesson in executed] == [["○", "○"], ["○"]]  # run without the solutions
    written = nbformat.writes(nbformat.read(reports[0].output, as_version=4))
    assert "10 % cannot be seen in the answers: the revisions answer alike" in written
    assert "so the split shows only in the traffic list: 10 %" in written
