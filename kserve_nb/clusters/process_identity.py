"""Tell a process from a later one that has the same id, by values that no change of the clock affects."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

# Fields of /proc/PID/stat, counted from the one after the command's closing bracket.
_STATE, _TICKS = 0, 19


def start_mark(pid: int) -> str | None:
    """A text that is different for each process that ever has this id; None if there is no such process.

    On Linux it is the boot id and the process's start in clock ticks since boot. psutil's `create_time` is of no use
    there: it is computed from the current wall clock, so it changes when the clock is set.
    """
    if sys.platform != "linux":
        import psutil  # only here: each process of a cluster imports this module when it starts

        try:
            return repr(psutil.Process(pid).create_time())
        except psutil.NoSuchProcess:
            return None
    fields = _stat(pid)
    return f"{_boot_id()}:{fields[_TICKS]}" if fields else None


def is_running(pid: int, mark: str | None) -> bool:
    """Whether the process `pid` with that start mark runs; with None, whether any process of that id does."""
    found = start_mark(pid)
    if found is None or mark not in (None, found):
        return False
    if sys.platform != "linux":
        import psutil

        try:
            return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False
    fields = _stat(pid)
    return bool(fields) and fields[_STATE] != "Z"


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the process's state on; empty if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


@cache
def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
