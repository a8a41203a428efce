"""Log files of containers, in the CRI format: `2026-11-23T09:14:51.123456789Z stdout F text`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

from kserve_nb.clusters.embedded.api.store.watch_history import History
from kserve_nb.clusters.embedded.kinds import POD, SANDBOX
from kserve_nb.clusters.embedded.objects import StatusError

_BLOCK = 64 * 1024
_SOONEST_S, _LATEST_S = 0.1, 1.0  # between two looks at a file that somebody follows: shorter while it grows


@dataclass(frozen=True)
class Wish:
    """Which part of a log is wanted, and how."""

    follow: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    since: str = ""  # RFC 3339, UTC; empty: from the beginning


def since(seconds: int | None, moment: str) -> str:
    """Where to begin, from `sinceSeconds` or `sinceTime`. Raises StatusError 400."""
    if seconds is not None:
        begin = datetime.now(UTC) - timedelta(seconds=min(max(seconds, 0), 10**9))
    elif moment:
        try:
            begin = datetime.fromisoformat(moment).astimezone(UTC)
        except (ValueError, OverflowError):
            raise StatusError(400, "BadRequest", f"sinceTime is no RFC 3339 time: {moment}") from None
    else:
        return ""
    return begin.strftime("%Y-%m-%dT%H:%M:%S.%f")


def find(path: str) -> BinaryIO:
    """The log, opened: what can fail fails before the first byte of an answer. Raises StatusError 400."""
    try:
        return open(path, "rb")
    except OSError as error:
        raise StatusError(400, "BadRequest", f"the log file cannot be read: {error.strerror}: {path}") from None


async def read(file: BinaryIO, wish: Wish, current: Callable[[], str | None], history: History) -> AsyncIterator[bytes]:
    """The wanted part of a log; while following, what is written until the container ends.

    `current` tells the path of the container's log as long as it runs.
    """
    left = wish.limit_bytes if wish.limit_bytes and wish.limit_bytes > 0 else None
    if wish.tail_lines is not None and wish.tail_lines >= 0:
        _seek_last(file, wish.tail_lines)
    async for lines in _blocks(file, wish.follow, current, history):
        text = b"".join(_shown(lines, wish))[:left]
        if text:
            yield text
        if left is not None:
            left -= len(text)
            if left <= 0:
                return


async def _blocks(file: BinaryIO, follow: bool, current: Callable[[], str | None],
                  history: History) -> AsyncIterator[list[bytes]]:
    """Whole lines as they come."""
    subscription = history.subscribe([SANDBOX, POD])
    rest, delay_s = b"", _SOONEST_S
    try:
        while True:
            runs = follow and current() == file.name
            data = file.read(_BLOCK)
            *lines, rest = (rest + data).split(b"\n")
            if lines:
                yield lines
            if data:
                delay_s = _SOONEST_S
                continue
            if not runs or subscription.closed:
                if rest:
                    yield [rest]
                return
            try:
                async with asyncio.timeout(delay_s):
                    await subscription.batch()
            except TimeoutError:
                delay_s = min(delay_s * 2, _LATEST_S)
    finally:
        history.unsubscribe(subscription)


def _shown(lines: Iterable[bytes], wish: Wish) -> Iterator[bytes]:
    begin = wish.since.encode()
    for line in lines:
        moment, _, rest = line.partition(b" ")
        _, _, rest = rest.partition(b" ")
        tag, _, text = rest.partition(b" ")
        if moment[:len(begin)] < begin:
            continue
        yield (moment + b" " + text if wish.timestamps else text) + (b"" if tag == b"P" else b"\n")


def _seek_last(file: BinaryIO, lines: int) -> None:
    """Go to where the last so many lines begin."""
    end = position = file.seek(0, os.SEEK_END)
    wanted = lines + 1  # the newline that ends the line before them
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
