"""Tests of what a widget shows after a pod, the cluster or the kernel has stopped."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest

from kserve_nb import clusters
from kserve_nb.clusters.state import Record
from tests.browser.jupyter import Jupyter, Notebook, notebook, until
from tests.browser.lab import jupyterlab
from tests.browser.test_tutorial import ensure_canary, kubectl

OWN = """
from kserve_nb import PodTable, TrafficSlider, connect
from kserve_nb.widgets import StatusLine
rollout = connect(name={name!r}).rollout()
"""
COURSE = ("from kserve_nb import connect\nlab = connect(name={name!r})\nrollout = lab.rollout()",
          "from kserve_nb.widgets import StatusLine\nline = StatusLine(rollout)\nline",
          "lab.check.split_status(percent=10)")
CULLING = tuple(
    f"--MappingKernelManager.cull_{option}" for option in ("idle_timeout=20", "interval=1", "connected=True"))
THREADS = "import threading\nprint(sum(t.name.startswith(('watch of', 'ping for', 'feed of')) "\
          "for t in threading.enumerate()), 'threads of widgets')"


@pytest.fixture(scope="module")
def lone(browser: Any) -> Iterator[Record]:
    """A cluster whose processes these tests stop and kill."""
    record = clusters.start(f"outage-{os.getpid()}", owner=os.getpid(), temporary=True)
    ensure_canary(record)
    yield record
    clusters.delete(record.name)


@pytest.fixture(scope="module")
def opened(new_page: Any, jupyter: Jupyter, lone: Record, culled: Notebook) -> Iterator[Notebook]:
    cells = (OWN.format(name=lone.name), "table = PodTable(rollout)\ntable", "line = StatusLine(rollout)\nline",
             "slider = TrafficSlider(rollout)\nslider", THREADS)
    jupyter.write("outage.ipynb", notebook(*cells))
    shown = Notebook(new_page(), jupyter, "outage.ipynb")
    shown.open()
    shown.run_all()
    assert shown.errors() == []
    yield shown
    jupyter.end_kernel("outage.ipynb")


@pytest.fixture(scope="module")
def culled(new_page: Any, lone: Record, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    """A notebook on a server that stops idle kernels, as Binder does. It is open while the other tests run."""
    with jupyterlab(tmp_path_factory.mktemp("culling"), lone.name, *CULLING) as server:
        server.write("course.ipynb", notebook(COURSE[0].format(name=lone.name), *COURSE[1:]))
        shown = Notebook(new_page(), server, "course.ipynb")
        shown.open()
        shown.run_all()
        assert shown.errors() == []
        yield shown


@pytest.fixture
def live(opened: Notebook, shoot: Any) -> Iterator[Notebook]:
    opened.shows(re.compile(r"00002\s*2/2\s*✔ Running"))
    yield opened
    shoot(opened.page)


@contextmanager
def stopped(process: psutil.Process) -> Iterator[None]:
    """Suspend a process: its clients wait without an answer, as they do when the network is down."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def pod_of(cluster: Record, revision: str) -> str:
    """The name of the first pod of a revision."""
    label = f"serving.knative.dev/revision=sklearn-iris-predictor-{revision}"
    return kubectl(cluster, "get", "pods", "-l", label, "-o", "name").split()[0].removeprefix("pod/")


def model_server(cluster: Record, pod: str) -> psutil.Process:
    """The process of a pod's model server, found by the process id in its log."""
    log = kubectl(cluster, "logs", pod, "-c", "kserve-container")
    named = {int(number) for number in re.findall(r"^\S+ \S+ (\d+) ", log, re.MULTILINE)}
    return next(p for p in psutil.Process(cluster.pid).children(recursive=True) if p.pid in named)


def test_a_process_that_is_killed_is_seen_as_a_restart(live: Notebook, lone: Record) -> None:
    name = pod_of(lone, "00002")
    live.panel.get_by_role("row").filter(has_text=f"…{name[-5:]}").click()
    live.shows(f"▸ …{name[-5:]}")

    model_server(lone, name).kill()

    live.shows(re.compile(r"00002\s*2/2\s*✔ Running\s*1\s*▸"))
    live.shows("kserve-container:")


def test_a_deleted_pod_is_struck_through_and_replaced(live: Notebook, lone: Record) -> None:
    gone = pod_of(lone, "00002")

    kubectl(lone, "delete", "pod", gone, "--wait=false")

    live.shows(re.compile(r"00002\s*† gone at \d\d:\d\d:\d\d"))
    struck = live.panel.locator("s").filter(has_text=f"…{gone[-5:]}")
    struck.first.wait_for()
    live.shows(re.compile(r"00002\s*2/2\s*✔ Running"))
    assert pod_of(lone, "00002") != gone


def test_a_lost_cluster_is_stale_and_comes_back_by_itself(live: Notebook, lone: Record) -> None:
    server = next(p for p in psutil.Process(lone.pid).children() if any("embedded.server" in w for w in p.cmdline()))

    with stopped(server):
        live.shows(re.compile(r"90/10 settled.*✖ out of date: no answer for \d+ s, last state from \d\d:\d\d:\d\d"))
        live.shows(re.compile(r"00002\s*2/2\s*✔ Running.*✖ out of date"))
        live.panel.get_by_text("no connection").first.wait_for()

    until(lambda: live.panel.get_by_text("out of date").count() == 0)
    kubectl(lone, "delete", "pod", pod_of(lone, "00001"), "--wait=false")
    live.shows(re.compile(r"00001\s*† gone at"))


def test_cells_that_are_run_again_leave_no_thread_behind(live: Notebook) -> None:
    live.shows("8 threads of widgets")

    for _ in range(2):
        live.run_all()

    assert live.errors() == []
    live.shows("8 threads of widgets")
    live.shows(re.compile(r"00002\s*2/2\s*✔ Running"))


def test_a_kernel_that_is_restarted_runs_it_all_again(live: Notebook, lone: Record) -> None:
    live.restart_and_run_all()

    assert live.errors() == []
    live.shows("8 threads of widgets")
    live.shows(re.compile(r"00002\s*2/2\s*✔ Running"))
    gone = pod_of(lone, "00001")
    kubectl(lone, "delete", "pod", gone, "--wait=false")
    live.panel.locator("s").filter(has_text=f"…{gone[-5:]}").first.wait_for()


def test_a_culled_kernel_is_reported_and_three_cells_pass_the_same_check(culled: Notebook, lone: Record) -> None:
    passed = "PREV=90 (00001) LATEST=10 (00002)"
    culled.shows(passed)
    until(lambda: culled.jupyter.kernel("course.ipynb") is None)
    culled.shows("✖ The kernel has stopped: this is the last state. Restart it in the menu Kernel")

    ensure_canary(lone)
    culled.start_new_kernel()
    for number in range(3):
        culled.run_cell(number)

    assert culled.errors() == []
    culled.shows(passed)
    until(lambda: culled.panel.get_by_text("The kernel has stopped").count() == 0)
