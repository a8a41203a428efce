"""The parent of an embedded cluster's processes: starts them, starts again what dies, and ends them all together.

    python -m kserve_nb.clusters.embedded.supervisor NAME

It holds the API server's listening socket, so that clients wait instead of being refused while the server restarts.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import resource
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from kserve_nb.clusters import processes, state
from kserve_nb.clusters.embedded.gateway.envoy_bootstrap import write_bootstrap
from kserve_nb.clusters.embedded.objects import Settings
from kserve_nb.clusters.state import Record

log = logging.getLogger("supervisor")
STOP_S = 5.0  # how long a child may take to end before it is killed
STEADY_S = 10.0  # a child that lived so long had started well
RETRY_FIRST_S, RETRY_MOST_S = 0.05, 5.0
PR_SET_PDEATHSIG = 1
MANY_FILES = 65536
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def allow_many_files() -> None:
    """Raise the soft limit of open files for this process and its children: each held request takes one or two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MANY_FILES if hard == resource.RLIM_INFINITY else min(MANY_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def settings_of(record: Record) -> Settings:
    """What the parts of the cluster need of its record."""
    host, _, port = record.ingress.rpartition(":")
    return Settings(record.speed, "kourier" if record.gateway == "kourier" else "istio", host, int(port))


def end_with_parent() -> None:
    """Between fork and exec: ask the kernel to end this process when its parent dies, even by kill -9."""
    if _LIBC is not None:
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Child:
    """One process that has to run for as long as the cluster does."""

    def __init__(self, name: str, argv: list[str], log_file: Path, pass_fds: tuple[int, ...] = ()):
        self.name, self.argv, self.log_file, self.pass_fds = name, argv, log_file, pass_fds
        self.process: asyncio.subprocess.Process | None = None

    async def keep(self) -> None:
        """Run the process, and run it again whenever it ends, slower where it ends at once."""
        delay_s = RETRY_FIRST_S
        while True:
            began = time.monotonic()
            with open(self.log_file, "ab") as out:
                self.process = await asyncio.create_subprocess_exec(
                    *self.argv, stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=out,
                    pass_fds=self.pass_fds, preexec_fn=end_with_parent)
            code = await self.process.wait()
            log.warning("%s (pid %s) ended with %s; starting it again", self.name, self.process.pid, code)
            delay_s = RETRY_FIRST_S if time.monotonic() - began > STEADY_S else min(delay_s * 2, RETRY_MOST_S)
            await asyncio.sleep(delay_s)

    async def stop(self) -> None:
        """End the process: asked first, killed after STOP_S seconds."""
        if self.process is None or self.process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), STOP_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()


async def until_idle(used: Path, idle_s: float) -> None:
    """Return once `used` has not been touched for `idle_s` seconds."""
    while (left_s := used.stat().st_mtime + idle_s - time.time()) > 0:
        await asyncio.sleep(left_s)


async def until_process_ends(pid: int, started: str | None) -> None:
    """Return once that process is gone; costs nothing until then where the kernel can tell."""
    if not processes.is_running(pid, started):
        return
    if not hasattr(os, "pidfd_open"):
        while processes.is_running(pid, started):
            await asyncio.sleep(5)
        return
    gone, handle = asyncio.Event(), os.pidfd_open(pid)
    asyncio.get_running_loop().add_reader(handle, gone.set)
    try:
        await gone.wait()
    finally:
        asyncio.get_running_loop().remove_reader(handle)
        os.close(handle)


def children(record: Record, folder: Path, sockets: Path, listener: socket.socket) -> list[Child]:
    """The processes of a cluster, in the order in which they are started."""
    module = "kserve_nb.clusters.embedded"
    runtime_socket = sockets / "runtime.sock"
    envoy = write_bootstrap(folder / "envoy", settings_of(record), record.admin_port)
    server = [sys.executable, "-m", f"{module}.server", record.name, str(listener.fileno()), str(runtime_socket)]
    return [
        Child("runtime", [sys.executable, "-m", f"{module}.node.runtime.zygote", "--socket", str(runtime_socket)],
              folder / "runtime.log"),
        Child("envoy", envoy, folder / "envoy.log"),
        Child("server", server, folder / "server.log", (listener.fileno(),)),
    ]


async def supervise(name: str) -> None:
    """Run the named cluster until it is told to end, its owner ends, or nobody has used it for long."""
    record, folder = state.read(name), state.folder(name)
    if record is None:
        raise state.ClusterError(f"there is no cluster {name!r}: start it with kserve-nb up --name {name}")
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    (folder / "used").touch()
    ends: list[Callable[[], Awaitable[object]]] = [stopped.wait, lambda: until_idle(folder / "used", record.idle_s)]
    if record.owner is not None:
        owner, began = record.owner, record.owner_started
        ends.append(lambda: until_process_ends(owner, began))
    sockets = Path(tempfile.mkdtemp(prefix="kserve-nb-"))  # a state folder's path may be too long for a unix socket
    with socket.create_server(("127.0.0.1", record.api_port), backlog=512) as listener:
        await _run_until(children(record, folder, sockets, listener), ends)
    shutil.rmtree(sockets, ignore_errors=True)


async def _run_until(parts: list[Child], ends: list[Callable[[], Awaitable[object]]]) -> None:
    keepers = [asyncio.ensure_future(part.keep()) for part in parts]
    waits = [asyncio.ensure_future(end()) for end in ends]
    try:
        await asyncio.wait([*keepers, *waits], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in [*keepers, *waits]:
            task.cancel()
        await asyncio.gather(*(part.stop() for part in parts))


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    allow_many_files()
    asyncio.run(supervise(sys.argv[1]))


if __name__ == "__main__":
    main()
