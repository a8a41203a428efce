"""What is known of each named cluster between commands: one folder a cluster, under the user's state folder.

`cluster.json` in it says how the cluster was started; it is there exactly as long as the cluster is meant to be.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO

import platformdirs
import psutil

from kserve_nb.clusters import private_files

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")


class ClusterError(Exception):
    """A cluster cannot be started, found or used; the message names it, says why, and what to do."""


@dataclass(frozen=True)
class Record:
    """How a cluster was started: what `kserve-nb status` shows, and what a restart needs."""

    name: str
    cluster: str  # embedded, kind or attach
    kubeconfig: str
    ingress: str  # HOST:PORT
    namespace: str = "kserve-test"
    speed: float = 1.0
    gateway: str = "istio"
    pid: int | None = None  # of the supervisor; None where nothing of ours runs
    started: float | None = None  # when that process started, POSIX seconds: tells it from a later one of the same id
    owner: int | None = None  # the cluster ends when this process does
    owner_started: float | None = None
    idle_s: float = 12 * 3600.0
    api_port: int = 0
    admin_port: int = 0
    activator_port: int = 0
    token: str = ""
    made: str = ""  # kind: the container that is its node, by Docker's id; tells our cluster from another of its name
    steps: tuple[str, ...] = ()  # kind: what has been installed in it

    @property
    def alive(self) -> bool:
        """Whether the supervisor that was recorded still runs; always true where nothing of ours has to run."""
        return self.pid is None or same_process(self.pid, self.started)


def same_process(pid: int, started: float | None) -> bool:
    """Whether `pid` is still the process that began at `started` (POSIX seconds) and has not ended."""
    try:
        process = psutil.Process(pid)
        fresh = started is None or abs(process.create_time() - started) < 1
        return fresh and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def check_name(name: str) -> str:
    """The name itself. Raises ClusterError where it cannot be one."""
    if not NAME.fullmatch(name):
        raise ClusterError(
            f"{name!r} cannot name a cluster: use up to 32 lower case letters, digits and '-', "
            "with a letter or digit at both ends.")
    return name


def folder(name: str) -> Path:
    """Where the named cluster keeps its state."""
    return Path(platformdirs.user_state_path("kserve-nb")) / "clusters" / check_name(name)


def names() -> list[str]:
    """Every cluster that has been started and not been ended."""
    base = Path(platformdirs.user_state_path("kserve-nb")) / "clusters"
    return sorted(path.parent.name for path in base.glob("*/cluster.json"))


def read(name: str) -> Record | None:
    """The record of the named cluster, None where there is none."""
    file = folder(name) / "cluster.json"
    try:
        row = json.loads(file.read_text())
        return Record(**row | {"steps": tuple(row.get("steps", ()))})
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise ClusterError(
            f"{file} cannot be read ({error}). Forget that cluster: kserve-nb down --name {name}") from None


def write(record: Record) -> None:
    """Keep the record, readable by its owner alone."""
    private_files.write(folder(record.name) / "cluster.json", json.dumps(asdict(record), indent=1))


def forget(name: str) -> None:
    """Remove all that is kept of the named cluster."""
    shutil.rmtree(folder(name), ignore_errors=True)


def with_process(record: Record, pid: int) -> Record:
    """The record of a cluster whose supervisor is now `pid`."""
    return replace(record, pid=pid, started=psutil.Process(pid).create_time())


@contextlib.contextmanager
def lock(name: str) -> Iterator[None]:
    """One starter or stopper of a cluster at a time. Raises ClusterError where the state folder cannot be written."""
    place = folder(name)
    file = place.parent / f".{name}.lock"
    try:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        stream = _locked(file)
    except OSError as error:
        raise ClusterError(
            f"cluster {name!r} needs a folder for its state, and {place.parent} cannot be written: {error.strerror}. "
            "Name another one: XDG_STATE_HOME=/some/folder kserve-nb up") from None
    with stream:
        try:
            yield
        finally:
            if not place.exists():  # nothing is left of that cluster
                file.unlink(missing_ok=True)


def _locked(file: Path) -> IO[str]:
    """The file, opened and locked; a new one where it was removed while we waited."""
    while True:
        stream = open(file, "w")  # noqa: SIM115  the caller closes it
        fcntl.flock(stream, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(stream.fileno()), file.stat()):
                return stream
        stream.close()
