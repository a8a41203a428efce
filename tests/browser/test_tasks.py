"""A learner solves a task in three ways, undoes it, uses Show me, and enters a prediction."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from kserve_nb import clusters
from kserve_nb.clusters.state import Record
from kserve_nb.lab import Lab
from tests.browser.jupyter import Jupyter, Notebook, notebook
from tests.browser.test_tutorial import ensure_canary, patch

CELLS = (
    "from kserve_nb import TrafficSlider, connect\nlab = connect()\nslider = TrafficSlider(lab.rollout())\nslider",
    'task = lab.task("canary-percent")\ntask',
    'prediction = lab.predict("half-row")\nprediction',
)


@pytest.fixture
def opened(new_page: Any, jupyter: Jupyter, cluster: Record, shoot: Any) -> Iterator[Notebook]:
    ensure_canary(cluster)
    jupyter.write("tasks.ipynb", notebook(*CELLS))
    shown = Notebook(new_page(), jupyter, "tasks.ipynb")
    shown.open()
    shown.run_all()
    assert shown.errors() == []
    yield shown
    shoot(shown.page)
    jupyter.end_kernel("tasks.ipynb")


def in_python(cluster: Record, percent: int) -> None:
    """A change by a learner's own Python code."""
    lab = Lab(clusters.connect(None, name=cluster.name, kubeconfig=None, ingress=None, namespace="kserve-test"))
    with ThreadPoolExecutor() as threads:
        threads.submit(lab.rollout().canary, percent=percent).result()


def test_a_task_is_done_by_three_means_and_undone_and_shown(opened: Notebook, cluster: Record) -> None:
    for name, value in (("PREV", "65"), ("LATEST", "35"), ("pods", "3")):
        box = opened.panel.get_by_label(name, exact=True).last
        box.fill(value)
        box.press("Tab")
    opened.button("Enter prediction").click()
    opened.shows("Your prediction: PREV 65, LATEST 35, pods 3")
    opened.shows("Now: the traffic is PREV 90 % (00001), LATEST 10 % (00002).")

    patch(cluster, 65)  # in a terminal, and wrong at first
    opened.shows("You gave 65 % to the new revision.")
    patch(cluster, 35)
    opened.shows("✔ done")
    opened.shows("No pod starts: only the percents change.")

    patch(cluster, 10)
    opened.shows("It was done at")
    opened.shows("LATEST 10 % → 00002 · READY True")
    opened.drag(35)
    opened.button("Apply 35 %").click()
    opened.button("Yes, do it").click()
    opened.shows(re.compile("Done at .*PREV 65 %"))

    patch(cluster, 20)
    opened.shows("has been undone")
    in_python(cluster, 35)
    opened.shows("✔ done")

    patch(cluster, 20)
    opened.shows("has been undone")
    opened.button("Show me").click()
    opened.shows("It was shown to you: PREV 65 % (00001), LATEST 35 % (00002).")
