"""Test for growth when widgets and notebooks run for a long time.

    python -m bench.soak [--minutes N] [--runs N]

A kernel shows a panel while traffic changes twice a second, requests are sent, and pods start and stop. Then the
notebooks run again and again. The memory at the end is compared with the memory after the warm-up.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from bench.cluster import cluster
from bench.table import show
from kserve_nb import runner
from kserve_nb.clusters.state import Record
from kserve_nb.doctor import summary
from kserve_nb.runner.course import find_course

WARM = 0.25  # part of the time in which bounded histories, pools and caches fill up
ALLOWED_MIB = 10  # allowed growth after that
DEADLINE_S = 180
SHOW = """
import asyncio
from kserve_nb import connect
from kserve_nb.access.api_client import POD
from kserve_nb.widgets import Panel
lab = connect()
await lab.ensure("canary-10")
rollout = lab.rollout()
panel = Panel(rollout)
display(panel)
"""
CHANGE = """
for percent in range({begin}, {begin} + 10):
    rollout.canary(percent=percent)
    await asyncio.sleep(0.5)
panel.chart.send(25)
rollout.client.delete(POD, rollout.pods()[0].name)
"""
CLOSE = "panel.close()\nimport threading\nprint(*{thread.name for thread in threading.enumerate()}, sep='\\n')"
OURS = ("watch of", "ping for", "feed of", "requests", "log of", "one request")  # threads of widgets


@contextmanager
def kernel(record: Record) -> Iterator[tuple[KernelManager, BlockingKernelClient]]:
    """Start a kernel on the cluster, as a notebook does."""
    manager = KernelManager(kernel_name="python3", transport="ipc")
    manager.start_kernel(env={**os.environ, "KSERVE_NB_NAME": record.name})
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=DEADLINE_S)
        yield manager, client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def execute(client: BlockingKernelClient, code: str) -> str:
    """Run a cell and return its output. Messages of widgets are read and dropped, as an open page does."""
    printed: list[str] = []

    def hook(message: dict[str, object]) -> None:
        content = message["content"]
        assert isinstance(content, dict)
        if message["msg_type"] == "stream":
            printed.append(str(content["text"]))

    answer = client.execute_interactive(code, output_hook=hook, timeout=DEADLINE_S)
    if answer["content"]["status"] != "ok":
        raise RuntimeError(f"{answer['content'].get('ename')}: {answer['content'].get('evalue')}")
    return "".join(printed)


def rss(process: psutil.Process) -> float:
    """Return the resident memory of a process, in MiB."""
    return float(process.memory_info().rss) / 2**20


def family_pss(record: Record) -> float:
    """Return the memory (PSS) of all processes of a cluster, in MiB."""
    assert record.pid is not None
    root = psutil.Process(record.pid)
    return sum(process.memory_full_info().pss for process in [root, *root.children(recursive=True)]) / 2**20


def updates(record: Record, minutes: float) -> float:
    """Return the growth of a kernel that shows a panel for that many minutes."""
    with kernel(record) as (manager, client):
        execute(client, SHOW)
        process = psutil.Process(manager.provisioner.process.pid)  # type: ignore[union-attr]  # the process is running
        end, samples = time.monotonic() + 60 * minutes, []
        begin = 10
        while time.monotonic() < end:
            execute(client, CHANGE.format(begin=begin))
            begin = 60 if begin == 10 else 10
            samples.append(rss(process))
        left = [name for name in execute(client, CLOSE).splitlines() if name.startswith(OURS)]
    grown = _grown(samples)
    rows = [(f"{minutes:g} min of updates", f"{samples[0]:.0f}", f"{max(samples):.0f}", f"{samples[-1]:.0f}",
             f"{grown:+.1f}", len(left))]
    show("A kernel that shows a panel, RSS MiB", ("what", "first", "most", "last", "growth", "threads left"), rows)
    if left:
        raise RuntimeError(f"closed, and yet there are threads: {', '.join(left)}")
    return grown


def runs(record: Record, count: int) -> float:
    """Return the growth of a cluster on which all notebooks run that often. Raises RuntimeError after a failure."""
    samples, times = [], []
    course = tuple(sorted(find_course().glob("[0-9][0-9]_*.ipynb")))
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            reports: list[runner.Run] = []
            began, attempt = time.monotonic(), {"attempt": f"soak-{number}"}  # each run draws other values
            plan = runner.Plan(course, Path(folder), summary.in_full, attempt, solve=True)
            runner.run_all(plan, record, reports.append)
            times.append(time.monotonic() - began)
            failed = [f"{report.notebook.name}: {report.error}" for report in reports if not report.passed]
            if failed:
                raise RuntimeError(f"run {number + 1} of {count}: {'; '.join(failed)}")
            samples.append(family_pss(record))
    grown = _grown(samples)
    show("A cluster on which the course runs again and again, PSS MiB",
         ("what", "first", "most", "last", "growth", "slowest, s"),
         [(f"{count} runs of {len(course)} notebooks", f"{samples[0]:.0f}", f"{max(samples):.0f}", f"{samples[-1]:.0f}",
           f"{grown:+.1f}", f"{max(times):.0f}")])
    return grown


def _grown(samples: list[float]) -> float:
    """Return the difference between the last quarter and the quarter after the warm-up."""
    part = max(int(len(samples) * WARM), 1)
    return statistics.median(samples[-part:]) - statistics.median(samples[part : 2 * part] or samples[:1])


def main() -> None:
    """Measure, print, and fail if something grows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="of updates; 0 leaves them out")
    parser.add_argument("--runs", type=int, default=50, help="of the course; 0 leaves them out")
    asked = parser.parse_args()
    with cluster("soak") as record:
        grown = [updates(record, asked.minutes)] if asked.minutes else []
        grown += [runs(record, asked.runs)] if asked.runs else []
    if any(more > ALLOWED_MIB for more in grown):
        sys.exit(f"grew by {max(grown):.1f} MiB after it had warmed up; {ALLOWED_MIB} are allowed")


if __name__ == "__main__":
    main()
