"""A cluster for the notebooks, and the programs that run them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kserve_nb import clusters
from kserve_nb.clusters import state

ROOT = Path(__file__).parents[2]
DRILL = ROOT / "notebooks" / "15_drill.ipynb"
NOTEBOOKS = sorted({*(ROOT / "notebooks").glob("[0-9]*.ipynb")} - {DRILL})
TUTORIAL = [path for path in NOTEBOOKS if path.stem < "09"]  # the later ones take longer, and run in fewer tests


@dataclass(frozen=True)
class Runner:
    """Runs notebooks on one cluster, each in its own folder, as `kserve-nb run` does."""

    cluster: str

    def nbval(self, *paths: Path) -> subprocess.CompletedProcess[str]:
        """Run `pytest --nbval-lax` on these files or folders."""
        return self._python("pytest", "-q", "-p", "no:cacheprovider", "-p", "conftest", "--nbval-lax",
                            "--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml"), *map(str, paths))

    def papermill(self, path: Path) -> subprocess.CompletedProcess[str]:
        """Run `papermill` on this notebook and discard the executed notebook."""
        return self._python("papermill", "--no-progress-bar", "--cwd", str(ROOT / "notebooks"), str(path), os.devnull)

    def _python(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "KSERVE_NB_NAME": self.cluster}
        return subprocess.run([sys.executable, "-m", *words], cwd=ROOT, env=environment, capture_output=True,
                              text=True, timeout=500, check=False)


@pytest.fixture(scope="package")
def runner() -> Iterator[Runner]:
    """A runner on an embedded cluster that stops with the tests."""
    name = f"notebooks-{os.getpid()}"
    clusters.start(name, owner=os.getpid(), temporary=True)
    yield Runner(name)
    record = state.read(name)
    if record is not None:
        clusters.delete(record.name)
