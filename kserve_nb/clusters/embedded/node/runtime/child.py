"""A container's process: a fork of the zygote that runs one task and exits."""

from __future__ import annotations

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

# Set before numpy is imported. Forking is safe only while a process has one thread, and each pod has about one core.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

from kserve_nb.clusters.embedded.node.container_logs import LogStream  # noqa: E402
from kserve_nb.clusters.embedded.node.protocol import Task  # noqa: E402
from kserve_nb.clusters.embedded.node.runtime import sandbox  # noqa: E402
from kserve_nb.clusters.embedded.node.runtime.deferred_imports import deferred  # noqa: E402
from kserve_nb.clusters.embedded.node.runtime.omit import omit  # noqa: E402
from kserve_nb.clusters.embedded.supervision.processes import end_with_parent  # noqa: E402

# The part of this machine's environment that a process needs; everything else in its environment is the container's.
# The last one marks the processes of a cluster, so that `kserve-nb down` finds them.
_INHERITED = ("PATH", "LANG", "KSERVE_NB_CLUSTER_ID")
_DOWNLOADS = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE",
              "REQUESTS_CA_BUNDLE", "KSERVE_NB_LOCAL_URLS")
# What a process writes into its pipe: that it accepts connections, or that it has exceeded its memory limit.
LISTENING, OUT_OF_MEMORY = b"listening", b"out of memory"
SANDBOX_FAILED = 128
_OWN_CODE = str(Path(__file__).parents[1])
MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024
# Packages that a model server imports but hardly ever uses, and others that it never uses.
_DEFERRED = ("pandas", "scipy.stats", "scipy.integrate", "scipy.interpolate", "scipy.optimize",
             "scipy.optimize._linesearch", "scipy.spatial", "scipy.special", "scipy.ndimage", "scipy.fft", "numpy.f2py",
             "sklearn.model_selection", "narwhals", "narwhals.stable", "narwhals.stable.v2",
             "fastapi.openapi.models", "fastapi.security.oauth2", "grpc", "httpx", "requests")
_OMITTED = ("kubernetes", "kserve.api", "kserve.api_client", "kserve.configuration", "kserve.models",
            "kserve.inference_client", "kserve.protocol.grpc.server", "kserve.protocol.grpc.grpc_predict_v2_pb2_grpc",
            "rich", "uvicorn.supervisors")


def preload() -> None:
    """Import everything that a container needs, so that a fork of this process has it already.

    Garbage collection is off meanwhile: imports leave little garbage, and collecting takes a sixth of their time.
    """
    gc.disable()
    omit(*_OMITTED)
    with deferred(*_DEFERRED):
        import sklearn.svm  # noqa: F401
        import uvicorn.lifespan.on
        import uvicorn.protocols.http.auto  # noqa: F401
        import uvloop  # noqa: F401

        from kserve_nb.clusters.embedded.node.runtime import (
            kserve_server,  # noqa: F401
            storage,  # noqa: F401
        )


def run_container(task: Task, parent: int, pipe: int, socket_file: Path) -> None:
    """Run the task in this process, and exit.

    Writes `LISTENING` into the pipe once it listens on the socket file. A model that exceeds its container's memory
    limit ends the process as the kernel would.
    """
    end_with_parent(signal.SIGKILL, parent)
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    try:
        listener = _bind(socket_file) if task.role == "server" else None
        streams = _redirect_output(Path(task.log))
        Path(task.root, "tmp").mkdir(exist_ok=True)
    except OSError:  # the pod was removed before its container started
        os._exit(1)
    code = _run_restricted(task, pipe, listener)
    for stream in streams:
        stream.finish()
    os._exit(code)


def _bind(socket_file: Path) -> socket.socket:
    """Bind the server's socket, which the sandbox no longer permits later."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(socket_file))
    socket_file.chmod(0o600)
    return listener


def _redirect_output(log: Path) -> tuple[LogStream, LogStream]:
    handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for old, new in ((null, 0), (handle, 1), (handle, 2)):
        os.dup2(old, new)
    os.close(null)
    streams = LogStream(handle), LogStream(handle)
    sys.stdin, sys.stdout, sys.stderr = io.StringIO(), *streams
    return streams


def _run_restricted(task: Task, pipe: int, listener: socket.socket | None) -> int:
    try:
        sandbox.enter(task)
    except OSError as error:
        sys.stderr.write(f"Cannot enter the sandbox: {error}. To run models with your own rights, start the cluster "
                         f"with {sandbox.SWITCH}=off.\n")
        return SANDBOX_FAILED
    _set_environment(task)
    try:
        return _run(task, pipe, listener)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException as error:
        sys.stderr.write(_traceback(error, task.root))
        return 1


def _set_environment(task: Task) -> None:
    names = _INHERITED + (_DOWNLOADS if task.role == "storage-initializer" else ())
    inherited = {name: os.environ[name] for name in names if name in os.environ}
    os.environ.clear()
    os.environ.update({**inherited, "HOME": task.root, "TMPDIR": str(Path(task.root, "tmp")), **task.env, "TZ": "UTC"})
    time.tzset()
    os.chdir(task.root)
    sys.argv = [task.role, *task.args]
    gc.enable()


def _run(task: Task, pipe: int, listener: socket.socket | None) -> int:
    from kserve_nb.clusters.embedded.node.runtime import kserve_server, storage

    if listener is None:
        return storage.run(task.args, Path(task.root))
    return kserve_server.run(task.args, Path(task.root), listener, _Reports(task, pipe))


class _Reports:
    """The reports that a server sends to the zygote through its pipe."""

    def __init__(self, task: Task, pipe: int):
        self._memory_bytes, self._pipe = task.memory_bytes, pipe

    def loaded(self) -> None:
        """Called when the model is in memory: end the process if it exceeds its memory limit."""
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MAXRSS_UNIT
        if self._memory_bytes and used > self._memory_bytes:
            self.out_of_memory()

    def listening(self) -> None:
        """Report that the server accepts connections."""
        os.write(self._pipe, LISTENING)

    def out_of_memory(self) -> None:
        """Called when memory cannot be allocated: end the process as the kernel would."""
        os.write(self._pipe, OUT_OF_MEMORY)
        os.kill(os.getpid(), signal.SIGKILL)


def _traceback(error: BaseException, root: str) -> str:
    """Format an error as a container logs it: without this project's frames, and with the container's paths."""
    found = traceback.TracebackException.from_exception(error)
    found.stack = traceback.StackSummary.from_list(
        [frame for frame in found.stack if not frame.filename.startswith(_OWN_CODE)])
    return "".join(found.format()).replace(root, "")
