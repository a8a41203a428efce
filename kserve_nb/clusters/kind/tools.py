"""The programs that create a kind cluster: Docker (or podman, nerdctl), kind and kubectl, run one command at a time."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from kserve_nb.clusters.backend import Notify
from kserve_nb.clusters.state import ClusterError

Done = subprocess.CompletedProcess[str]

RETRY_S = 180.0  # how long a transient failure is retried
PAUSE_S = 2.0  # between two attempts

# Failures that pass without help: webhooks that do not listen or have no certificate yet, CRDs that are not served yet,
# two controllers that wrote at once, and all that an API server answers while it starts. Forbidden is one of those: it
# has not read its RBAC objects yet. On a cluster that kind created, the user is an administrator.
_TRANSIENT = re.compile(
    r"failed calling webhook .*(connection refused|no endpoints available|deadline exceeded|i/o timeout|x509"
    r"|no route to host|not found|EOF)"
    r"|no matches for kind|ensure CRDs are installed first|could not find the requested resource"
    r"|connection to the server .* was refused|connection refused|TLS handshake timeout|connection reset by peer"
    r"|\bEOF\b|http2: client connection lost|context deadline exceeded|i/o timeout"
    r"|Error from server \((Forbidden|InternalError|ServiceUnavailable|Timeout|TooManyRequests)\)"
    r"|an error on the server|currently unable to handle the request|apiserver not ready"
    r"|etcdserver: |the object has been modified",
    re.DOTALL,
)
_DENIED = re.compile(r"admission webhook \"[^\"]*\" denied the request")  # an InternalError, but a final answer


def container_program() -> str:
    """The program that runs kind's node: docker, or what KIND_EXPERIMENTAL_PROVIDER names, as for kind itself."""
    return os.environ.get("KIND_EXPERIMENTAL_PROVIDER") or "docker"


def find(name: str) -> str | None:
    """The program of that name: on PATH, or beside this Python, where the project's own kubectl is."""
    beside = Path(sys.executable).with_name(name)
    return shutil.which(name) or (str(beside) if beside.exists() else None)


def run(*argv: str, stdin: str | None = None, timeout_s: float = 60) -> Done:
    """Run a command to its end. Raises ClusterError if it cannot be run or does not end in time."""
    program = find(argv[0])
    if program is None:
        raise ClusterError(f"Cannot run {argv[0]}: it is not installed, or not on PATH.")
    try:
        return subprocess.run([program, *argv[1:]], input=stdin, capture_output=True, text=True, timeout=timeout_s,
                              check=False)
    except subprocess.TimeoutExpired:
        raise ClusterError(f"`{' '.join(argv)}` has not ended after {timeout_s:.0f} s. "
                           "Run it by hand to see what it waits for.") from None


def run_container_program(*args: str, timeout_s: float = 60) -> Done:
    """Run docker, or the program that replaces it."""
    return run(container_program(), *args, timeout_s=timeout_s)


def last_line(done: Done) -> str:
    """The last line of a command's output, which is where kubectl and kind put the reason of a failure."""
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return lines[-1] if lines else f"exit code {done.returncode}"


def is_transient(message: str) -> bool:
    """Whether a failure of kubectl with this message passes without help."""
    return bool(_TRANSIENT.search(message)) and not _DENIED.search(message)


@dataclass(frozen=True)
class Kubectl:
    """kubectl on one cluster. A failure raises ClusterError with kubectl's own message."""

    kubeconfig: Path
    notify: Notify = lambda _: None

    def __call__(self, *args: str, stdin: str | None = None, timeout_s: float = 60) -> str:
        """Run the command; return its output."""
        done = self.attempt(*args, stdin=stdin, timeout_s=timeout_s)
        if done.returncode:
            raise self._failure(args, done)
        return done.stdout

    def attempt(self, *args: str, stdin: str | None = None, timeout_s: float = 60) -> Done:
        """Run the command; return its outcome, which may be a failure."""
        return run("kubectl", "--kubeconfig", str(self.kubeconfig), *args, stdin=stdin, timeout_s=timeout_s)

    def patiently(self, *args: str, stdin: str | None = None, timeout_s: float = 120) -> str:
        """Run the command, with retries for three minutes if it fails transiently; return its output."""
        deadline = time.monotonic() + RETRY_S
        told = ""
        while (done := self.attempt(*args, stdin=stdin, timeout_s=timeout_s)).returncode:
            if not is_transient(done.stderr) or time.monotonic() > deadline:
                raise self._failure(args, done)
            if last_line(done) != told:
                told = last_line(done)
                self.notify(f"not yet, trying again: {told}")
            time.sleep(PAUSE_S)
        return done.stdout

    def wait_until_ready(self) -> None:
        """Wait until the API server is ready. While it starts it may answer anything: every failure is retried."""
        deadline = time.monotonic() + RETRY_S
        args = ("--request-timeout=10s", "get", "--raw", "/readyz")
        while (done := self.attempt(*args)).returncode:
            if time.monotonic() > deadline:
                raise self._failure(args, done)
            time.sleep(PAUSE_S)

    def apply(self, file: Path) -> None:
        """Apply a manifest on the server's side: the big CRDs do not fit into the annotation of a client-side apply."""
        self.patiently("apply", "--server-side", "--force-conflicts", "-f", str(file), timeout_s=300)

    def apply_text(self, text: str) -> None:
        """Apply a manifest that is not in a file."""
        self.patiently("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=text)

    def _failure(self, args: tuple[str, ...], done: Done) -> ClusterError:
        shown = " ".join(word if len(word) < 120 or word.startswith("/") else "…" for word in args)
        return ClusterError(f"`kubectl {shown}` failed: {last_line(done)}. "
                            "Resolve that, then continue with the same `kserve-nb up`.")
