"""Log files of containers in the CRI format, as on a real node: `<time> stdout F <text>`, one entry per line."""

from __future__ import annotations

import contextlib
import io
import os
import time
from pathlib import Path

MESSAGE_LINES, MESSAGE_BYTES = 80, 2048  # the part of a log that FallbackToLogsOnError puts into the pod's status


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
        lines = path.read_text("utf-8", "replace").splitlines()[-MESSAGE_LINES:]
    except FileNotFoundError:
        return ""
    text = "".join(line.split(" ", 3)[-1] + "\n" for line in lines)
    return text.encode()[-MESSAGE_BYTES:].decode("utf-8", "ignore")


class LogStream(io.TextIOBase):
    """A stdout or stderr that writes whole lines to a log file. Lines are dropped if the disk is full.

    `handle` is the file descriptor of the log.
    """

    encoding = "utf-8"

    def __init__(self, handle: int):
        self._handle, self._incomplete = handle, ""

    def write(self, text: str) -> int:
        *lines, self._incomplete = (self._incomplete + text).split("\n")
        if lines:
            prefix = f"{timestamp(time.time_ns())} stdout F "
            with contextlib.suppress(OSError):
                os.write(self._handle, "".join(f"{prefix}{line}\n" for line in lines).encode("utf-8", "replace"))
        return len(text)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._handle

    def finish(self) -> None:
        """Write the last line if it does not end with a newline."""
        if self._incomplete:
            self.write("\n")
