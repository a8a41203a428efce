"""The course starts in Codespaces and Colab with the commands in their files and pages."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from kserve_nb.cli import main
from kserve_nb.runner.course import FOLDER

ROOT = Path(__file__).parents[2]
CONTAINER: dict[str, Any] = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
COLAB = (ROOT / "docs" / "colab.md").read_text()


def python(code: str, folder: Path, **environment: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=120,
                          env={**os.environ, "PYTHONPATH": str(ROOT), **environment})
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_clusters_and_the_progress_of_a_codespace_are_on_a_volume(tmp_path: Path) -> None:
    (mount,) = CONTAINER["mounts"]
    options = dict(each.split("=") for each in mount.split(","))
    code = ("from kserve_nb.clusters import state; from kserve_nb.tasks.learner_progress import LearnerProgress;"
            "print(state.folder('default')); print(LearnerProgress().file)")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "KSERVE_NB_"))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True,
                          env={**environment, "HOME": "/home/vscode", "PYTHONPATH": str(ROOT)})

    assert options["type"] == "volume" and "devcontainerId" in options["source"]
    assert all(line.startswith(options["target"] + "/kserve-nb/") for line in done.stdout.splitlines())
    assert CONTAINER["remoteUser"] == "vscode" and f"chown -R vscode: {Path(options['target']).parent}" in (
        CONTAINER["onCreateCommand"])


def test_a_codespace_starts_the_cluster_at_each_start() -> None:
    verb = CONTAINER["postStartCommand"].removeprefix(".venv/bin/kserve-nb ")

    assert CliRunner().invoke(main, [verb, "--help"]).exit_code == 0
    assert "make venv" in CONTAINER["onCreateCommand"]


@pytest.mark.slow
def test_a_codespace_opens_the_learners_copy(tmp_path: Path) -> None:
    (opened,) = CONTAINER["customizations"]["codespaces"]["openFiles"]
    script = CONTAINER["postCreateCommand"].removeprefix(".venv/bin/python ")
    subprocess.run([sys.executable, str(ROOT / script)], cwd=tmp_path, check=True, timeout=60,
                   env={**os.environ, "PYTHONPATH": str(ROOT)})

    assert (tmp_path / opened).exists()
    assert f"{FOLDER}*/" in (ROOT / ".gitignore").read_text()


@pytest.mark.slow
def test_colabs_first_cell_copies_the_files_that_notebooks_read(tmp_path: Path) -> None:
    (cell,) = re.findall(r"```python\n(.*?)```", COLAB, re.DOTALL)
    first, *lines = cell.splitlines()
    assert first == "%pip install --quiet kserve-nb"

    python("\n".join(re.sub(r"^%cd (.*)$", r"import os; os.chdir('\1')", line) for line in lines), tmp_path)

    assert (tmp_path / FOLDER / "iris-input.json").exists() and (tmp_path / FOLDER / "page-status.json").exists()


def test_colabs_page_names_files_that_exist() -> None:
    named = re.findall(r"/blob/HEAD/([\w/.]+)\)|`(tests/[\w/]+\.py)`", COLAB)

    assert named and all((ROOT / (notebook or test)).exists() for notebook, test in named)
