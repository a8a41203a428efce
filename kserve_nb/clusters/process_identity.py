"""Tell a process from a later one that has the same id, by values that no change of the clock affects."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import psutil

_TICKS = 19  # the field "starttime" of /proc/PID/stat, counted from the one after the command's closing bracket


def start_mark(pid: int) -> str | None:
    """A text that is different for each process that ever has this id; None if there is no such process.

    On Linux it is the boot id and the process's start in clock ticks since boot. psutil's `create_time` is of no use
    there: it is computed from the current wall clock, so it changes when the clock is set.
    """
    if sys.platform != "linux":
        try:
            return repr(psutil.Process(pid).create_time())
        except psutil.NoSuchProcess:
            return None
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return f"{_boot_id()}:{fields[_TICKS]}"


def is_running(pid: int, mark: str | None) -> bool:
    """Whether the process `pid` with that start mark runs; with None, whether any process of that id does."""
    found = start_mark(pid)
    if found is None or mark not in (None, found):
        return False
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@cache
def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
