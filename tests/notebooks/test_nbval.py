"""The plain `pytest --nbval-lax` command that the project promises."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.notebooks.conftest import ROOT


def test_nbval_passes_on_all_notebooks_with_its_own_cluster():
    environment = {key: value for key, value in os.environ.items() if key != "KSERVE_NB_NAME"}

    done = subprocess.run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--nbval-lax", "notebooks/"],
                          cwd=ROOT, env=environment, capture_output=True, text=True, timeout=800, check=False)

    assert done.returncode == 0, done.stdout[-5000:]
    assert " passed" in done.stdout and "failed" not in done.stdout.splitlines()[-1]
