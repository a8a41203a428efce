"""The imports of an embedded cluster's processes: each module costs memory and start-up time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
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


@pytest.mark.slow
def test_the_server_imports_no_more_than_it_needs(server_modules: list[str]) -> None:
    assert len(server_modules) < 800


@pytest.mark.slow
def test_jupyterlab_starts_without_the_grammar_of_international_addresses() -> None:
    code = """import runpy, sys
sys.argv[1:] = ["--version"]
try:
    runpy.run_module("kserve_nb.cli.jupyter_lab", run_name="__main__")
except SystemExit:
    pass
assert "jsonschema" in sys.modules and sys.modules["rfc3987_syntax"] is None"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=os.environ | {"PYTHONPATH": str(ROOT)})
