"""The programs that make a kind cluster: docker, kind and kubectl, run one command at a time."""

from __future__ import annotations

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


RETRY_S = 180.0  # how long what is known to race is tried again
PAUSE_S = 2.0  # between two tries

# What is over by itself: webhooks that do not listen or have no certificate yet, CRDs not yet served, an API server
# that restarts, two controllers that wrote at once.
_RACES = re.compile(
    r"failed calling webhook .*(connection refused|no endpoints available|deadline exceeded|i/o timeout|x509"
    r"|no route to host|not found|EOF)"
    r"|no matches for kind|ensure CRDs are installed first|could not find the requested resource"
    r"|connection to the server .* was refused|TLS handshake timeout|connection reset by peer|unexpected EOF"
    r"|etcdserver: |the object has been modified",
    re.DOTALL,
)


def find(name: str) -> str | None:
    """The program of that name on PATH, or beside this Python, where the project's own kubectl is."""
    beside = Path(sys.executable).with_name(name)
    return shutil.which(name) or (str(beside) if beside.exists() else None)


def run(*argv: str, stdin: str | None = None, timeout_s: float = 60) -> Done:
    """Run a command to its end. Raises ClusterError where it cannot be run, or does not end in time."""
    program = find(argv[0])
    if program is None:
        raise ClusterError(f"{argv[0]} is not installed, or not on PATH.")
    try:
        return subprocess.run([program, *argv[1:]], input=stdin, capture_output=True, text=True, timeout=timeout_s,
                              check=False)
    except subprocess.TimeoutExpired:
        raise ClusterError(f"`{' '.join(argv)}` has not ended after {timeout_s:.0f} s. "
                           "Run it by hand to see what it waits for.") from None


def last_line(done: Done) -> str:
    """The line that says most about a failure: kubectl's and kind's last one."""
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return lines[-1] if lines else f"exit code {done.returncode}"


@dataclass(frozen=True)
class Kubectl:
    """kubectl on one cluster. A failure raises ClusterError with kubectl's own words."""

    kubeconfig: Path
    notify: Notify = lambda _: None

    def __call__(self, *args: str, stdin: str | None = None, timeout_s: float = 60) -> str:
        """What the command prints."""
        done = self.ask(*args, stdin=stdin, timeout_s=timeout_s)
        if done.returncode:
            raise self._refused(args, done)
        return done.stdout

    def ask(self, *args: str, stdin: str | None = None, timeout_s: float = 60) -> Done:
        """The command's outcome, also where it failed."""
        return run("kubectl", "--kubeconfig", str(self.kubeconfig), *args, stdin=stdin, timeout_s=timeout_s)

    def patiently(self, *args: str, stdin: str | None = None, timeout_s: float = 120) -> str:
        """What the command prints; it is tried again for three minutes while it fails of what is over by itself."""
        deadline = time.monotonic() + RETRY_S
        told = ""
        while (done := self.ask(*args, stdin=stdin, timeout_s=timeout_s)).returncode:
            if not _RACES.search(done.stderr) or time.monotonic() > deadline:
                raise self._refused(args, done)
            if last_line(done) != told:
                told = last_line(done)
                self.notify(f"not yet, trying again: {told}")
            time.sleep(PAUSE_S)
        return done.stdout

    def apply(self, file: Path) -> None:
        """Apply a manifest on the server's side: the big CRDs do not fit into the annotation of a client-side apply."""
        self.patiently("apply", "--server-side", "--force-conflicts", "-f", str(file), timeout_s=300)

    def apply_text(self, text: str) -> None:
        """Apply a manifest that is in no file."""
        self.patiently("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=text)

    def _refused(self, args: tuple[str, ...], done: Done) -> ClusterError:
        shown = " ".join(word if len(word) < 120 or word.startswith("/") else "…" for word in args)
        return ClusterError(f"`kubectl {shown}` failed: {last_line(done)}. "
                            "Once that is mended, the same `kserve-nb up` goes on from here.")
