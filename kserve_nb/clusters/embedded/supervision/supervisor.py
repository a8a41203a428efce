"""The parent of an embedded cluster's processes: starts them, restarts those that end, and stops them together.

    python -m kserve_nb.clusters.embedded.supervision.supervisor NAME

It holds the API server's listening socket, so that clients wait instead of being refused while the server restarts. It
holds an exclusive lock on `supervisor.lock` in the cluster's state folder for as long as it runs: if another process
can take the lock, no supervisor runs. It never removes the folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

from kserve_nb.clusters import process_identity, state
from kserve_nb.clusters.embedded import log_rotation
from kserve_nb.clusters.embedded.addresses import connect, of_socket
from kserve_nb.clusters.embedded.cluster_settings import settings_of
from kserve_nb.clusters.embedded.gateway.envoy_bootstrap import ACTIVATOR_SOCKET, write_bootstrap
from kserve_nb.clusters.embedded.node.protocol import RUNTIME_SOCKET
from kserve_nb.clusters.embedded.supervision import health
from kserve_nb.clusters.embedded.supervision.health import Health
from kserve_nb.clusters.embedded.supervision.ingress_standby import IngressStandby
from kserve_nb.clusters.embedded.supervision.processes import adopt_orphans, end_orphans
from kserve_nb.clusters.embedded.supervision.supervised_process import SupervisedProcess
from kserve_nb.clusters.embedded.supervision.supervisor_lock import LOCK_FILE, hold_lock
from kserve_nb.clusters.state import ClusterError, Record, RecordError

log = logging.getLogger("supervisor")
CHECK_S = 2.0  # how often the reasons to stop are checked
MANY_FILES = 65536


def allow_many_files() -> None:
    """Raise the soft limit of open files for this process and its children: each held request takes one or two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MANY_FILES if hard == resource.RLIM_INFINITY else min(MANY_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def enter_socket_folder(folder: Path) -> AbstractContextManager[object]:
    """Make the folder of the cluster's socket files the working folder of this process and its children.

    They open the files by relative paths, since the path of a socket is limited to about 100 bytes. Other paths that
    the environment gives relative to the former folder become absolute. Returns what to leave at the end.
    """
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME", "TMPDIR", "HOME", "PYTHONPATH"):
        if os.environ.get(name):
            paths = os.environ[name].split(os.pathsep)
            os.environ[name] = os.pathsep.join(str(Path(path).absolute()) for path in paths)
    sockets = folder / "run"
    sockets.mkdir(mode=0o700, exist_ok=True)
    os.chdir(sockets)
    for file in sockets.iterdir():  # files that a killed supervisor has left
        file.unlink()
    if _has_sockets():
        return contextlib.nullcontext()
    temporary = tempfile.TemporaryDirectory(prefix="kserve-nb-")
    os.chdir(temporary.name)
    return temporary


def _has_sockets() -> bool:
    """Whether the working folder may contain socket files. Shared folders of virtual machines may not."""
    trial = Path("trial.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            listener.bind(str(trial))
        except OSError:
            return False
    trial.unlink()
    return True


class StopConditions:
    """The reasons for which a cluster stops by itself: no use for long, its owner's end, or its folder's removal.

    Durations are counted in seconds that this machine was awake, so that neither a change of the clock nor a
    suspended laptop stops a cluster.
    """

    def __init__(self, record: Record, folder: Path, lock: IO[bytes], now_s: Callable[[], float] = time.monotonic):
        self._record, self._folder, self._lock, self._now_s = record, folder, lock, now_s
        self._last_use = self._use_time()
        self._used_at_s = now_s()

    def check(self) -> str:
        """Return why the cluster has to stop now, or an empty string."""
        if not self._holds_folder():
            return "its state folder was removed or replaced"
        self._record = self._current_record()
        owner = self._record.owner
        if owner is not None and not process_identity.is_running(owner, self._record.owner_started):
            return f"its owner, process {owner}, has ended"
        if self._use_time() != self._last_use:
            self._last_use, self._used_at_s = self._use_time(), self._now_s()
        if self._now_s() - self._used_at_s > self._record.idle_s:
            return f"it was not used for {self._record.idle_s / 3600:.3g} hours"
        return ""

    def _holds_folder(self) -> bool:
        """Whether the folder is still the one whose lock this process holds, and its record the one it was given."""
        try:
            same = os.path.samestat(os.fstat(self._lock.fileno()), (self._folder / LOCK_FILE).stat())
        except OSError:
            return False
        return same and self._current_record().token == self._record.token

    def _current_record(self) -> Record:
        """The record as it is now: a user may have taken the cluster over from its owner.

        A record that was removed or damaged is written again: `status` and a restarted server need it.
        """
        try:
            found = state.read(self._record.name)
        except RecordError as error:
            if error.newer:
                return self._record
            found = None
        if found is None:
            with contextlib.suppress(ClusterError):  # the disk is full: the next check tries again
                state.write(self._record)
        return found or self._record

    def _use_time(self) -> float:
        try:
            return (self._folder / "used").stat().st_mtime
        except OSError:
            return 0.0


class Supervisor:
    """Runs the processes of one cluster until a stop condition holds or `stop` is called.

    Args:
        folder: the cluster's state folder, which receives the health record.
        make_parts: creates the processes; it gets the function that they call when their health has changed.
    """

    def __init__(self, folder: Path, make_parts: Callable[[Callable[[], None]], list[SupervisedProcess]]):
        self._folder = folder
        self._stopped = ""
        self._stop_requested = asyncio.Event()
        self.parts = make_parts(self._report)

    def stop(self) -> None:
        """Stop the cluster; `run` returns when its processes have ended."""
        self._stop_requested.set()

    async def run(self, conditions: StopConditions) -> None:
        """Keep all processes running, then stop them all, and record why."""
        tasks = [asyncio.create_task(part.keep_running()) for part in self.parts]
        self._report()
        try:
            self._stopped = await self._reason_to_stop(conditions)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(*(part.stop() for part in self.parts))
            end_orphans(())
            self._report()
        log.info("the cluster has stopped: %s", self._stopped)

    async def _reason_to_stop(self, conditions: StopConditions) -> str:
        while not (reason := conditions.check()):
            for name in ("supervisor", *(part.health.name for part in self.parts)):
                log_rotation.rotate(self._folder / f"{name}.log", log_rotation.OWN_FILES)
            try:
                await asyncio.wait_for(self._stop_requested.wait(), CHECK_S)
            except TimeoutError:
                continue
            return "it was told to stop"
        return reason

    def _report(self) -> None:
        """Write the health record, and end what an ended process has left behind."""
        if any(part.health.state in ("restarting", "crash-looping") for part in self.parts):
            end_orphans([part.pid for part in self.parts if part.pid is not None])
        try:
            health.write(self._folder, Health(os.getpid(), tuple(part.health for part in self.parts), self._stopped))
        except OSError as error:  # the disk is full, or the folder is gone: keep the processes running
            log.warning("cannot write the health record: %s", error)


def _parts(record: Record, folder: Path, listener: socket.socket,
           report: Callable[[], None]) -> list[SupervisedProcess]:
    """The processes of a cluster, in the order in which they are started."""
    python, module = [sys.executable, "-P", "-m"], "kserve_nb.clusters.embedded"
    standby = IngressStandby(record.ingress)
    return [
        SupervisedProcess("runtime", [*python, f"{module}.node.runtime.zygote", "--socket", RUNTIME_SOCKET],
                          folder / "runtime.log", _accepts(of_socket(Path(RUNTIME_SOCKET))), report),
        SupervisedProcess("envoy", write_bootstrap(folder / "envoy", settings_of(record), Path()),
                          folder / "envoy.log", standby.envoy_is_ready, report, on_state=standby.on_state),
        SupervisedProcess("server", [*python, f"{module}.server", record.name, str(listener.fileno())],
                          folder / "server.log", _accepts(of_socket(Path(ACTIVATOR_SOCKET))), report,
                          (listener.fileno(),)),
    ]


def _accepts(address: str) -> Callable[[], Awaitable[bool]]:
    """Return a check whether the server at an address accepts connections."""
    async def is_ready() -> bool:
        try:
            _, writer = await connect(address)
        except OSError:
            return False
        writer.close()
        return True

    return is_ready


async def supervise(name: str) -> None:
    """Run the named cluster until it is told to stop, its owner ends, or nobody has used it for long."""
    folder = state.folder(name).absolute()
    record = state.read(name)
    if record is None:
        raise ClusterError(f"There is no cluster {name!r}. Start it: kserve-nb up --name {name}")
    with hold_lock(folder) as lock:
        with contextlib.suppress(OSError):  # the disk is full
            (folder / "used").touch()
        sockets = enter_socket_folder(folder)
        adopt_orphans()
        with sockets, socket.create_server(("127.0.0.1", record.api_port), backlog=512) as listener:
            supervisor = Supervisor(folder, lambda report: _parts(record, folder, listener, report))
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, supervisor.stop)
            await supervisor.run(StopConditions(record, folder, lock))


def main() -> None:
    os.umask(0o077)  # files, folders and sockets of the cluster are its owner's alone
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    allow_many_files()
    try:
        asyncio.run(supervise(sys.argv[1]))
    except ClusterError as error:
        sys.exit(f"supervisor: {error}")


if __name__ == "__main__":
    main()
