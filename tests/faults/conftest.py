"""A new state folder for each test, and the processes of the clusters in it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from kserve_nb.clusters import Record


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty state folder. At the end no process of a cluster in it may be left."""
    home = tmp_path / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(home))
    monkeypatch.delenv("KSERVE_NB_NAME", raising=False)
    yield home
    left = processes_in(home)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    assert [process.pid for process in left] == []


def processes_in(home: Path) -> list[psutil.Process]:
    """All processes whose clusters are in this state folder, by their environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            environment = process.environ()
            if environment.get("XDG_STATE_HOME") == str(home) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return [process for process in found if process.pid != psutil.Process().pid]


def eventually(claim: Callable[[], bool], timeout_s: float = 60) -> bool:
    """Whether the condition becomes true before the deadline."""
    deadline = time.monotonic() + timeout_s
    while not (held := claim()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return held


def family(record: Record) -> list[psutil.Process]:
    """The supervisor of a cluster, and all its descendants."""
    root = psutil.Process(record.pid)
    return [root, *root.children(recursive=True)]
