"""Start and stop the supervisor of an embedded cluster, and with it all processes of the cluster."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from kserve_nb.clusters import private_files, process_identity
from kserve_nb.clusters.embedded.supervision.supervisor_lock import LOCK_FILE, lock_is_held
from kserve_nb.clusters.state import ClusterError, Record

_MODULE = "kserve_nb.clusters.embedded.supervision.supervisor"
_MARK = "KSERVE_NB_CLUSTER_ID"  # in the environment of all processes of a cluster
_STOP_S, _KILL_S, _POLL_S = 8.0, 5.0, 0.05


def launch(record: Record, folder: Path) -> subprocess.Popen[bytes]:
    """Start the supervisor in a new session, so that it outlives this process."""
    with open(folder / "supervisor.log", "ab", opener=private_files.opener) as out:
        return subprocess.Popen(
            [sys.executable, "-m", _MODULE, record.name, str(folder.resolve())],
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, env=_environment(record))


def is_running(record: Record, folder: Path) -> bool:
    """Whether the cluster's supervisor runs."""
    recorded = record.pid is not None and process_identity.is_running(record.pid, record.started)
    return recorded or lock_is_held(folder)


def terminate(name: str, record: Record | None, folder: Path) -> None:
    """End the supervisor and all its processes. Raises ClusterError if one is left."""
    found = {process.pid: process for process in _supervisors(record, folder)}
    family = {child.pid: child for each in found.values() for child in _children(each)} | found
    for supervisor in found.values():
        with contextlib.suppress(psutil.NoSuchProcess):
            supervisor.send_signal(signal.SIGTERM)
    left = [*_wait(list(family.values()), _STOP_S), *_marked(record)]
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    left = _wait(left, _KILL_S)
    if left or lock_is_held(folder):
        who = ", ".join(str(process.pid) for process in left) or f"the one that has locked {folder / LOCK_FILE}"
        raise ClusterError(f"Cannot stop cluster {name!r}: it still has processes ({who}). Nothing was removed. "
                           "End them yourself, then run the same command again.")


def _wait(processes: list[psutil.Process], timeout_s: float) -> list[psutil.Process]:
    """Wait until the processes have ended; return those that have not.

    A zombie has ended: its parent, for example the process of a notebook server, may never collect it.
    """
    deadline = time.monotonic() + timeout_s
    while left := [process for process in processes if _is_alive(process)]:
        if time.monotonic() > deadline:
            return left
        psutil.wait_procs(left, timeout=_POLL_S)  # collects those that are children of this process
    return []


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _supervisors(record: Record | None, folder: Path) -> list[psutil.Process]:
    """The processes that supervise a cluster in this folder: the recorded one, and any whose arguments name the folder.

    There is more than one only after a fault: the folder was removed, or the record was lost, while the cluster ran.
    """
    found = [process for process in psutil.process_iter() if _supervises(process, folder)]
    if record is not None and record.pid is not None and process_identity.is_running(record.pid, record.started):
        found += [psutil.Process(record.pid)]
    return [process for process in found if process.pid != os.getpid()]


def _supervises(process: psutil.Process, folder: Path) -> bool:
    with contextlib.suppress(psutil.Error):
        words = process.cmdline()
        return _MODULE in words and words[-1] == str(folder.resolve())
    return False


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _marked(record: Record | None) -> list[psutil.Process]:
    """Processes that carry the cluster's mark: what a model started may outlive all that the supervisor watches."""
    found = []
    for process in psutil.process_iter() if record is not None else ():
        with contextlib.suppress(psutil.Error, OSError):
            if record is not None and process.pid != os.getpid() and process.environ().get(_MARK) == record.id:
                found.append(process)
    return found


def _environment(record: Record) -> dict[str, str]:
    """The caller's environment without proxies, which would break loopback connections. Byte code is written."""
    hidden = {"PYTHONDONTWRITEBYTECODE"}
    kept = {key: value for key, value in os.environ.items() if key not in hidden and not key.lower().endswith("_proxy")}
    return {**kept, _MARK: record.id}
