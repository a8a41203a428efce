"""Tests of notebook 03 and its widgets by mouse and keyboard: the cluster's state and the page after each action."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from kserve_nb import clusters
from kserve_nb.clusters.state import Record
from kserve_nb.lab import Lab
from kserve_nb.values import manifest
from tests.browser.jupyter import Jupyter, Notebook, notebook, until

CELLS = (
    "from kserve_nb import PodTable, TrafficSlider, connect\nlab = connect()\nrollout = lab.rollout()",
    "slider = TrafficSlider(rollout)\nslider",
    "table = PodTable(rollout)\ntable",
)


def kubectl(cluster: Record, *args: str, stdin: str | None = None) -> str:
    done = subprocess.run(["kubectl", "--kubeconfig", cluster.kubeconfig, *args], input=stdin, capture_output=True,
                          text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def patch(cluster: Record, percent: int) -> None:
    """Change the percent by kubectl, as another user does."""
    body = json.dumps({"spec": {"predictor": {"canaryTrafficPercent": percent}}})
    kubectl(cluster, "patch", "isvc", "sklearn-iris", "--type=merge", "-p", body)


def ensure_canary(cluster: Record) -> None:
    """Bring the cluster to a canary of 10 %, from any state."""
    lab = Lab(clusters.connect(None, name=cluster.name, kubeconfig=None, ingress=None, namespace="kserve-test"))
    with ThreadPoolExecutor() as threads:  # Playwright's loop runs in the main thread
        threads.submit(asyncio.run, lab.ensure("canary-10")).result()


def asked(cluster: Record) -> dict[str, Any]:
    """The spec and the generation of the InferenceService."""
    found: dict[str, Any] = json.loads(kubectl(cluster, "get", "isvc", "sklearn-iris", "-o", "json"))
    return {"generation": found["metadata"]["generation"], "spec": found["spec"]}


def row(cluster: Record) -> list[str]:
    """PREV and LATEST as kubectl prints them."""
    return kubectl(cluster, "get", "isvc", "sklearn-iris", "--no-headers").split()[3:5]


def test_notebook_03_runs_and_its_slider_moves_traffic_when_confirmed(
    page: Any, jupyter: Jupyter, cluster: Record
) -> None:
    canary = Notebook(page, jupyter, "03_canary.ipynb")
    canary.open()
    canary.run_all()
    assert canary.errors() == []
    before = asked(cluster)

    canary.drag(40)
    canary.shows("10 → 40 %: only traffic: LATEST gets 40 %, PREV the other 60 %")
    canary.button("Apply 40 %").click()
    canary.button("Yes, do it").wait_for()
    assert asked(cluster) == before and row(cluster) == ["90", "10"]

    canary.button("Yes, do it").click()
    canary.button("Yes, 30 points at once").click()
    canary.shows("PREV 60 % → 00001 · ◆ LATEST 40 % → 00002")
    assert row(cluster) == ["60", "40"]
    assert asked(cluster)["spec"]["predictor"]["canaryTrafficPercent"] == 40
    jupyter.end_kernel("03_canary.ipynb")


@pytest.fixture(scope="module")
def opened(new_page: Any, jupyter: Jupyter, cluster: Record) -> Iterator[Notebook]:
    """A notebook with a slider and a pod table. It is run once, because kernels start slowly."""
    ensure_canary(cluster)
    jupyter.write("live.ipynb", notebook(*CELLS))
    shown = Notebook(new_page(), jupyter, "live.ipynb")
    shown.open()
    shown.run_all()
    assert shown.errors() == []
    yield shown
    jupyter.end_kernel("live.ipynb")


@pytest.fixture
def live(opened: Notebook, cluster: Record, shoot: Any) -> Iterator[Notebook]:
    """That notebook on a canary of 10 %, with the handle at 10 %."""
    ensure_canary(cluster)
    opened.shows("LATEST 10 % → 00002 · READY True")
    opened.drag(10)
    opened.shows("nothing to apply: 10 % is requested already")
    yield opened
    shoot(opened.page)


def test_every_action_works_with_the_keyboard(live: Notebook, cluster: Record) -> None:
    live.handle.focus()
    live.page.keyboard.press("ArrowRight")
    live.shows("10 → 11 %")
    tab_to(live, "Apply 11 %")
    live.page.keyboard.press("Enter")
    live.button("Yes, do it").wait_for()
    live.page.keyboard.press("Tab")
    live.page.keyboard.press("Space")
    live.shows("✔ the spec requests 11 %")
    until(lambda: row(cluster) == ["89", "11"])

    until(lambda: focused(live) == "how far the change has come", lambda: focused(live))
    live.shows("11 % is requested and routed to 00002")
    live.page.keyboard.press("Tab")
    assert focused(live).startswith("Measure: ")
    live.page.keyboard.press("Enter")
    live.shows(re.compile(r"◆ observed \d+\.\d % \["))


def focused(shown: Notebook) -> str:
    """The accessible name of the element with the focus."""
    return str(shown.page.evaluate("e => e.ariaLabel || e.innerText || e.tagName", shown.page.evaluate_handle(
        "document.activeElement")))


def tab_to(shown: Notebook, name: str) -> None:
    """Press Tab until the focus is on this control."""
    for _ in range(20):
        shown.page.keyboard.press("Tab")
        if focused(shown) == name:
            return
    raise AssertionError(f"Tab does not lead to {name!r}: the focus is on {focused(shown)!r}")


def test_an_edit_of_somebody_else_is_seen_and_not_written_over(live: Notebook, cluster: Record) -> None:
    live.drag(40)
    live.button("Apply 40 %").click()
    live.button("Yes, do it").wait_for()

    patch(cluster, 30)

    live.shows("not applied: sklearn-iris: somebody else (kubectl-patch) changed it meanwhile")
    live.shows("30 → 40 %")
    until(lambda: row(cluster) == ["70", "30"])


def test_a_saved_notebook_shows_its_widgets_without_their_kernel(live: Notebook, jupyter: Jupyter, page: Any) -> None:
    live.save()
    saved = jupyter.read("live.ipynb")
    jupyter.write("mine.ipynb", saved)
    jupyter.write("of-somebody-else.ipynb", saved | {"metadata": saved["metadata"] | {"changed": True}})

    mine = Notebook(page, jupyter, "mine.ipynb")
    mine.open_saved("◆ LATEST 10 % → 00002")
    assert mine.panel.get_by_role("slider").count() == 1  # trusted: JupyterLab shows the saved widget

    other = Notebook(page, jupyter, "of-somebody-else.ipynb")
    other.open_saved("LATEST 10 % → 00002")
    other.shows(re.compile(r"00002\s*2/2\s*✔ Running"))
    assert other.panel.get_by_role("slider").count() == 0  # not trusted: JupyterLab shows the saved HTML
    for name in ("mine.ipynb", "of-somebody-else.ipynb"):
        jupyter.end_kernel(name)


def test_pods_come_and_go_without_a_cell_being_run(live: Notebook, cluster: Record) -> None:
    live.shows(re.compile(r"00002\s*2/2\s*✔ Running"))

    kubectl(cluster, "delete", "isvc", "sklearn-iris")
    live.shows("no pods")
    live.shows("not possible: sklearn-iris: there is no such InferenceService in namespace kserve-test")

    document = manifest.to_yaml(manifest.inference_service("sklearn-iris", manifest.MODEL))
    kubectl(cluster, "apply", "-f", "-", stdin=document)
    live.shows(re.compile(r"00001\s*2/2\s*✔ Running"))
    live.shows("not possible: there is only one revision")


def test_the_slider_reports_a_deleted_namespace(live: Notebook, cluster: Record) -> None:
    live.drag(40)

    kubectl(cluster, "delete", "namespace", "kserve-test")

    live.shows("not possible: sklearn-iris: there is no such InferenceService in namespace kserve-test")
    assert live.button("Apply").is_disabled()
