"""Log files of containers, in the CRI format that a kubelet's are in: `<time> stdout F <text>`, one line each."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path

MESSAGE_LINES, MESSAGE_BYTES = 80, 2048  # what FallbackToLogsOnError takes of a log: the last lines, the last bytes


def stamp(now_ns: int) -> str:
    """A time since the epoch as RFC 3339 with nanoseconds, UTC."""
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now_ns // 10**9))}.{now_ns % 10**9:09d}Z"


def append(path: Path, text: str) -> None:
    """Add one line to a log."""
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{stamp(time.time_ns())} stdout F {text}\n")


def last_lines(path: Path) -> str:
    """The end of a log as a terminated container's message quotes it; empty where there is none."""
    try:
        lines = path.read_text("utf-8", "replace").splitlines()[-MESSAGE_LINES:]
    except FileNotFoundError:
        return ""
    text = "".join(line.split(" ", 3)[-1] + "\n" for line in lines)
    return text.encode()[-MESSAGE_BYTES:].decode("utf-8", "ignore")


class LogStream(io.TextIOBase):
    """A stdout or stderr whose lines go to a log file, whole lines only."""

    encoding = "utf-8"

    def __init__(self, handle: int):
        self._handle, self._rest = handle, ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        if lines:
            prefix = f"{stamp(time.time_ns())} stdout F "
            os.write(self._handle, "".join(f"{prefix}{line}\n" for line in lines).encode("utf-8", "replace"))
        return len(text)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._handle

    def finish(self) -> None:
        """Write what has no end of line yet."""
        if self._rest:
            self.write("\n")
