"""Reading of containers' log files in the CRI format: `2026-11-23T09:14:51.123456789Z stdout F text`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

from kserve_nb.clusters.embedded.api.store.watch_history import History
from kserve_nb.clusters.embedded.apimachinery.kinds import POD, SANDBOX
from kserve_nb.clusters.embedded.apimachinery.objects import StatusError

_BLOCK = 64 * 1024
_SHORTEST_POLL_S, _LONGEST_POLL_S = 0.1, 1.0  # for a followed log; the interval grows while nothing is written


@dataclass(frozen=True)
class LogOptions:
    """Which part of a log to send, and how."""

    follow: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    since: str = ""  # RFC 3339, UTC; empty for the whole log


def since(seconds: int | None, moment: str) -> str:
    """The earliest time to send, from the parameters `sinceSeconds` and `sinceTime`. Raises StatusError 400."""
    if seconds is not None:
        start = datetime.now(UTC) - timedelta(seconds=min(max(seconds, 0), 10**9))
    elif moment:
        try:
            start = datetime.fromisoformat(moment).astimezone(UTC)
        except (ValueError, OverflowError):
            raise StatusError(400, "BadRequest", f"sinceTime must be an RFC 3339 time: {moment}") from None
    else:
        return ""
    return start.strftime("%Y-%m-%dT%H:%M:%S.%f")


def open_log(path: str) -> BinaryIO:
    """Open a log before the response starts, so that a failure can still be reported. Raises StatusError 400."""
    try:
        return open(path, "rb")
    except OSError as error:
        raise StatusError(400, "BadRequest", f"Cannot read the log file {path}: {error.strerror}") from None


async def read(file: BinaryIO, options: LogOptions, current: Callable[[], str | None],
               history: History) -> AsyncIterator[bytes]:
    """The selected lines of a log; with `follow`, also the lines that are written until the container ends.

    `current` returns the path of the container's log while the container runs.
    """
    left = options.limit_bytes if options.limit_bytes and options.limit_bytes > 0 else None
    if options.tail_lines is not None and options.tail_lines >= 0:
        _seek_last(file, options.tail_lines)
    async for lines in _blocks(file, options.follow, current, history):
        text = b"".join(_formatted(lines, options))[:left]
        if text:
            yield text
        if left is not None:
            left -= len(text)
            if left <= 0:
                return


async def _blocks(file: BinaryIO, follow: bool, current: Callable[[], str | None],
                  history: History) -> AsyncIterator[list[bytes]]:
    """Complete lines, in the blocks in which they are read."""
    subscription = history.subscribe([SANDBOX, POD])
    rest, delay_s = list[bytes](), _SHORTEST_POLL_S  # the beginning of a line, in the blocks in which it was read
    try:
        while True:
            runs = follow and current() == file.name
            data = file.read(_BLOCK)
            before, newline, after = data.rpartition(b"\n")
            if newline:
                yield b"".join((*rest, before)).split(b"\n")
                rest.clear()
            if data:
                rest.append(after)
                delay_s = _SHORTEST_POLL_S
                continue
            if os.fstat(file.fileno()).st_size < file.tell():  # the node has rotated the log
                file.seek(0)
                rest.clear()
                continue
            if not runs or subscription.closed:
                if any(rest):
                    yield [b"".join(rest)]
                return
            try:
                async with asyncio.timeout(delay_s):
                    await subscription.batch()
            except TimeoutError:
                delay_s = min(delay_s * 2, _LONGEST_POLL_S)
    finally:
        history.unsubscribe(subscription)


def _formatted(lines: Iterable[bytes], options: LogOptions) -> Iterator[bytes]:
    start = options.since.encode()
    for line in lines:
        moment, _, rest = line.partition(b" ")
        _, _, rest = rest.partition(b" ")
        tag, _, text = rest.partition(b" ")
        if moment[:len(start)] < start:
            continue
        yield (moment + b" " + text if options.timestamps else text) + (b"" if tag == b"P" else b"\n")


def _seek_last(file: BinaryIO, lines: int) -> None:
    """Move to the start of the last `lines` lines."""
    end = position = file.seek(0, os.SEEK_END)
    wanted = lines + 1  # the newline before the first of these lines
    if end:
        file.seek(end - 1)
        wanted -= file.read(1) != b"\n"
    while position > 0:
        start = max(position - _BLOCK, 0)
        file.seek(start)
        block = file.read(position - start)
        found = block.count(b"\n")
        if found >= wanted:
            for _ in range(found - wanted + 1):
                block = block[block.index(b"\n") + 1:]
            file.seek(position - len(block))
            return
        wanted, position = wanted - found, start
    file.seek(0)
