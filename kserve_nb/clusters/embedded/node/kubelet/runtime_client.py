"""The kubelet's connection to the runtime: starts, signals and awaits processes."""

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
RETRY_FIRST_S, RETRY_MOST_S = 0.02, 0.1  # the first pod of a new cluster waits for the connection
LINE_BYTES = 1 << 24


class TaskProcess:
    """The process of a task, with events for what can be awaited of it."""

    def __init__(self, process: Process):
        self.process = process
        self.listening, self.ended = asyncio.Event(), asyncio.Event()
        self.lost = False  # the runtime ended, and the process with it
        self.update(process)

    def update(self, process: Process) -> None:
        self.process = process
        if process.address:
            self.listening.set()
        if process.finished is not None:
            self.ended.set()

    def lose(self) -> None:
        """Mark the process as lost, because the runtime has ended."""
        self.lost = not self.ended.is_set()
        self.ended.set()


class RuntimeClient:
    """A connection to the runtime, reopened whenever the runtime has been restarted.

    Args:
        path: the runtime's socket file.
        abandoned_ended: called with the id of each abandoned process once it has ended.
    """

    def __init__(self, path: Path, abandoned_ended: Callable[[str], None]):
        self._path, self._abandoned_ended = path, abandoned_ended
        self._processes: dict[str, TaskProcess] = {}
        self._starting: dict[str, asyncio.Future[TaskProcess]] = {}
        self._abandoned: set[str] = set()
        self._writer: asyncio.StreamWriter | None = None
        self._connected, self._listed = asyncio.Event(), asyncio.Event()
        self.sandbox = ""  # how far the runtime separates pods from the user's files; empty until it is connected

    @property
    def is_connected(self) -> bool:
        """Whether the runtime responds."""
        return self._connected.is_set()

    async def run(self) -> None:
        """Stay connected. Never returns."""
        while True:
            reader, self._writer = await self._connect()
            try:
                self._send({"action": "list"})
                while line := await reader.readline():
                    self._receive(json.loads(line))
            except ConnectionError:
                pass
            finally:
                self._writer.close()
                self._connected.clear()
            log.warning("the runtime has ended, and with it the processes of all pods; waiting for its restart")
            self._lose_all()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        delay_s = RETRY_FIRST_S
        while True:
            try:
                return await asyncio.open_unix_connection(str(self._path), limit=LINE_BYTES)
            except OSError:
                self._listed.set()
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 1.5, RETRY_MOST_S)

    def _send(self, request: dict[str, Any]) -> None:
        assert self._writer is not None
        self._writer.write(json.dumps(request).encode() + b"\n")

    def _receive(self, message: dict[str, Any]) -> None:
        for process in message.get("processes", []):
            self._update(Process(**process))
        if "processes" in message:
            self.sandbox = message.get("sandbox", "")
            self._connected.set()
            self._listed.set()
        if "process" in message:
            self._update(Process(**message["process"]))

    def _update(self, process: Process) -> None:
        known = self._processes.get(process.id)
        if known is None:
            known = self._processes[process.id] = TaskProcess(process)
        else:
            known.update(process)
        starting = self._starting.pop(process.id, None)
        if starting is not None and not starting.done():
            starting.set_result(known)
        if process.id in self._abandoned:
            self._end_abandoned(process)

    def _end_abandoned(self, process: Process) -> None:
        if process.finished is None:
            self._send({"action": "signal", "id": process.id, "signal": signal.SIGKILL})
        else:
            self._abandoned.discard(process.id)
            self.forget(process.id)
            self._abandoned_ended(process.id)

    def _lose_all(self) -> None:
        lost, self._processes = self._processes, {}
        self._abandoned = set()
        for process in lost.values():
            process.lose()
        for starting in self._starting.values():
            if not starting.done():
                starting.set_exception(ConnectionResetError())
        self._starting = {}

    async def wait_for_list(self) -> None:
        """Wait until the running processes are known: the runtime has listed them, or there is no runtime."""
        await self._listed.wait()

    def find(self, id_: str) -> TaskProcess | None:
        """Return the running or ended process of a task."""
        return self._processes.get(id_)

    def ids(self) -> list[str]:
        """Return the ids of all tasks that the runtime has a process for."""
        return list(self._processes)

    async def start(self, task: Task) -> TaskProcess:
        """Start a task, and return when its process exists. Waits as long as there is no runtime."""
        while True:
            await self._connected.wait()
            future: asyncio.Future[TaskProcess] = asyncio.get_running_loop().create_future()
            self._starting[task.id] = future
            self._send({"action": "start", "task": asdict(task)})
            try:
                return await future
            except ConnectionResetError:
                continue
            except asyncio.CancelledError:
                self.abandon(task.id)
                raise

    def abandon(self, id_: str) -> None:
        """Kill the process of a task, as soon as it exists; nothing waits for it any more."""
        self._abandoned.add(id_)
        process = self._processes.get(id_)
        if process is not None:
            self._update(process.process)

    def send_signal(self, id_: str, number: int) -> None:
        """Send a signal to a process, if it still runs."""
        if self._connected.is_set():
            self._send({"action": "signal", "id": id_, "signal": number})

    def forget(self, id_: str) -> None:
        """Remove an ended process from the tables here and in the runtime."""
        self._processes.pop(id_, None)
        if self._connected.is_set():
            self._send({"action": "forget", "id": id_})
