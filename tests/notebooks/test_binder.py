"""A Binder session: 1 GiB, no Docker, no root, no network, and read-only packages."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.notebooks import confined
from tests.notebooks.conftest import ROOT, TUTORIAL

GIB = 2**30
# Started as Binder starts a session: Jupyter runs too, and the notebooks find a cluster that is just starting.
# Both are stopped; the result of the notebooks counts.
SESSION = """
"$1"/binder/start jupyter lab --no-browser --ip=127.0.0.1 --port=0 --ServerApp.root_dir="$1" > lab.log 2>&1 &
lab=$!
"$1"/binder/verify "$1"/notebooks/0[0-8]_*.ipynb
code=$?
kserve-nb down > /dev/null
kill $lab; wait $lab
exit $code
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a home folder for the user nobody, because pytest's own folders are closed to other users."""
    made = Path(tempfile.mkdtemp(prefix="binder-"))
    yield made
    shutil.rmtree(made)


def environment(home: Path) -> dict[str, str]:
    return {"HOME": str(home), "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "LANG": "C.UTF-8",
            "TMPDIR": str(home), "PYTHONDONTWRITEBYTECODE": "1"}


def test_the_notebooks_of_the_tutorial_run_in_one_gibibyte(folder: Path):
    done = confined.run(["sh", "-c", SESSION, "session", str(ROOT)], folder=folder, env=environment(folder),
                        limit_bytes=GIB, timeout_s=400)

    print(f"{done.output}\n{done.peak_bytes / 2**20:.0f} MiB at most")
    assert done.code == 0, done.output[-3000:]
    assert done.output.strip().splitlines()[-1] == f"{len(TUTORIAL)} passed, 0 failed"
    assert done.left == 0


def test_a_binder_session_opens_while_its_cluster_starts(folder: Path):
    said = 'printf "%s|" "$@"; until kserve-nb status > status.txt; do sleep 0.2; done; kserve-nb down'

    done = confined.run([str(ROOT / "binder" / "start"), "sh", "-c", said, "sh", "a b", "--c"], folder=folder,
                        env=environment(folder), limit_bytes=GIB, timeout_s=120)

    assert done.code == 0, done.output
    assert done.output.splitlines()[-1] == "a b|--c|cluster 'default' is deleted"
    assert done.left == 0


@pytest.mark.parametrize("by", ["cgroup", "samples"])
def test_more_than_the_limit_fails(by: str, folder: Path, monkeypatch: pytest.MonkeyPatch):
    if by == "samples":
        monkeypatch.setattr(confined, "CGROUPS", ())
    held = "import time; data = bytearray(b'x') * (300 << 20); time.sleep(5)"

    done = confined.run(["python", "-c", held], folder=folder, env=environment(folder), limit_bytes=200 << 20,
                        timeout_s=60)

    assert done.code != 0


def test_a_session_has_no_rights_and_as_root_we_take_its_network(folder: Path):
    checks = ['test "$(id -u)" != 0', "! test -w /etc"]
    if confined.can_be_alone():
        checks.append("test $(wc -l < /proc/net/route) -le 1")  # only the header line: no route to another network

    done = confined.run(["sh", "-c", " && ".join(checks)], folder=folder, env=environment(folder), limit_bytes=GIB,
                        timeout_s=60)

    assert done.code == 0, done.output
