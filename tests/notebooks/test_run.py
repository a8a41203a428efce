"""`kserve-nb run`: its output, its files, and its exit code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import nbformat
import pytest

from kserve_nb import clusters
from kserve_nb.clusters import state
from kserve_nb.clusters.state import Record
from tests.exposure import files_with
from tests.notebooks.conftest import NOTEBOOKS, ROOT, Runner
from tests.notebooks.test_broken_lesson import broken

SETUP = NOTEBOOKS[0]


def run(folder: Path, *words: str, name: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("kserve-nb")), "run"]
    argv = [*command, "--name", name, "--output", str(folder / "out"), *words]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def renamed(last: str, folder: Path) -> Path:
    """Copy the first notebook under another name, with this last cell."""
    lesson = broken("00_setup", "check-ingress", "lab.check.ingress()", last, folder)
    return lesson.rename(folder / "lesson.ipynb")


def test_a_failure_names_its_cell_in_the_output_the_report_and_junit(runner: Runner, tmp_path: Path):
    lesson = renamed("lab.check.canary_spec(percent=11)", tmp_path)
    kernel_dies = tmp_path / "dies.ipynb"
    cells = [nbformat.v4.new_code_cell(source) for source in ("print('last words')", "import os; os._exit(1)", "3")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), kernel_dies)

    done = run(tmp_path, "--junit", str(tmp_path / "junit.xml"), str(lesson), str(kernel_dies), str(SETUP),
               name=runner.cluster)

    assert done.returncode == 1, done.stderr
    assert done.stdout.splitlines()[-1] == "1 passed, 2 failed; lesson.ipynb; dies.ipynb"
    assert "cell check-ingress:" in done.stdout and "        ✖ " in done.stdout and "Kernel died" in done.stdout
    report = (tmp_path / "out" / "report.html").read_text()
    assert "lab.check.canary_spec(percent=11)" in report and "last words" in report and "Failures" in report
    root = ET.parse(tmp_path / "junit.xml").getroot()
    assert (root.get("failures"), len(root)) == ("2", 3)
    token = clusters.existing(runner.cluster).token
    assert token not in done.stdout + done.stderr and files_with(token, tmp_path) == set()


def test_parameters_reach_the_notebook(runner: Runner, tmp_path: Path):
    done = run(tmp_path, "-p", "timeout_s", "77", str(SETUP), name=runner.cluster)

    assert done.returncode == 0, done.stdout
    executed = nbformat.read(tmp_path / "out" / SETUP.name, as_version=4)
    (injected,) = [cell for cell in executed.cells if "injected-parameters" in cell.metadata.get("tags", [])]
    assert "timeout_s = 77" in injected.source


def test_side_by_side_each_has_its_own_cluster_that_ends(tmp_path: Path):
    # A busy machine splits any print like this.
    in_two_pieces = 'print("on ", end="", flush=True); print(lab.cluster.name)'
    lesson = renamed(in_two_pieces, tmp_path)

    done = run(tmp_path, "--parallel", str(SETUP), str(lesson), name=f"beside-{os.getpid()}")

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "2 passed, 0 failed"
    (cluster,) = re.findall(r"on (run-\d+-)\d", (tmp_path / "out" / "report.html").read_text())
    assert not [name for name in state.names() if name.startswith(cluster)]


def test_side_by_side_is_refused_on_a_cluster_that_there_is_one_of(tmp_path: Path):
    name = f"attached-{os.getpid()}"
    state.folder(name).mkdir(parents=True)
    state.write(Record(name, "attach", "/nowhere", "127.0.0.1:9"))

    done = run(tmp_path, "--parallel", "2", str(SETUP), name=name)

    clusters.delete(name)
    assert done.returncode == 1
    assert "it is of kind attach" in done.stderr and "Leave --parallel out" in done.stderr


@pytest.mark.parametrize(("words", "said"), [
    (["-p", "percnt", "3"], "There is no parameter percnt"),
    (["no-such.ipynb"], "there is no notebook no-such.ipynb"),
    ([str(SETUP), str(SETUP)], "two notebooks are named 00_setup.ipynb"),
    (["--parallel", "0"], "--parallel takes a number from 1 on"),
])
def test_a_wrong_command_line_is_a_usage_error(words: list[str], said: str, tmp_path: Path):
    done = run(tmp_path, *words, name=f"none-{os.getpid()}")

    assert done.returncode == 2 and said in done.stderr
    assert not (tmp_path / "out").exists()
