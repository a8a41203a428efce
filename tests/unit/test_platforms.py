"""The package on other systems: it can be imported and attach to a cluster without the modules and files of Linux."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kserve_nb.clusters.backends import embedded_backend
from kserve_nb.clusters.state import ClusterError
from kserve_nb.magics import kubectl
from tests.fake_api import FakeApi

ROOT = Path(__file__).parents[2]
# The packages that kserve_nb uses support these systems: they are imported first, for this system. Then kserve_nb is
# imported anew, where what Linux or POSIX alone has is hidden.
HIDE = """
import importlib, os, pkgutil, signal, sys
import kserve_nb
names = [found.name for found in pkgutil.walk_packages(kserve_nb.__path__, "kserve_nb.")
         if not found.name.startswith("kserve_nb.clusters.embedded.") and found.name != "kserve_nb.cli.jupyter_lab"]
for name in [*names, "kserve_nb.clusters.embedded.server"]:
    importlib.import_module(name)
for name in [name for name in sys.modules if name.partition(".")[0] == "kserve_nb"]:
    del sys.modules[name]
for name in ("envoy", "fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty", "uvloop"):
    sys.modules[name] = None
for module, hidden in ((os, "O_PATH chown fork forkpty geteuid getpgid getuid killpg memfd_create nice pidfd_open "
                            "sched_getaffinity setsid statvfs sysconf uname"),
                       (signal, "SIGALRM SIGCHLD SIGHUP SIGKILL SIGSTOP SIGUSR1 SIGUSR2 pidfd_send_signal")):
    for name in hidden.split():
        if hasattr(module, name):
            delattr(module, name)
sys.platform = sys.argv[1]
"""
IMPORT_AND_ATTACH = HIDE + """
for name in names:
    importlib.import_module(name)
import kserve_nb
assert all(getattr(kserve_nb, name) is not None for name in kserve_nb.__all__)
lab = kserve_nb.connect("attach", kubeconfig=sys.argv[2], ingress="127.0.0.1:9")
print(len(names) > 200, lab.rollout().status().requested_percent)
"""

def run(code: str, folder: Path, *argv: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
    done = subprocess.run([sys.executable, "-c", code, *argv], cwd=folder, capture_output=True, text=True, timeout=120,
                          env={**environment, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(folder / "state")})
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow
@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_without_linux_it_is_imported_and_attaches(api: FakeApi, tmp_path: Path, system: str) -> None:
    api.load("02-canary-10")

    assert run(IMPORT_AND_ATTACH, tmp_path, system, str(api.kubeconfig)) == "True 10"


def test_where_envoy_is_installed_the_embedded_cluster_can_run(monkeypatch: pytest.MonkeyPatch) -> None:
    embedded_backend._check_platform()

    monkeypatch.setattr(embedded_backend.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ClusterError, match="kserve-nb up --cluster kind"):
        embedded_backend._check_platform()


def test_a_kubectl_that_follows_is_read_by_threads_where_pipes_cannot_be_selected() -> None:
    with subprocess.Popen([sys.executable, "-c", "import sys; print('out'); print('err', file=sys.stderr)"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        found = list(kubectl._chunks_by_threads([process.stdout, process.stderr]))
        texts = [b"".join(data for stream, data in found if stream is each)
                 for each in (process.stdout, process.stderr)]

    assert texts == [b"out\n", b"err\n"]
    assert [data for _, data in found].count(b"") == 2
