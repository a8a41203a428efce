"""A cluster, a JupyterLab on a copy of the notebooks, and a browser: each ends with this folder's tests.

Not later: while Playwright is there, its event loop runs in the main thread, and other tests start loops of their own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from kserve_nb import cli
from kserve_nb.clusters import state
from kserve_nb.clusters.embedded import lifecycle
from kserve_nb.clusters.state import Record
from tests.browser.jupyter import Jupyter, until

sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright: make venv")

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="package")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        own = playwright.chromium.executable_path
        found = next(filter(None, map(shutil.which, NAMES)), own if Path(own).exists() else None)
        if found is None:
            pytest.skip("needs a Chromium. Install one: .venv/bin/playwright install --with-deps chromium")
        shown = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"])
        yield shown
        shown.close()


@pytest.fixture(scope="package")
def cluster(browser: sync_api.Browser) -> Iterator[Record]:
    record = lifecycle.up(f"browser-{os.getpid()}", owner=os.getpid())
    yield record
    lifecycle.down(state.read(record.name) or record)


@pytest.fixture(scope="package")
def jupyter(cluster: Record, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    folder = tmp_path_factory.mktemp("lab")
    served = Jupyter(folder / "notebooks", lifecycle.free_ports(1)[0])
    shutil.copytree(cli.notebooks_folder(), served.folder)
    private = {f"JUPYTER_{name}_DIR": str(folder / name) for name in ("DATA", "CONFIG", "RUNTIME")}
    private |= {f"JUPYTERLAB_{name}_DIR": str(folder / name) for name in ("SETTINGS", "WORKSPACES")}
    settings = Path(cli.__file__).with_name("lab_settings")
    with (folder / "log").open("wb") as log:
        process = psutil.Popen(
            [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1",
             f"--ServerApp.root_dir={served.folder}", f"--ServerApp.port={served.port}", "--ServerApp.port_retries=0",
             f"--IdentityProvider.token={served.token}", f"--LabApp.app_settings_dir={settings}"],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            env={**os.environ, **private, "KSERVE_NB_NAME": cluster.name})
    until(served.answers, lambda: (folder / "log").read_text(errors="replace"))
    yield served
    ending = [process, *process.children(recursive=True)]
    served.shut_down()
    for left in psutil.wait_procs(ending, timeout=15)[1]:
        left.kill()


@pytest.fixture(scope="package")
def new_page(browser: sync_api.Browser) -> Iterator[Callable[[], sync_api.Page]]:
    """Opens a tab that lives as long as the run."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context.new_page
    context.close()


@pytest.fixture
def shoot(request: pytest.FixtureRequest) -> Callable[[sync_api.Page], None]:
    """Takes the picture of a test: build/screenshots/NAME.png."""
    shots = ROOT / "build" / "screenshots"
    shots.mkdir(parents=True, exist_ok=True)
    return lambda page: page.screenshot(path=shots / f"{request.node.name}.png")


@pytest.fixture
def page(new_page: Callable[[], sync_api.Page], shoot: Callable[[sync_api.Page], None]) -> Iterator[sync_api.Page]:
    """A tab for one test."""
    opened = new_page()
    yield opened
    shoot(opened)
    opened.close()
