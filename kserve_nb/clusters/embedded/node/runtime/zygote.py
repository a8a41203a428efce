"""The zygote: imports the model server once, and forks itself for each container of each pod.

    python -m kserve_nb.clusters.embedded.node.runtime.zygote --socket PATH

Requests and notifications are lines of JSON on a socket file (`protocol.py`). The zygote keeps a table of running and
ended processes, so that the kubelet can disconnect and reconnect. It has one thread, since forking is safe only then.
When the zygote ends, everything that it started ends with it.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import hashlib
import json
import os
import select
import selectors
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from kserve_nb.clusters.embedded.addresses import of_socket
from kserve_nb.clusters.embedded.node.protocol import Process, Task
from kserve_nb.clusters.embedded.node.runtime import child, sandbox
from kserve_nb.clusters.embedded.supervision.processes import adopt_orphans, end_orphans, end_with_parent

STOP_S = 2.0  # how long processes may take to end after SIGTERM before they are killed
SEND_S = 1.0  # a client that reads nothing for so long is disconnected


class Zygote:
    """The table of processes, and the event loop that serves it. `path` is the socket file."""

    def __init__(self, path: Path):
        self.table: dict[str, Process] = {}
        self._folder = path.parent
        self._stopping = False
        self._clients: dict[socket.socket, bytes] = {}
        self._pipes: dict[str, int] = {}  # the pipe in which each process reports, by the task's id
        self._kernel_kills = _kernel_kills()
        self._selector = selectors.DefaultSelector()
        self._listener = self._listen(path)
        self._signals, self._signal_writer = socket.socketpair()
        self._signals.setblocking(False)
        self._signal_writer.setblocking(False)
        signal.set_wakeup_fd(self._signal_writer.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        self._selector.register(self._signals, selectors.EVENT_READ, self._on_signal)

    def _listen(self, path: Path) -> socket.socket:
        for old in (path, *path.parent.glob("pod-*.sock")):
            old.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen()
        self._selector.register(listener, selectors.EVENT_READ, self._accept)
        return listener

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def serve(self) -> Callable[[], None] | None:
        """Serve until SIGTERM, then return None. In a forked process, return the task that the process has to run."""
        while not self._stopping:
            for key, _ in self._selector.select():
                work: Callable[[], None] | None = key.data()
                if work is not None:
                    return work
        self._end_all()
        return None

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        client.settimeout(SEND_S)
        self._clients[client] = b""
        self._selector.register(client, selectors.EVENT_READ, lambda: self._read(client))

    def _read(self, client: socket.socket) -> Callable[[], None] | None:
        try:
            data = client.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            self._disconnect(client)
            return None
        *lines, self._clients[client] = (self._clients[client] + data).split(b"\n")
        for line in lines:
            try:
                request = json.loads(line)
            except ValueError:
                self._disconnect(client)
                return None
            work = self._handle(client, request)
            if work is not None:
                return work
        return None

    def _disconnect(self, client: socket.socket) -> None:
        if self._clients.pop(client, None) is not None:
            self._selector.unregister(client)
            client.close()

    def _handle(self, client: socket.socket, request: dict[str, object]) -> Callable[[], None] | None:
        match request:
            case {"action": "list"}:
                self._send(client, {"processes": [asdict(p) for p in self.table.values()], "sandbox": sandbox.level()})
            case {"action": "start", "task": dict(task)}:
                return self._start(Task(**task))
            case {"action": "signal", "id": str(id_), "signal": int(number)}:
                process = self.table.get(id_)
                if process is not None and process.finished is None:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process.pid, number)
            case {"action": "forget", "id": str(id_)}:
                process = self.table.get(id_)
                if process is not None and process.finished is not None:
                    del self.table[id_]
        return None

    def _send(self, client: socket.socket, message: dict[str, object]) -> None:
        try:
            client.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            self._disconnect(client)

    def _notify(self, process: Process) -> None:
        for client in list(self._clients):
            self._send(client, {"process": asdict(process)})

    def _start(self, task: Task) -> Callable[[], None] | None:
        if task.id in self.table:
            self._notify(self.table[task.id])
            return None
        reader, writer = os.pipe()
        zygote, socket_file = os.getpid(), self._socket_file(task.id)
        try:
            pid = os.fork()
        except OSError:
            os.close(reader)
            os.close(writer)
            now = time.time()
            self.table[task.id] = Process(task.id, 0, now, finished=now, exit_code=128)
            self._notify(self.table[task.id])
            return None
        if pid == 0:
            os.close(reader)
            self._close_in_child()
            return lambda: child.run_container(task, zygote, writer, socket_file)
        os.close(writer)
        process = self.table[task.id] = Process(task.id, pid, time.time())
        os.set_blocking(reader, False)
        self._pipes[task.id] = reader
        self._selector.register(reader, selectors.EVENT_READ, lambda: self._read_report(process))
        self._notify(process)
        return None

    def _close_in_child(self) -> None:
        """Close everything that belongs to the zygote."""
        signal.set_wakeup_fd(-1)
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, int):
                os.close(key.fileobj)
            else:
                key.fileobj.close()  # type: ignore[attr-defined]  # a socket
        self._signal_writer.close()
        self._selector.close()

    def _read_report(self, process: Process) -> None:
        """Read what a process reports: it listens, or is out of memory, or has closed its pipe by ending."""
        reader = self._pipes.get(process.id)
        if reader is None:
            return
        try:
            report = os.read(reader, 100)
        except BlockingIOError:
            return
        if child.OUT_OF_MEMORY in report:
            process.out_of_memory = True
        elif report == child.LISTENING:
            process.address = of_socket(self._socket_file(process.id))
            self._notify(process)
        elif not report:
            self._close_pipe(process)

    def _close_pipe(self, process: Process) -> None:
        reader = self._pipes.pop(process.id, None)
        if reader is not None:
            self._selector.unregister(reader)
            os.close(reader)

    def _socket_file(self, id_: str) -> Path:
        """The socket file of a task's server: beside the runtime's own, with a short name."""
        return self._folder / f"pod-{hashlib.sha256(id_.encode()).hexdigest()[:16]}.sock"

    def _on_signal(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._signals.recv(4096)
        self._reap()

    def _reap(self) -> None:
        """Note which containers have ended; adopted orphans may have ended as well."""
        by_pid, ended = {process.pid: process for process in self._running()}, []
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                process = by_pid.get(found[0])
                if process is None:
                    continue
                self._read_report(process)
                self._close_pipe(process)
                self._note_end(process, os.waitstatus_to_exitcode(found[1]))
                self._notify(process)
                ended.append(process)
        if ended:
            self._end_descendants(ended)

    def _end_descendants(self, ended: list[Process]) -> None:
        """Kill everything that an ended container has started: its process group, and what has left the group."""
        for process in ended:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        sessions = {process.pid for process in self._running()}
        end_orphans(sessions, lambda pid: _session(pid) in sessions)

    def _note_end(self, process: Process, code: int) -> None:
        process.finished, process.exit_code = time.time(), code
        self._socket_file(process.id).unlink(missing_ok=True)
        if code < 0:
            process.signal, process.exit_code = -code, 128 - code
        if process.signal == signal.SIGKILL:
            kills = _kernel_kills()
            process.out_of_memory |= kills > self._kernel_kills
            self._kernel_kills = kills

    def _end_all(self) -> None:
        """Send SIGTERM to all processes, then kill those that have not ended, and all that they started."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            for process in self._running():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, number)
            deadline = time.monotonic() + STOP_S
            while self._running() and (left_s := deadline - time.monotonic()) > 0:
                select.select([self._signals], [], [], left_s)
                self._on_signal()
        end_orphans(())

    def _running(self) -> list[Process]:
        return [p for p in self.table.values() if p.finished is None]


def _session(pid: int) -> int:
    """The session of a process: the id of the container that started it, unless it has begun its own."""
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0


def _kernel_kills() -> int:
    """How many processes the kernel has killed on this machine because memory ran out; 0 if it does not tell."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", type=Path, required=True)
    path = parser.parse_args().socket
    end_with_parent(signal.SIGTERM, os.getppid())
    os.umask(0o077)
    adopt_orphans()
    child.preload()
    gc.collect()
    gc.freeze()  # a garbage collection in a forked process would copy the memory that all processes share
    work = Zygote(path).serve()
    if work is not None:
        work()


if __name__ == "__main__":
    main()
