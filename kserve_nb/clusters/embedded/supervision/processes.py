"""How processes of an embedded cluster end together: with their parent, and with everything they started.

Linux reports the death of a parent and hands orphans to an ancestor; on other systems these functions do little.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path

END_S = 2.0  # how long killed orphans may take to disappear
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def end_with_parent(number: signal.Signals, parent: int) -> None:
    """Have the kernel send this process a signal when its parent ends, even if the parent is killed.

    Exits at once if `parent`, the parent's process id, has ended before the call.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """Make this process the parent of every descendant whose own parent ends, so that `end_orphans` finds it."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1)


def end_orphans(known: Collection[int], keep: Callable[[int], bool] = lambda _: False) -> int:
    """Kill all children of this process that are neither `known` nor to `keep`, and then the orphans they leave.

    Returns how many were killed. Does nothing where orphans are not handed to an ancestor.
    """
    killed: set[int] = set()
    deadline = time.monotonic() + END_S
    while orphans := [pid for pid in _children() if pid not in known and not keep(pid)]:
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        killed.update(orphans)
        if time.monotonic() > deadline:
            break
        time.sleep(0.002)
    return len(killed)


def _children() -> list[int]:
    """The ids of this process's children, ended ones included."""
    try:
        files = [thread / "children" for thread in Path("/proc/self/task").iterdir()]
        return [int(pid) for file in files for pid in file.read_text().split()]
    except OSError:
        return []
