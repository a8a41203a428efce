"""Memory of the whole course in a browser: each notebook is opened by the link in the one before it, and run."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import psutil
from playwright.sync_api import Page, sync_playwright

from bench.table import show
from kserve_nb import clusters
from kserve_nb.clusters.state import Record
from kserve_nb.runner.course import find_course
from tests.browser.jupyter import Jupyter, Notebook, until
from tests.browser.lab import NoChromiumError, chromium, jupyterlab

LIMIT_MIB = 900
SHOTS = "KSERVE_NB_SHOTS"  # names a folder for screenshots of every page


def _pss(processes: list[psutil.Process]) -> float:
    """The memory (PSS) of processes in MiB, without those that have ended meanwhile."""
    total = 0.0
    for process in processes:
        try:
            total += process.memory_full_info().pss / 2**20
        except psutil.NoSuchProcess:
            continue
    return total


def _shoot(shown: Notebook) -> None:
    """Take pictures of the notebook, one for each screen."""
    folder = os.environ.get(SHOTS)
    if not folder:
        return
    outer = shown.panel.locator(".jp-WindowedPanel-outer").first
    height = outer.evaluate("e => e.clientHeight")
    for number in range(40):
        outer.evaluate("(e, top) => e.scrollTo(0, top)", number * (height - 40))
        shown.page.wait_for_timeout(300)  # JupyterLab draws the cells that have come into view
        shown.page.screenshot(path=Path(folder) / f"{shown.path[:2]}-{number:02}.png")
        if outer.evaluate("e => e.scrollTop + e.clientHeight >= e.scrollHeight - 2"):
            return


def _take(page: Page, jupyter: Jupyter, record: Record) -> list[tuple[str, str, str, str]]:
    """Run the course and return a row for each notebook: kernels, MiB of Jupyter with kernels, MiB of the cluster."""
    assert record.pid is not None
    server = next(row for row in psutil.Process().children() if "jupyter" in " ".join(row.cmdline()))
    supervisor = psutil.Process(record.pid)
    rows, names = [], sorted(path.name for path in find_course().glob("*.ipynb"))
    for name in names:
        shown = Notebook(page, jupyter, name)
        if name == names[0]:
            shown.open()
        else:
            page.locator(f".jp-NotebookPanel:not(.lm-mod-hidden) a[href*='{name}']").last.click()
            until(lambda shown=shown, name=name: page.title().startswith(name[:5]) and shown.panel.count())
        shown.run_all()
        assert shown.errors() == [], shown.errors()
        _shoot(shown)
        kernels = server.children(recursive=True)
        own, its = _pss([server, *kernels]), _pss([supervisor, *supervisor.children(recursive=True)])
        rows.append((name[:2], str(len(kernels)), f"{own:.0f}", f"{its:.0f}"))
    return rows


def run() -> None:
    """Run the course and show the table."""
    os.environ["KSERVE_NB_COURSE"] = "1"
    try:
        with (tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright,
              chromium(playwright) as browser):
            record = clusters.start(f"bench-course-{os.getpid()}", owner=os.getpid(), temporary=True)
            try:
                with jupyterlab(Path(folder), record.name) as jupyter:
                    page = browser.new_page(viewport={"width": 1280, "height": 800})
                    rows = _take(page, jupyter, record)
            finally:
                clusters.delete(record.name)
    except NoChromiumError as missing:
        print(f"\ncourse: {missing}")
        return
    most = max(float(own) + float(its) for _, _, own, its in rows)
    rows.append((f"most at once (at most {LIMIT_MIB})", "", f"{most:.0f}", ""))
    show("The course in a browser, PSS in MiB", ("after notebook", "kernels", "Jupyter and kernels", "cluster"), rows)
