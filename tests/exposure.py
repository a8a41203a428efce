"""The parts of a running embedded cluster that other users of the machine, and pages in a browser, could reach."""

from __future__ import annotations

import contextlib
import http.client
import ssl
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

from kserve_nb.clusters import Record

PUBLIC = {"/version", "/healthz", "/livez", "/readyz"}  # paths that a real API server answers for anyone


def family(record: Record) -> list[psutil.Process]:
    """The supervisor of a cluster, and all its descendants."""
    assert record.pid is not None
    root = psutil.Process(record.pid)
    return [root, *root.children(recursive=True)]


def listening(processes: Iterable[psutil.Process]) -> set[tuple[str, int]]:
    """The addresses of all TCP ports on which the processes listen, and of all their UDP sockets."""
    return {(connection.laddr.ip, connection.laddr.port) for process in processes
            for connection in process.connections(kind="inet")
            if connection.laddr and connection.status in (psutil.CONN_LISTEN, psutil.CONN_NONE)}


def abstract_sockets(processes: Iterable[psutil.Process]) -> set[str]:
    """The names of the processes' abstract sockets, which every user of the machine can open."""
    return {connection.laddr for process in processes for connection in process.connections(kind="unix")
            if str(connection.laddr).startswith(("@", "\0"))}


def readable_by_others(folder: Path) -> dict[str, str]:
    """All files and folders, the folder itself included, whose mode is not 0600 or 0700, with their modes."""
    found = {}
    for path in (folder, *folder.rglob("*")):
        with contextlib.suppress(FileNotFoundError):  # removed in the meantime
            mode = path.lstat().st_mode
            if not stat.S_ISLNK(mode) and stat.S_IMODE(mode) != (0o700 if stat.S_ISDIR(mode) else 0o600):
                found[str(path.relative_to(folder))] = stat.filemode(mode)
    return found


def files_with(secret: str, folder: Path) -> set[str]:
    """The files below the folder that contain the secret."""
    found = set()
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file() and secret.encode() in path.read_bytes():
                found.add(str(path.relative_to(folder)))
    return found


def command_lines_with(secret: str) -> Iterator[str]:
    """The command lines of all processes of this machine that contain the secret."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            line = " ".join(process.cmdline())
            if secret in line:
                yield line


def answered_without_credential(record: Record, paths: Iterable[str], **headers: str) -> set[str]:
    """The paths that the API server answers without a credential with another status than 401 or 403."""
    context = ssl._create_unverified_context()
    found = set()
    for path in paths:
        connection = http.client.HTTPSConnection("127.0.0.1", record.api_port, timeout=20, context=context)
        with contextlib.closing(connection):
            connection.request("GET", path, headers=headers)
            if connection.getresponse().status not in (401, 403):
                found.add(path)
    return found
