"""Log files of containers in the CRI format, as on a real node: `<time> stdout F <text>`, one entry per line.

A long line is written in several entries with `P` (partial) instead of `F` (full), of which the last one has `F`.
"""

from __future__ import annotations

import contextlib
import io
import os
import time
from collections.abc import Iterator
from pathlib import Path

MESSAGE_LINES, MESSAGE_BYTES = 80, 2048  # the part of a log that FallbackToLogsOnError puts into the pod's status
ENTRY_CHARACTERS = 16 * 1024  # the most in one entry; containerd's max_container_log_line_size
_READ_BYTES = 64 * 1024  # contains the message, whatever the log contains


def timestamp(now_ns: int) -> str:
    """Format a time since the epoch as RFC 3339 with nanoseconds, UTC."""
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now_ns // 10**9))}.{now_ns % 10**9:09d}Z"


def append(path: Path, text: str) -> None:
    """Add one line to a log file. The line is dropped if the disk is full: the container matters more."""
    with contextlib.suppress(OSError), path.open("a", encoding="utf-8") as file:
        file.write(f"{timestamp(time.time_ns())} stdout F {text}\n")


def last_lines(path: Path) -> str:
    """Return the end of a log as the message of a terminated container quotes it; empty if there is no log."""
    try:
        with path.open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - _READ_BYTES, 0))
            lines = file.read().decode("utf-8", "replace").splitlines()[-MESSAGE_LINES:]
    except FileNotFoundError:
        return ""
    text = "".join(_text(line) for line in lines)
    return text.encode()[-MESSAGE_BYTES:].decode("utf-8", "ignore")


def _text(entry: str) -> str:
    """The text of an entry, with a newline if the line ends there."""
    *_, tag, text = ("", "", *entry.split(" ", 3))[-4:]
    return text if tag == "P" else text + "\n"


class LogStream(io.TextIOBase):
    """A stdout or stderr that writes whole lines to a log file. Lines are dropped if the disk is full.

    `handle` is the file descriptor of the log.
    """

    encoding = "utf-8"

    def __init__(self, handle: int):
        self._handle, self._incomplete = handle, ""

    def write(self, text: str) -> int:
        *lines, rest = (self._incomplete + text).split("\n")
        complete = len(rest) // ENTRY_CHARACTERS * ENTRY_CHARACTERS
        self._incomplete = rest[complete:]
        prefix = f"{timestamp(time.time_ns())} stdout"
        entries = [*(entry for line in lines for entry in _entries(line, "F")), *_entries(rest[:complete], "P")]
        if entries:
            with contextlib.suppress(OSError):
                os.write(self._handle, "".join(f"{prefix} {entry}\n" for entry in entries).encode("utf-8", "replace"))
        return len(text)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._handle

    def finish(self) -> None:
        """Write the last line if it does not end with a newline."""
        if self._incomplete:
            self.write("\n")


def _entries(line: str, last: str) -> Iterator[str]:
    """The entries of a line; `last` is the tag of the last one. None for an empty part of a line."""
    starts = range(0, len(line), ENTRY_CHARACTERS) or ([0] if last == "F" else [])
    for start in starts:
        text = line[start:start + ENTRY_CHARACTERS]
        yield f"{last if start + ENTRY_CHARACTERS >= len(line) else 'P'} {text}"
