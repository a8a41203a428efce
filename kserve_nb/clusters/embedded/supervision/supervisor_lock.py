"""The lock on `supervisor.lock` in a cluster's folder: its supervisor holds it for as long as it runs."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import IO

from kserve_nb.clusters.state import ClusterError

try:
    import fcntl
except ImportError:  # Windows, where the embedded cluster does not run
    fcntl = None  # type: ignore[assignment]

LOCK_FILE = "supervisor.lock"
_TRIES, _PAUSE_S = 10, 0.05


def hold_lock(folder: Path) -> IO[bytes]:
    """Lock the cluster's state folder until the returned file is closed. Raises ClusterError if another one runs."""
    stream = os.fdopen(os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
    for _ in range(_TRIES):  # `lock_is_held` of another process holds it for a moment
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return stream
        except BlockingIOError:
            time.sleep(_PAUSE_S)
    stream.close()
    raise ClusterError(f"another supervisor runs the cluster in {folder}.")


def lock_is_held(folder: Path) -> bool:
    """Whether a supervisor runs the cluster in this folder."""
    try:
        with open(folder / LOCK_FILE, "rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
