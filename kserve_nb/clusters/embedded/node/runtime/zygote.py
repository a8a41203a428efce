"""The zygote: imports the model server once and forks each container of each pod from itself.

    python -m kserve_nb.clusters.embedded.node.runtime.zygote --socket PATH

It is told what to do in lines of JSON on a unix socket and answers with lines of JSON (`protocol.py`). It keeps a
table of what runs and what has ended, so that the node agent can come and go. It has one thread, as
only so a fork is safe. When it ends, all that it started ends with it.
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
from kserve_nb.clusters.embedded.node.runtime import child

STOP_S = 2.0  # how long children may take to end on SIGTERM before they are killed
SEND_S = 1.0  # a client that does not read for so long is dropped


class Zygote:
    """The table of processes and the loop that serves it."""

    def __init__(self, path: Path):
        self.table: dict[str, Process] = {}
        self._folder = path.parent
        self._stopping = False
        self._clients: dict[socket.socket, bytes] = {}
        self._pipes: dict[str, int] = {}  # what each child says of itself, by its id
        self._kernel_kills = _kernel_kills()
        self._selector = selectors.DefaultSelector()
        self._listener = self._listen(path)
        self._signals, writer = socket.socketpair()
        self._signals.setblocking(False)
        writer.setblocking(False)
        self._keep = writer
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
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
        """Serve until SIGTERM and return None; or, in a forked child, return what the child has to do."""
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
            self._drop(client)
            return None
        *lines, self._clients[client] = (self._clients[client] + data).split(b"\n")
        for line in lines:
            work = self._obey(client, json.loads(line))
            if work is not None:
                return work
        return None

    def _drop(self, client: socket.socket) -> None:
        if self._clients.pop(client, None) is not None:
            self._selector.unregister(client)
            client.close()

    def _obey(self, client: socket.socket, order: dict[str, object]) -> Callable[[], None] | None:
        match order:
            case {"do": "list"}:
                self._send(client, {"processes": [asdict(p) for p in self.table.values()]})
            case {"do": "start", "task": dict(task)}:
                return self._start(Task(**task))
            case {"do": "signal", "id": str(id_), "signal": int(number)}:
                process = self.table.get(id_)
                if process is not None and process.finished is None:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process.pid, number)
            case {"do": "forget", "id": str(id_)}:
                process = self.table.get(id_)
                if process is not None and process.finished is not None:
                    del self.table[id_]
        return None

    def _send(self, client: socket.socket, message: dict[str, object]) -> None:
        try:
            client.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            self._drop(client)

    def _tell(self, process: Process) -> None:
        for client in list(self._clients):
            self._send(client, {"process": asdict(process)})

    def _start(self, task: Task) -> Callable[[], None] | None:
        if task.id in self.table:
            self._tell(self.table[task.id])
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
            self._tell(self.table[task.id])
            return None
        if pid == 0:
            os.close(reader)
            self._close()
            return lambda: child.become(task, zygote, writer, socket_file)
        os.close(writer)
        process = self.table[task.id] = Process(task.id, pid, time.time())
        os.set_blocking(reader, False)
        self._pipes[task.id] = reader
        self._selector.register(reader, selectors.EVENT_READ, lambda: self._hear(process))
        self._tell(process)
        return None

    def _close(self) -> None:
        """In a child: let go of all that is the zygote's."""
        signal.set_wakeup_fd(-1)
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, int):
                os.close(key.fileobj)
            else:
                key.fileobj.close()  # type: ignore[attr-defined]  # a socket
        self._keep.close()
        self._selector.close()

    def _hear(self, process: Process) -> None:
        """A child wrote its address, or that it is out of memory, or closed the pipe by ending."""
        reader = self._pipes.pop(process.id, None)
        if reader is None:
            return
        self._selector.unregister(reader)
        with contextlib.suppress(BlockingIOError), open(reader, "rb", buffering=0) as pipe:
            said = pipe.read(100)
            if said == child.OUT_OF_MEMORY:
                process.out_of_memory = True
            elif said == child.LISTENING:
                process.address = of_socket(self._socket_file(process.id))
                self._tell(process)

    def _socket_file(self, id_: str) -> Path:
        """Where the server of a task listens: beside the runtime's own socket, under a short name."""
        return self._folder / f"pod-{hashlib.sha256(id_.encode()).hexdigest()[:16]}.sock"

    def _on_signal(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._signals.recv(4096)
        self._reap()

    def _reap(self) -> None:
        for process in self._alive():
            pid, status = os.waitpid(process.pid, os.WNOHANG)
            if pid:
                self._hear(process)
                self._note_end(process, os.waitstatus_to_exitcode(status))
                self._tell(process)

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
        """Ask all children to end, then kill those that have not."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            for process in self._alive():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, number)
            deadline = time.monotonic() + STOP_S
            while self._alive() and (left_s := deadline - time.monotonic()) > 0:
                select.select([self._signals], [], [], left_s)
                self._on_signal()

    def _alive(self) -> list[Process]:
        return [p for p in self.table.values() if p.finished is None]


def _kernel_kills() -> int:
    """How many processes the kernel has killed on this machine because memory ran out (Linux alone tells)."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", type=Path, required=True)
    path = parser.parse_args().socket
    child.end_with_parent(signal.SIGTERM)
    child.preload()
    gc.collect()
    gc.freeze()  # a collection in a child would copy the pages that all share
    work = Zygote(path).serve()
    if work is not None:
        work()


if __name__ == "__main__":
    main()
