"""What the processes of an embedded cluster import: each module costs memory and start-up time."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SERVER = "from kserve_nb.clusters.embedded import control, server; control.reconcilers()"
HEAVY = ("kubernetes", "kserve", "sklearn", "scipy", "numpy", "pandas", "requests", "ipywidgets", "IPython",
         "matplotlib", "papermill", "nbformat")


@pytest.fixture(scope="module")
def server_modules() -> list[str]:
    """The names of all modules in the server's process."""
    code = f"{SERVER}; import json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    found: list[str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("package", HEAVY)
@pytest.mark.slow
def test_the_server_does_without(package: str, server_modules: list[str]) -> None:
    assert [name for name in server_modules if name.split(".")[0] == package] == []


def test_the_server_imports_no_more_than_it_needs(server_modules: list[str]) -> None:
    assert len(server_modules) < 800
