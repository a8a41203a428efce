"""An event loop whose clock jumps to the next timer, so that a test of a time window takes no time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any


class _Selector(selectors.DefaultSelector):
    """A selector that does not wait: it moves the clock instead."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        assert ready or timeout is not None, "nothing is scheduled: the test would wait forever"
        if not ready:
            self.now_s += timeout or 0
        return ready


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now_s


def run_virtually(scene: Coroutine[Any, Any, None]) -> float:
    """Run a coroutine that waits for timers only; return how many seconds it would have taken."""
    loop = _VirtualLoop()
    try:
        loop.run_until_complete(scene)
        return loop.time()
    finally:
        loop.close()
