"""Starts a JupyterLab on a copy of the notebooks, and a Chromium, for tests, pictures and measurements."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from kserve_nb import cli
from kserve_nb.clusters.ports import free_ports
from kserve_nb.runner.course import copy_course, find_course
from tests.browser.jupyter import Jupyter, until

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
MISSING = "needs a Chromium. Install one: .venv/bin/playwright install --with-deps chromium"
ON_A_FAKE = """
from pathlib import Path
from kserve_nb import PodTable, TrafficSlider
from kserve_nb.access.api_client import Client
from kserve_nb.access.ingress import Ingress
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.values.cluster import Cluster
from kserve_nb.widgets import StatusLine
rollout = Rollout(Client(Cluster(Path({kubeconfig!r}), "127.0.0.1:9")), Ingress("127.0.0.1:9"))
"""  # the first cell of a notebook on a FakeApi
FLAGS = ("--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu")


class NoChromiumError(RuntimeError):
    """No Chromium was found; the message says how to install one."""


@contextmanager
def chromium(playwright: Any) -> Iterator[Any]:
    """The path of the machine's Chromium, or of Playwright's. Raises NoChromiumError if there is neither."""
    own = playwright.chromium.executable_path
    found = next(filter(None, map(shutil.which, NAMES)), own if Path(own).exists() else None)
    if found is None:
        raise NoChromiumError(MISSING)
    browser = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
    try:
        yield browser
    finally:
        browser.close()


@contextmanager
def jupyterlab(folder: Path, cluster: str, *options: str, prefix: str = "") -> Iterator[Jupyter]:
    """Start a Jupyter server with new settings below `folder`. Its kernels use the cluster of that name.

    With a prefix such as `/user/alice`, all its addresses begin with it, as behind JupyterHub's proxy.
    """
    served = Jupyter(folder / "notebooks", free_ports(1)[0], prefix)
    copy_course(find_course(), served.folder)
    private = {f"JUPYTER_{name}_DIR": str(folder / name) for name in ("DATA", "CONFIG", "RUNTIME")}
    private |= {f"JUPYTERLAB_{name}_DIR": str(folder / name) for name in ("SETTINGS", "WORKSPACES")}
    settings = Path(cli.__file__).with_name("lab_settings")
    with (folder / "log").open("wb") as log:
        process = psutil.Popen(
            [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1",
             f"--ServerApp.root_dir={served.folder}", f"--ServerApp.port={served.port}", "--ServerApp.port_retries=0",
             f"--ServerApp.base_url={prefix}/",
             f"--IdentityProvider.token={served.token}", f"--LabApp.app_settings_dir={settings}", *options],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            env={**os.environ, **private, "KSERVE_NB_NAME": cluster})
    try:
        until(served.answers, lambda: (folder / "log").read_text(errors="replace"))
        yield served
    finally:
        ending = [process, *process.children(recursive=True)]
        served.shut_down()
        for left in psutil.wait_procs(ending, timeout=15)[1]:
            left.kill()
