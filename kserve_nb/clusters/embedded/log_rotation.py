"""Rotation of log files, so that a program that writes without end cannot fill the disk.

The limits are the kubelet's defaults of `containerLogMaxSize` and `containerLogMaxFiles`. A log is copied and then
emptied, not renamed: its writer keeps it open, and a container's process may not open another file. As on a real node,
`kubectl logs` shows the newest file only.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from pathlib import Path

from kserve_nb.clusters import private_files

log = logging.getLogger(__name__)
MAX_BYTES = 10 << 20  # containerLogMaxSize
MAX_FILES = 5  # containerLogMaxFiles: the log itself, and its older parts
OWN_FILES = 2  # the same for the logs of the cluster's own processes


def rotate(file: Path, max_files: int = MAX_FILES, max_bytes: int | None = None) -> bool:
    """Rotate a log that is too large: `x.log` becomes `x.log.1`, `x.log.1` becomes `x.log.2`, and so on.

    The writer must append to the file (O_APPEND). Returns whether the log was rotated. A log that cannot be copied, for
    example because the disk is full, is emptied all the same.
    """
    if not is_too_large(file, max_bytes):
        return False
    try:
        for number in range(max_files - 2, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                _part(file, number).replace(_part(file, number + 1))
        _copy(file, _part(file, 1))
    except OSError as error:
        log.warning("cannot keep a copy of %s: %s", file, error.strerror)
        with contextlib.suppress(OSError):
            _part(file, 1).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        os.truncate(file, 0)
    return True


def is_too_large(file: Path, max_bytes: int | None = None) -> bool:
    """Whether the file exists and is larger than `max_bytes`, by default MAX_BYTES."""
    try:
        return file.stat().st_size > (MAX_BYTES if max_bytes is None else max_bytes)
    except OSError:
        return False


def remove(file: Path) -> None:
    """Remove a log and its older parts."""
    for path in (file, *(_part(file, number) for number in range(1, MAX_FILES))):
        path.unlink(missing_ok=True)


def _part(file: Path, number: int) -> Path:
    return file.with_name(f"{file.name}.{number}")


def _copy(file: Path, copy: Path) -> None:
    with open(file, "rb") as source, open(copy, "wb", opener=private_files.opener) as target:
        shutil.copyfileobj(source, target, 1 << 20)
