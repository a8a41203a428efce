"""A cluster that differs from a real one fails nbval: each test breaks one place in a copy of the package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.notebooks.conftest import ROOT

EMBEDDED = Path("kserve_nb/clusters/embedded")
SPLIT = EMBEDDED / "control/kserve/canary_traffic.py"
GATEWAY = EMBEDDED / "gateway/envoy_routes.py"
COLUMNS = EMBEDDED / "apimachinery/kinds.py"


def copy(folder: Path) -> None:
    """Copy the package, its notebooks, and what pytest needs to run them."""
    left_out = shutil.ignore_patterns("*.pyc.*")  # incomplete byte code; complete files save time
    for name in ("kserve_nb", "notebooks"):
        shutil.copytree(ROOT / name, folder / name, ignore=left_out)
    (folder / "tests").mkdir()
    for name in ("conftest.py", "pyproject.toml", "tests/sanitize.cfg"):
        shutil.copy(ROOT / name, folder / name)


def nbval(folder: Path, notebook: str) -> subprocess.CompletedProcess[str]:
    """Run a notebook on a cluster of this folder's package; the kernel uses the same package."""
    environment = {key: value for key, value in os.environ.items() if key != "KSERVE_NB_NAME"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval-lax", f"notebooks/{notebook}.ipynb"],
        cwd=folder, env=environment | {"PYTHONPATH": str(folder)}, capture_output=True, text=True, timeout=400,
        check=False)


def test_the_copy_passes_as_long_as_it_is_whole(tmp_path: Path):
    copy(tmp_path)

    done = nbval(tmp_path, "04_old_schema")

    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize(("file", "old", "new", "notebook", "told"), [
    pytest.param(SPLIT, '"percent": percent if split else 100', '"percent": 100 - percent if split else 100',
                 "04_old_schema", "✖ Traffic is not split", id="percents-the-other-way-round"),
    pytest.param(COLUMNS, "@.tag=='prev'", "@.tag=='previous'", "03_canary", "Cell outputs differ",
                 id="a-column-that-looks-elsewhere"),
    pytest.param(GATEWAY, '"weight": split.get("percent", 100)', '"weight": 50', "05_more_requests",
                 "✖ The share of answers is not 10 %", id="a-gateway-that-splits-otherwise-than-the-status-says"),
])  # fmt: skip
def test_a_broken_one_fails(file: Path, old: str, new: str, notebook: str, told: str, tmp_path: Path):
    copy(tmp_path)
    source = (tmp_path / file).read_text()
    assert source.count(old) >= 1
    (tmp_path / file).write_text(source.replace(old, new))

    done = nbval(tmp_path, notebook)

    assert done.returncode == 1, done.stdout[-3000:]
    assert told in done.stdout
