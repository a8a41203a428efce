"""After a restart of the kernel, a learner gets from the first error back to a passed check in three cells."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.manager import KernelManager, start_new_kernel

from kserve_nb import cli
from kserve_nb.magics.unconnected import CONNECT
from tests.notebooks.conftest import Runner

TIMEOUT_S = 120
SETTINGS = 'cluster, namespace = "auto", "kserve-test"'
CONNECTED = """from kserve_nb import connect

lab = connect(cluster, namespace=namespace)
await lab.ensure("first-model")
rollout = lab.rollout()
lab"""
COUNT, CHECK = "tally = rollout.send(10)", "lab.check.no_failures(tally)"


class Kernel:
    """A kernel as `kserve-nb lab` starts it, for a notebook of these four cells."""

    def __init__(self, notebook: Path):
        self.manager: KernelManager
        self.manager, self._client = start_new_kernel(kernel_name="python3", cwd=str(notebook.parent))

    def restart(self) -> None:
        self.manager.restart_kernel(now=True)
        self._client.wait_for_ready(timeout=TIMEOUT_S)

    def run(self, source: str) -> str:
        """Run a cell, and return its output."""
        shown: list[str] = []

        def note(message: dict[str, Any]) -> None:
            content = message["content"]
            shown.append(content.get("text") or content.get("data", {}).get("text/plain") or "")
            shown.extend(content.get("traceback", []))

        self._client.execute_interactive(source, timeout=TIMEOUT_S, output_hook=note)
        return "\n".join(filter(None, shown))

    def close(self) -> None:
        self._client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture
def kernel(runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in (
        SETTINGS, CONNECTED, COUNT, CHECK)])
    notebook.cells[0].metadata["tags"] = ["parameters"]
    path = tmp_path / "05_more.ipynb"
    path.write_text(json.dumps(notebook))
    kernels = Path(cli.__file__).with_name("lab_kernels")
    for name, value in {"JUPYTER_PATH": str(kernels), "JPY_SESSION_NAME": str(path), "KSERVE_NB_COURSE": "1",
                        "KSERVE_NB_NAME": runner.cluster, "PYTHONPATH": os.environ.get("PYTHONPATH", "")}.items():
        monkeypatch.setenv(name, value)
    started = Kernel(path)
    yield started
    started.close()


def test_a_new_kernel_is_three_cells_from_the_passed_check(kernel: Kernel) -> None:
    kernel.run(CONNECTED)
    kernel.run(COUNT)
    passed = kernel.run(CHECK)
    assert passed == "✔ every request was answered\n"

    kernel.restart()

    stopped = kernel.run(CHECK)
    assert " ".join(stopped.split()) == f"There is no `lab`: the kernel is new, or a cell was skipped. {CONNECT}"
    assert "restored what the former kernel had counted: tally" in kernel.run(CONNECTED)
    assert kernel.run(CHECK) == passed
