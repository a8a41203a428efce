"""One process of a cluster under the supervisor: started, watched, restarted with back-off, and stopped."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from kserve_nb.clusters.embedded.supervision.health import PartHealth, PartState, last_line
from kserve_nb.clusters.embedded.supervision.processes import end_with_parent

log = logging.getLogger("supervisor")
STOP_S = 5.0  # how long a process may take to end after SIGTERM before it is killed
STEADY_S = 10.0  # a process that ran for so long had started well: the next restart is immediate again
RETRY_FIRST_S, RETRY_MOST_S = 0.05, 5.0
CRASH_LOOP = 3  # so many short runs in a row are a crash loop
POLL_FIRST_S, POLL_MOST_S = 0.02, 0.1


class SupervisedProcess:
    """A process that runs for as long as the cluster does.

    Args:
        name: the part of the cluster: `runtime`, `envoy` or `server`.
        argv: the command line.
        log_file: receives the process's stdout and stderr.
        is_ready: returns whether the process is ready; called repeatedly until it is.
        report: called without arguments whenever `health` has changed.
        pass_fds: file descriptors that the process inherits.
        on_state: called with each new state, before `report`.
    """

    def __init__(self, name: str, argv: list[str], log_file: Path, is_ready: Callable[[], Awaitable[bool]],
                 report: Callable[[], None], pass_fds: tuple[int, ...] = (),
                 on_state: Callable[[PartState], None] = lambda _: None):
        self.health = PartHealth(name, since=time.time())
        self._argv, self._log_file, self._pass_fds = argv, log_file, pass_fds
        self._is_ready, self._report, self._on_state = is_ready, report, on_state
        self._process: subprocess.Popen[bytes] | None = None
        self._short_runs = 0

    @property
    def pid(self) -> int | None:
        """The process id, or None if the process does not run."""
        return None if self._process is None or self._process.returncode is not None else self._process.pid

    async def keep_running(self) -> None:
        """Start the process, and restart it whenever it ends or cannot be started. Never returns."""
        while True:
            began = time.monotonic()
            reason = await self._run_once()
            steady = time.monotonic() - began > STEADY_S
            self._short_runs = 0 if steady else self._short_runs + 1
            delay_s = min(RETRY_FIRST_S * 2 ** self._short_runs, RETRY_MOST_S)
            log.warning("%s: %s; restarting it in %.1f s", self.health.name, reason, delay_s)
            self._set("crash-looping" if self._short_runs >= CRASH_LOOP else "restarting",
                      restarts=self.health.restarts + 1, reason=reason, last_log=last_line(self._log_file))
            await asyncio.sleep(delay_s)

    async def _run_once(self) -> str:
        """Start the process, wait until it ends, and return the reason."""
        try:
            process = self._process = self._start()
        except (OSError, MemoryError, subprocess.SubprocessError) as error:
            return f"cannot be started: {getattr(error, 'strerror', None) or error or type(error).__name__}"
        if self.health.state == "restarting":
            self._set("starting")
        readiness = asyncio.create_task(self._wait_for_readiness())
        try:
            code = await exit_code(process)
        finally:
            readiness.cancel()
        return f"ended by signal {-code}" if code < 0 else f"ended with exit code {code}"

    def _start(self) -> subprocess.Popen[bytes]:
        parent = os.getpid()
        with open(os.open(self._log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab") as out:
            return subprocess.Popen(
                self._argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, pass_fds=self._pass_fds,
                preexec_fn=lambda: end_with_parent(signal.SIGKILL, parent))

    async def _wait_for_readiness(self) -> None:
        pause_s = POLL_FIRST_S
        while not await self._is_ready():
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 1.3, POLL_MOST_S)
        self._set("ready")

    def _set(self, state: PartState, **changes: object) -> None:
        self.health = replace(self.health, state=state, since=time.time(), **changes)  # type: ignore[arg-type]
        self._on_state(state)
        self._report()

    async def stop(self) -> None:
        """Send SIGTERM to the process, and kill it if it does not end within STOP_S seconds."""
        if self._process is not None and self.pid is not None:
            self._process.terminate()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_S):
                    await exit_code(self._process)
            if self.pid is not None:
                self._process.kill()
                await exit_code(self._process)
        self._set("stopped")


async def exit_code(process: subprocess.Popen[bytes]) -> int:
    """Wait until a child process ends, and return its exit code. On Linux this needs neither a thread nor polling."""
    try:
        handle = os.pidfd_open(process.pid)
    except (AttributeError, OSError):  # macOS; or no descriptor is left
        handle = -1
    if handle >= 0:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(handle, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(handle)
            os.close(handle)
    while (code := process.poll()) is None:
        await asyncio.sleep(0.1)
    return code
