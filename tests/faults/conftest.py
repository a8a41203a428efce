"""A new state folder for each test, and the processes of the clusters in it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from kserve_nb.clusters import Record

KSERVE_NB = [sys.executable, "-c", "from kserve_nb.cli import main; main()"]


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


def command(*words: str, timeout_s: float = 200, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `kserve-nb` with these words, and with these variables added to its environment."""
    return subprocess.run([*KSERVE_NB, *words], capture_output=True, text=True, timeout=timeout_s, check=False,
                          env={**os.environ, **environment})


def kubectl(record: Record, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the real kubectl on a cluster."""
    return subprocess.run(["kubectl", "--kubeconfig", record.kubeconfig, *words], check=False, capture_output=True,
                          text=True, input=stdin, timeout=120)


def create_namespace(record: Record, name: str) -> None:
    """Create a namespace, the object that must not get lost."""
    assert (done := kubectl(record, "create", "namespace", name)).returncode == 0, done.stderr


def has_namespace(record: Record, name: str) -> bool:
    """Whether the namespace is there."""
    return kubectl(record, "get", "namespace", name).returncode == 0


def command_line(process: psutil.Process) -> str:
    """The command line of a process; empty if it has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def part(record: Record, name: str) -> psutil.Process | None:
    """A process of a cluster: `supervisor`, `server`, `envoy`, `runtime`, or `model`, the server of the oldest pod."""
    if record.pid is None or not psutil.pid_exists(record.pid):
        return None
    supervisor = psutil.Process(record.pid)
    if name == "supervisor":
        return supervisor
    word = {"server": "embedded.server", "envoy": "bootstrap.json", "runtime": "zygote", "model": "zygote"}[name]
    found = [child for child in supervisor.children() if word in command_line(child)]
    if name == "model":
        found = [child for runtime in found for child in sorted(runtime.children(), key=lambda p: p.create_time())]
    return found[0] if found else None
