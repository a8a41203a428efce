"""The node agent's side of the runtime: start, signal and await processes over the unix socket."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kserve_nb.clusters.embedded.node.protocol import Process, Task

log = logging.getLogger(__name__)
RETRY_FIRST_S, RETRY_MOST_S = 0.02, 0.5
LINE_BYTES = 1 << 24


class Running:
    """A process of the runtime, and what to await of it."""

    def __init__(self, process: Process):
        self.process = process
        self.listening, self.ended = asyncio.Event(), asyncio.Event()
        self.lost = False  # the runtime died, and the process with it
        self.update(process)

    def update(self, process: Process) -> None:
        self.process = process
        if process.address:
            self.listening.set()
        if process.finished is not None:
            self.ended.set()

    def lose(self) -> None:
        self.lost = not self.ended.is_set()
        self.ended.set()


class Runtime:
    """A connection to the runtime that is made again whenever the runtime was started again.

    `left` is called with the id of each abandoned process once it has ended.
    """

    def __init__(self, path: Path, left: Callable[[str], None]):
        self._path, self._left = path, left
        self._running: dict[str, Running] = {}
        self._started: dict[str, asyncio.Future[Running]] = {}
        self._abandoned: set[str] = set()
        self._writer: asyncio.StreamWriter | None = None
        self._connected, self._known = asyncio.Event(), asyncio.Event()

    async def run(self) -> None:
        """Stay connected, for ever."""
        while True:
            reader, self._writer = await self._connect()
            try:
                self._send({"do": "list"})
                while line := await reader.readline():
                    self._hear(json.loads(line))
            except ConnectionError:
                pass
            finally:
                self._writer.close()
                self._connected.clear()
            log.warning("the runtime has ended, and with it all pods' processes; waiting for the next")
            self._lose_all()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        delay_s = RETRY_FIRST_S
        while True:
            try:
                return await asyncio.open_unix_connection(str(self._path), limit=LINE_BYTES)
            except OSError:
                self._known.set()
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 1.5, RETRY_MOST_S)

    def _send(self, order: dict[str, Any]) -> None:
        assert self._writer is not None
        self._writer.write(json.dumps(order).encode() + b"\n")

    def _hear(self, message: dict[str, Any]) -> None:
        for process in message.get("processes", []):
            self._update(Process(**process))
        if "processes" in message:
            self._connected.set()
            self._known.set()
        if "process" in message:
            self._update(Process(**message["process"]))

    def _update(self, process: Process) -> None:
        running = self._running.get(process.id)
        if running is None:
            running = self._running[process.id] = Running(process)
        else:
            running.update(process)
        waiting = self._started.pop(process.id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(running)
        if process.id in self._abandoned:
            self._end_abandoned(process)

    def _end_abandoned(self, process: Process) -> None:
        if process.finished is None:
            self._send({"do": "signal", "id": process.id, "signal": signal.SIGKILL})
        else:
            self._abandoned.discard(process.id)
            self.forget(process.id)
            self._left(process.id)

    def _lose_all(self) -> None:
        lost, self._running = self._running, {}
        self._abandoned = set()
        for running in lost.values():
            running.lose()
        for waiting in self._started.values():
            if not waiting.done():
                waiting.set_exception(ConnectionResetError())
        self._started = {}

    async def known(self) -> None:
        """Wait until it is known what runs: the runtime has said so, or there is none yet and so nothing runs."""
        await self._known.wait()

    def find(self, id_: str) -> Running | None:
        """What runs, or has ended, under that id."""
        return self._running.get(id_)

    def ids(self) -> list[str]:
        """The ids of all that the runtime knows."""
        return list(self._running)

    async def start(self, task: Task) -> Running:
        """Have a task run; returns when its process is there. Waits for a runtime, however long that takes."""
        while True:
            await self._connected.wait()
            future: asyncio.Future[Running] = asyncio.get_running_loop().create_future()
            self._started[task.id] = future
            self._send({"do": "start", "task": asdict(task)})
            try:
                return await future
            except ConnectionResetError:
                continue
            except asyncio.CancelledError:
                self.abandon(task.id)
                raise

    def abandon(self, id_: str) -> None:
        """Kill a process that nobody awaits, whenever it comes up."""
        self._abandoned.add(id_)
        running = self._running.get(id_)
        if running is not None:
            self._update(running.process)

    def kill(self, id_: str, number: int) -> None:
        """Send a signal to a process, if it still runs."""
        if self._connected.is_set():
            self._send({"do": "signal", "id": id_, "signal": number})

    def forget(self, id_: str) -> None:
        """Nobody will ask for this ended process again."""
        self._running.pop(id_, None)
        if self._connected.is_set():
            self._send({"do": "forget", "id": id_})
