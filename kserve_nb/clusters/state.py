"""The state folder: one folder with the record and the files of each named cluster.

`cluster.json` in that folder is the cluster's record. Only `deletion.delete` removes the folder.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import IO, Any

import platformdirs

from kserve_nb.clusters import private_files

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
_FILE, _SECOND_FILE = "cluster.json", "cluster.copy.json"
_USED = "used"  # its modification time is the last use
RECORD_FORMAT = 1  # raised when an older version would misread a record; further fields need no new format


class ClusterError(Exception):
    """A cluster cannot be started, found or used; the message names it, says why, and what to do."""


class RecordError(ClusterError):
    """The record of a cluster cannot be read."""

    def __init__(self, message: str, *, newer: bool = False):
        super().__init__(message)
        self.newer = newer  # a newer version of this project wrote it


@dataclass(frozen=True)
class Record:
    """The record of a cluster: how it was started, as `kserve-nb status` shows it and as resuming it needs it."""

    name: str
    cluster: str  # the name of its backend: embedded, kind or attach
    kubeconfig: str
    ingress: str  # HOST:PORT; empty if it is found at each use
    namespace: str = "kserve-test"
    speed: float = 1.0
    gateway: str = "istio"
    id: str = field(default_factory=lambda: secrets.token_hex(8))  # differs from that of any other cluster of this name
    created: float = field(default_factory=time.time)  # POSIX seconds
    pid: int | None = None  # the supervisor's process id; None if no process of ours has to run
    started: str | None = None  # the start mark of that process
    owner: int | None = None  # the process with which the cluster stops
    owner_started: str | None = None
    temporary: bool = False  # made for one run of notebooks, and deleted once its owner has ended
    idle_s: float = 12 * 3600.0
    api_port: int = 0
    token: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)  # data that only its backend reads
    unknown: Mapping[str, Any] = field(default_factory=dict)  # fields that a newer version wrote, kept for it


_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,), "int": (int,), "float": (int, float), "bool": (bool,), "int | None": (int, type(None)),
    "str | None": (str, type(None)), "Mapping[str, Any]": (dict,)}
_TYPES = {each.name: _JSON_TYPES[str(each.type)] for each in fields(Record) if each.name != "unknown"}


def check_name(name: str) -> str:
    """Return the name. Raises ClusterError if it is not a valid name of a cluster."""
    if not NAME.fullmatch(name):
        raise ClusterError(
            f"{name!r} is not a valid cluster name. Use at most 32 lower-case letters, digits and '-', "
            "with a letter or digit at both ends.")
    return name


def folder(name: str) -> Path:
    """Return the folder with the record and all files of the named cluster."""
    return _base() / check_name(name)


def names() -> list[str]:
    """The names of all clusters that exist, running or not, in alphabetical order."""
    return sorted(path.name for path in _base().glob("*") if NAME.fullmatch(path.name) and path.is_dir())


def read(name: str) -> Record | None:
    """The record of the named cluster; None if there is none.

    A record that was removed or damaged is read from its second copy.

    Raises:
        RecordError: there is one, and it cannot be read.
    """
    problem = None
    for file in (_FILE, _SECOND_FILE):
        try:
            found = _parse(folder(name) / file, name)
        except RecordError as error:
            if error.newer:
                raise
            problem = problem or error
        else:
            if found is not None:
                return found
    if problem is not None:
        raise problem
    return None


def _parse(file: Path, name: str) -> Record | None:
    try:
        row = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise _unreadable(file, str(error)) from None
    if not isinstance(row, dict):
        raise _unreadable(file, f"it holds a {type(row).__name__}, not an object")
    if not isinstance(written := row.pop("format", 1), int):
        raise _unreadable(file, f"its format is {written!r}")
    if written > RECORD_FORMAT:
        raise RecordError(
            f"Cannot use cluster {name!r}: a newer version of kserve-nb wrote {file}. Use that version for it, "
            "or update this one. Nothing was changed.", newer=True)
    for key, value in row.items():
        if key in _TYPES and not isinstance(value, _TYPES[key]):
            raise _unreadable(file, f"its field {key!r} is {value!r}")
    if row.get("name") != name:
        raise _unreadable(file, f"it is the record of cluster {row.get('name')!r}")
    known = {key: value for key, value in row.items() if key in _TYPES}
    try:
        return Record(**known, unknown={key: value for key, value in row.items() if key not in _TYPES})
    except TypeError as error:
        raise _unreadable(file, str(error)) from None


def write(record: Record) -> None:
    """Store the record, readable by its owner alone."""
    row = asdict(record)
    unknown = row.pop("unknown")
    text = json.dumps({"format": RECORD_FORMAT, **row, **unknown}, indent=1)
    try:
        for file in (_SECOND_FILE, _FILE):
            private_files.write(folder(record.name) / file, text)
    except OSError as error:
        raise ClusterError(_disk_problem(record.name, error)) from None


def remove_unused_locks() -> None:
    """Remove the lock files of clusters that no longer exist."""
    for file in _base().glob(".*.lock") if fcntl is not None else ():
        with contextlib.suppress(OSError), open(file, "w", encoding="utf-8") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises BlockingIOError if it is in use
            if not file.with_name(file.name[1:].removesuffix(".lock")).exists():
                file.unlink()


def remove(name: str) -> None:
    """Remove the record, for a cluster that could not be created: nothing of it is left."""
    for file in (_FILE, _SECOND_FILE):
        (folder(name) / file).unlink(missing_ok=True)


def note_use(name: str) -> None:
    """Store that the cluster is used now. An embedded cluster stores this itself at each request."""
    with contextlib.suppress(OSError):
        (folder(name) / _USED).touch(mode=0o600)


def last_use(name: str) -> float:
    """When the cluster was last used, in POSIX seconds."""
    times = [path.stat().st_mtime for path in (folder(name), folder(name) / _FILE, folder(name) / _USED)
             if path.exists()]
    return max(times, default=0.0)


@contextlib.contextmanager
def lock(name: str) -> Iterator[None]:
    """Let one process at a time start, stop or delete the named cluster.

    Raises ClusterError if the state folder cannot be written. Without fcntl, on Windows, nothing is locked: only
    attached clusters exist there, and their record is replaced in one step.
    """
    place = folder(name)
    file = place.parent / f".{name}.lock"
    try:
        private_files.make_folder(place.parent)
        stream = _locked(file)
    except OSError as error:
        raise ClusterError(
            f"Cannot write the state folder {place.parent}: {error.strerror}. "
            "Make it writable, or start a cluster in another one: XDG_STATE_HOME=/some/folder kserve-nb up") from None
    with stream:
        try:
            yield
        except OSError as error:
            raise ClusterError(_disk_problem(name, error)) from error
        finally:
            if not place.exists():  # deleted, or never created
                with contextlib.suppress(OSError):  # Windows keeps open files
                    file.unlink(missing_ok=True)


def _disk_problem(name: str, error: OSError) -> str:
    advice = "Free space there, then run the command again." if error.errno == errno.ENOSPC else \
        "Make it accessible, or start a cluster in another state folder: XDG_STATE_HOME=/some/folder kserve-nb up"
    return f"Cannot use the files of cluster {name!r}: {error.filename or folder(name)}: {error.strerror}. {advice}"


def _locked(file: Path) -> IO[str]:
    """The file, opened and locked. A file that another process removed in the meantime is created again."""
    while True:
        stream = open(file, "w", encoding="utf-8", opener=private_files.opener)  # noqa: SIM115  the caller closes it
        if fcntl is None:
            return stream
        fcntl.flock(stream, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(stream.fileno()), file.stat()):
                return stream
        stream.close()


def _base() -> Path:
    return Path(platformdirs.user_state_path("kserve-nb")) / "clusters"


def _unreadable(file: Path, why: str) -> RecordError:
    return RecordError(
        f"Cannot read {file}: {why}. The objects of the cluster are in the same folder and were not changed.")
