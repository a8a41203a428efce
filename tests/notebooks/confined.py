"""Run a command as Binder runs a session: unprivileged, without network, with a memory limit.

The limit is a memory cgroup over the whole process tree if one can be created. Otherwise the tree's PSS is sampled,
and the tree is killed if it exceeds the limit. As root, the command runs as `nobody` in its own network namespace. Any
other user is already unprivileged, and keeps its network.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

NOBODY = 65534
_SAMPLE_S = 0.5
CGROUPS = (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup"))  # version 1, version 2
# Joins the cgroup, enables the loopback of the new network, and executes the command.
_ENTER = """
import fcntl, os, socket, struct, sys
group, alone, *argv = sys.argv[1:]
if group:
    open(os.path.join(group, "cgroup.procs"), "w").write(str(os.getpid()))
if alone:
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 0x41))  # SIOCSIFFLAGS: up and running
os.execvp(argv[0], argv)
"""


@dataclass(frozen=True)
class Outcome:
    """How the command ended."""

    code: int
    output: str
    peak_bytes: int  # largest memory of all its processes, as sampled
    left: int  # processes that were still running afterwards


def run(argv: Sequence[str], *, folder: Path, env: Mapping[str, str], limit_bytes: int, timeout_s: float) -> Outcome:
    """Run the command in a folder that it may write, and kill what is left after timeout_s."""
    root = os.geteuid() == 0
    if root:
        shutil.chown(folder, NOBODY, NOBODY)
    with _group(limit_bytes) as group, (folder / "output.txt").open("w+") as output:
        alone = can_be_alone()
        enter = [sys.executable, "-c", _ENTER, str(group or ""), "alone" if alone else ""]
        words = [*(["unshare", "--net"] if alone else []), *enter, *(_as_nobody() if root else []), *argv]
        process = subprocess.Popen(words, cwd=folder, env=dict(env), stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=output)
        peak = _follow(process, None if group else limit_bytes, timeout_s)
        left = _left(group)
        output.seek(0)
        return Outcome(process.returncode, output.read(), _peak(group) if group else peak, left)


def can_be_alone() -> bool:
    """Return whether a command can run in its own network namespace."""
    return os.geteuid() == 0 and subprocess.run(["unshare", "--net", "true"], check=False).returncode == 0


def _as_nobody() -> list[str]:
    """Become nobody. If only root may enter the folder of Python, keep the right to read, and no other."""
    words = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    folders = Path(sys.executable).resolve().parents
    if all(folder.stat().st_mode & 0o001 for folder in folders):
        return words
    only = "-all,+dac_read_search"
    return [*words, f"--inh-caps={only}", f"--ambient-caps={only}", f"--bounding-set={only}"]


def _follow(process: subprocess.Popen[bytes], limit_bytes: int | None, timeout_s: float) -> int:
    """Wait for the end. Returns the largest sampled PSS, if the limit is enforced here."""
    deadline, peak = time.monotonic() + timeout_s, 0
    while True:
        try:
            process.wait(_SAMPLE_S if limit_bytes else timeout_s)
            return peak
        except subprocess.TimeoutExpired:
            peak = max(peak, _pss(process.pid)) if limit_bytes else peak
        if time.monotonic() > deadline or (limit_bytes and peak > limit_bytes):
            for member in _family(process.pid):
                member.kill()


def _family(pid: int) -> list[psutil.Process]:
    try:
        top = psutil.Process(pid)
        return [*top.children(recursive=True), top]
    except psutil.NoSuchProcess:
        return []


def _pss(pid: int) -> int:
    total = 0
    for member in _family(pid):
        try:
            total += member.memory_full_info().pss
        except psutil.Error:
            pass  # it has just ended
    return total


@contextmanager
def _group(limit_bytes: int) -> Iterator[Path | None]:
    """Create a memory cgroup with this limit. Returns None if that is not possible."""
    group = next((made for made in map(_make, CGROUPS) if made), None)
    if group is None:
        yield None
        return
    try:
        for name, value in (("memory.max", limit_bytes), ("memory.swap.max", 0), ("memory.limit_in_bytes", limit_bytes),
                            ("memory.memsw.limit_in_bytes", limit_bytes)):
            if (group / name).exists():
                (group / name).write_text(str(value))
        yield group
    finally:
        for pid in _pids(group):
            os.kill(pid, signal.SIGKILL)
        _left(group)
        group.rmdir()


def _make(root: Path) -> Path | None:
    group = root / f"notebooks-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        return None
    if any((group / name).exists() for name in ("memory.max", "memory.limit_in_bytes")):
        return group
    group.rmdir()
    return None


def _pids(group: Path) -> list[int]:
    return [int(line) for line in (group / "cgroup.procs").read_text().split()]


def _left(group: Path | None) -> int:
    """Return processes that still run 10 s after the command; what ends with it may need a moment."""
    processes = [psutil.Process(pid) for pid in _pids(group) if psutil.pid_exists(pid)] if group else []
    _, alive = psutil.wait_procs(processes, timeout=60)
    return len(alive)


def _peak(group: Path) -> int:
    names = ("memory.peak", "memory.max_usage_in_bytes")
    return next((int((group / name).read_text()) for name in names if (group / name).exists()), 0)
