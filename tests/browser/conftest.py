"""A cluster, a JupyterLab on a copy of the notebooks, and a browser, all stopped after the tests of this folder.

Playwright runs an event loop in the main thread, so it must stop before other tests start theirs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kserve_nb import clusters
from kserve_nb.clusters.state import Record
from tests.browser.jupyter import Jupyter
from tests.browser.lab import NoChromiumError, chromium, jupyterlab

sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright: make venv")

PREFIX = "/user/alice"  # of all addresses, as behind JupyterHub's proxy: widgets must work there
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="package")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        try:
            with chromium(playwright) as shown:
                yield shown
        except NoChromiumError as missing:
            pytest.skip(str(missing))


@pytest.fixture(scope="package")
def cluster(browser: sync_api.Browser) -> Iterator[Record]:
    record = clusters.start(f"browser-{os.getpid()}", owner=os.getpid(), temporary=True)
    yield record
    clusters.delete(record.name)


@pytest.fixture(scope="package")
def jupyter(cluster: Record, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    with jupyterlab(tmp_path_factory.mktemp("lab"), cluster.name, prefix=PREFIX) as served:
        yield served


@pytest.fixture(scope="package")
def new_page(browser: sync_api.Browser) -> Iterator[Callable[[], sync_api.Page]]:
    """Open a tab that stays open until the end of the run."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context.new_page
    context.close()


@pytest.fixture
def shoot(request: pytest.FixtureRequest) -> Callable[[sync_api.Page], None]:
    """Save a screenshot of a test as build/screenshots/NAME.png."""
    shots = ROOT / "build" / "screenshots"
    shots.mkdir(parents=True, exist_ok=True)
    return lambda page: page.screenshot(path=shots / f"{request.node.name}.png")


@pytest.fixture
def page(new_page: Callable[[], sync_api.Page], shoot: Callable[[sync_api.Page], None]) -> Iterator[sync_api.Page]:
    """A tab that is closed after the test."""
    opened = new_page()
    yield opened
    shoot(opened)
    opened.close()
