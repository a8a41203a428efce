"""The life of a forked child: from a copy of the zygote to one container's process."""

from __future__ import annotations

import ctypes
import gc
import io
import os
import resource
import signal
import socket
import sys
import time
import traceback
from pathlib import Path

# Before anything imports numpy: a fork is only safe from one thread, and each pod has about one core.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

from kserve_nb.clusters.embedded.node.container_logs import LogStream  # noqa: E402
from kserve_nb.clusters.embedded.node.protocol import Task  # noqa: E402
from kserve_nb.clusters.embedded.node.runtime.omit import omit  # noqa: E402

# What a process needs of this machine; all else in its environment is the container's.
_HOST_NAMES = ("PATH", "HOME", "LANG", "TMPDIR", "XDG_CACHE_HOME", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
               "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
# What a process writes into its pipe: that it accepts connections, or that it is over its memory limit.
LISTENING, OUT_OF_MEMORY = b"listening", b"out of memory"
_OURS = str(Path(__file__).parents[1])
MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def preload() -> None:
    """Import all that a container needs, so that a fork of this process has it at once."""
    omit("kubernetes")
    import sklearn.svm  # noqa: F401
    import uvicorn.lifespan.on
    import uvicorn.protocols.http.auto  # noqa: F401
    import uvloop  # noqa: F401

    from kserve_nb.clusters.embedded.node.runtime import (
        kserve_server,  # noqa: F401
        storage,  # noqa: F401
    )


def end_with_parent(number: signal.Signals) -> None:
    """Ask the kernel to send that signal when the parent dies, even by kill -9 (Linux alone can)."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, number)


def become(task: Task, parent: int, pipe: int, socket_file: Path) -> None:
    """Run the task in this process, and exit. Writes `LISTENING` into the pipe once it listens on the socket file.

    A container whose model needs more than its memory limit is killed once it has loaded it, as the kernel would.
    """
    end_with_parent(signal.SIGKILL)
    if os.getppid() != parent:  # it died before we could ask
        os._exit(1)
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    try:
        listener = _bind(socket_file) if task.role == "server" else None
        _set_environment(task)
        streams = _set_output(Path(task.log))
    except OSError:  # the pod was removed before it began
        os._exit(1)
    code = _run(task, pipe, listener)
    for stream in streams:
        stream.finish()
    os._exit(code)


def _bind(socket_file: Path) -> socket.socket:
    """Bind the server's socket while the path is still valid: the process changes its folder afterwards."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(socket_file))
    socket_file.chmod(0o600)
    return listener


def _set_environment(task: Task) -> None:
    host = {name: os.environ[name] for name in _HOST_NAMES if name in os.environ}
    os.environ.clear()
    os.environ.update({**host, **task.env, "TZ": "UTC"})
    time.tzset()
    os.chdir(task.root)
    sys.argv = [task.role, *task.args]
    gc.enable()


def _set_output(log: Path) -> tuple[LogStream, LogStream]:
    handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    null = os.open(os.devnull, os.O_RDONLY)
    for old, new in ((null, 0), (handle, 1), (handle, 2)):
        os.dup2(old, new)
    os.close(null)
    streams = LogStream(handle), LogStream(handle)
    sys.stdin, sys.stdout, sys.stderr = io.StringIO(), *streams
    return streams


def _run(task: Task, pipe: int, listener: socket.socket | None) -> int:
    from kserve_nb.clusters.embedded.node.runtime import kserve_server, storage

    def loaded() -> None:
        if task.memory_bytes and resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MAXRSS_UNIT > task.memory_bytes:
            os.write(pipe, OUT_OF_MEMORY)
            os.kill(os.getpid(), signal.SIGKILL)

    def listening() -> None:
        os.write(pipe, LISTENING)
        os.close(pipe)

    try:
        if listener is not None:
            return kserve_server.run(task.args, Path(task.root), listener, loaded, listening)
        return storage.run(task.args, Path(task.root))
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException as error:
        sys.stderr.write(_traceback(error, task.root))
        return 1


def _traceback(error: BaseException, root: str) -> str:
    """What a process ends its log with, as in a container: without frames of ours, and `/` is the container's."""
    found = traceback.TracebackException.from_exception(error)
    found.stack = traceback.StackSummary.from_list(
        [frame for frame in found.stack if not frame.filename.startswith(_OURS)])
    return "".join(found.format()).replace(root, "")
