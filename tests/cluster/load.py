"""A load on a model: requests at a steady rate through the ingress, each recorded with its outcome."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp

RATE = 200  # requests a second
MOST = 200_000  # requests of one load
LONGEST_S = 60.0  # for one request; the activator holds it until there is a pod


@dataclass(frozen=True)
class Endpoint:
    """The target of requests: the host of an InferenceService's URL, and its name."""

    host: str
    name: str


@dataclass(frozen=True)
class Shot:
    """One request and its outcome. Times are those of time.monotonic."""

    endpoint: Endpoint
    sent: float
    ended: float
    answer: str  # the predictions as JSON; empty if the request was lost
    trouble: str  # why it was lost; empty if it was not


class Load:
    """Sends the same rows until the context ends, independently of earlier responses (an open loop)."""

    def __init__(self, ingress: str, rows: Sequence[Sequence[float]], endpoint: Endpoint):
        self.endpoint = endpoint  # may be changed while it runs
        self.shots: list[Shot] = []  # in the order in which they ended
        self._ingress, self._body = ingress, {"instances": [list(row) for row in rows]}
        self._sent, self._moved, self._stopped = 0, threading.Condition(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="load", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        """Send no more requests, and wait for the responses of those in flight."""
        self._stopped.set()
        self._thread.join(LONGEST_S + 10)

    @property
    def sent(self) -> int:
        """The number of requests so far."""
        return self._sent

    @property
    def waiting(self) -> int:
        """The number of requests without a response so far."""
        return self._sent - len(self.shots)

    def wait_for(self, count: int, timeout_s: float) -> None:
        """Return once so many requests have been sent in all. Raises TimeoutError."""
        with self._moved:
            if not self._moved.wait_for(lambda: self._sent >= count, timeout_s):
                raise TimeoutError(f"only {self._sent} of {count} requests could be sent within {timeout_s:.0f} s")

    async def _run(self) -> None:
        due, pending = time.monotonic(), set[asyncio.Task[None]]()
        async with aiohttp.ClientSession(f"http://{self._ingress}", trust_env=False,
                                         connector=aiohttp.TCPConnector(limit=0),
                                         timeout=aiohttp.ClientTimeout(LONGEST_S)) as session:
            while not self._stopped.is_set() and self._sent < MOST:
                # Take the time before the request counts: all requests that a test has waited for began earlier.
                shot = self._shoot(session, self.endpoint, time.monotonic())
                pending.add(task := asyncio.ensure_future(shot))
                task.add_done_callback(pending.discard)
                with self._moved:
                    self._sent += 1
                    self._moved.notify_all()
                due = max(due + 1 / RATE, time.monotonic())  # a late request must not cause a burst
                await asyncio.sleep(due - time.monotonic())
            await asyncio.gather(*pending)

    async def _shoot(self, session: aiohttp.ClientSession, endpoint: Endpoint, began: float) -> None:
        answer, trouble = "", ""
        try:
            async with session.post(f"/v1/models/{endpoint.name}:predict", json=self._body,
                                    headers={"Host": endpoint.host}) as answer:
                text = await answer.text()
                if answer.status == 200:
                    answer = json.dumps(json.loads(text)["predictions"])
                else:
                    trouble = f"{answer.status} {text[:200]!r}"
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError) as error:
            trouble = f"{type(error).__name__} {error}"
        self.shots.append(Shot(endpoint, began, time.monotonic(), answer, trouble))
