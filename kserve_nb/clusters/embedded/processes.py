"""How processes of an embedded cluster end together: with their parent, and with everything they started.

Linux reports the death of a parent and hands orphans to an ancestor; on other systems these functions do nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Collection

import psutil

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


def end_orphans(known: Collection[int]) -> int:
    """Kill all children of this process that are not `known`, and their children. Return how many were killed."""
    killed: set[int] = set()
    deadline = time.monotonic() + END_S
    while orphans := [child for child in _children() if child.pid not in known]:
        for orphan in orphans:
            killed.update(_kill_tree(orphan))
            with contextlib.suppress(ChildProcessError):
                os.waitpid(orphan.pid, os.WNOHANG)
        if time.monotonic() > deadline:
            break
        time.sleep(0.005)
    return len(killed)


def _kill_tree(root: psutil.Process) -> list[int]:
    killed = []
    with contextlib.suppress(psutil.Error):
        for process in [root, *root.children(recursive=True)]:
            process.kill()
            killed.append(process.pid)
    return killed


def _children() -> list[psutil.Process]:
    try:
        return list(psutil.Process().children())
    except psutil.Error:
        return []
