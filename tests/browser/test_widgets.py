"""Tests of every widget in JupyterLab, light and dark: accessibility, width at three sizes, and a killed kernel."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

from tests.browser.jupyter import Jupyter, Notebook, notebook, until
from tests.browser.lab import ON_A_FAKE
from tests.fake_api import FakeApi
from tests.fake_gateway import FakeGateway

axe_core = pytest.importorskip("axe_playwright_python.base", reason="needs axe-playwright-python: make venv")

SETUP = """
from kserve_nb.doctor import Finding, Report
from kserve_nb import IRIS_CANDIDATES
from kserve_nb.doctor.remedy import Remedy
from kserve_nb.gates.comparison import RevisionComparison
from kserve_nb.doctor.rule import Rule
from kserve_nb.gates.gated_rollout import GatedRollout
from kserve_nb.gates.plan import RolloutPlan
from kserve_nb.tasks.course_questions import question_named
from kserve_nb.tasks.course_tasks import task_named
from kserve_nb.tasks.learner_progress import LearnerProgress
from kserve_nb.values import manifest
from kserve_nb.widgets import *
rule = Rule("K13", "A pod is missing")
report = Report((Finding(rule, "blocker", "pod", "pod-1", "gone", "It is not there.", Remedy("look")),))
task, progress = task_named("canary-percent"), LearnerProgress(Path("progress.json").absolute())
gated = GatedRollout(rollout.client, rollout.ingress)
"""
WIDGETS = {
    "slider": "TrafficSlider(rollout)", "chart": "SplitChart(rollout)", "timeline": "RevisionTimeline(rollout)",
    "pods": "PodTable(rollout)", "line": "StatusLine(rollout)", "tree": "RolloutTree(rollout)",
    "ladder": "ConditionLadder(rollout)", "request": "RequestTrace(rollout)",
    "diff": 'YamlDiff(rollout, manifest.inference_service("sklearn-iris", manifest.MODEL_2, percent=25))',
    "doctor": "DoctorPanel(lambda **more: report)", "panel": "Panel(rollout)",
    "task": "TaskCard(task, rollout, task.targets(), progress)",
    "prediction": 'PredictionCard(question_named("percent-revision"), rollout, progress)',
    "runner": "RunnerPanel(gated, RolloutPlan())",
    "load": "LoadPanel(rollout)",
    "map": "DisagreementMap(RevisionComparison(IRIS_CANDIDATES, [0] * 360, [0, 1, 0] * 120))",
}
WIDTHS = (1280, 1024, 390)
HEIGHT = 900
SHOTS = Path(__file__).parents[2] / "build" / "screenshots"
# Elements of a cell's output that are wider than the cell. Of a part that scrolls, only the visible width counts.
TOO_WIDE = """panel => {
    const found = [];
    for (const output of panel.querySelectorAll(".jp-OutputArea-output")) {
        const edge = Math.ceil(output.getBoundingClientRect().right) + 1;
        if (output.scrollWidth > output.clientWidth + 1)
            found.push(`${output.innerText.slice(0, 60)}: ${output.scrollWidth} > ${output.clientWidth}`);
        for (const part of output.querySelectorAll(".knb *")) {
            if (part.closest(".knb-hidden") || part.parentElement.closest(".knb-scroll, .knb-box")) continue;
            const { right, width } = part.getBoundingClientRect();
            if (width && right > edge) found.push(`${part.tagName} ${part.className} ${right - edge} px`);
        }
    }
    return found;
}"""


class Gallery(NamedTuple):
    """A notebook with all widgets, and the API that they read."""

    theme: str
    notebook: Notebook
    api: FakeApi


@pytest.fixture(scope="module", params=["JupyterLab Light", "JupyterLab Dark"])
def gallery(
    request: pytest.FixtureRequest, new_page: Any, jupyter: Jupyter, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gallery]:
    """A notebook with one cell for each widget, on a canary of 10 % to which requests were sent."""
    api, gateway = FakeApi(tmp_path_factory.mktemp("fake")), FakeGateway()
    api.load("02-canary-10")
    jupyter.choose_theme(request.param)
    setup = ON_A_FAKE.format(kubeconfig=str(api.kubeconfig)).replace("127.0.0.1:9", gateway.address) + SETUP
    cells = [f"{name} = {code}\n{name}" for name, code in WIDGETS.items()]
    use = "chart.send(300)\nrequest.send()\npods.picked = pods.snapshot.pods[0].name"
    jupyter.write("gallery.ipynb", notebook(setup, *cells, use))
    page = new_page()
    page.set_viewport_size({"width": WIDTHS[0], "height": HEIGHT})
    shown = Notebook(page, jupyter, "gallery.ipynb")
    shown.open()
    shown.run_all()
    assert shown.errors() == []
    yield Gallery(request.param.removeprefix("JupyterLab ").lower(), shown, api)
    jupyter.end_kernel("gallery.ipynb")
    jupyter.choose_theme("JupyterLab Light")
    page.close()
    api.close()
    gateway.close()


def output(shown: Notebook, name: str) -> Any:
    """The output of a widget's cell, scrolled into view."""
    cell = shown.panel.locator(".jp-Cell").nth(1 + list(WIDGETS).index(name))
    cell.scroll_into_view_if_needed()
    return cell.locator(".jp-Cell-outputWrapper")


def test_every_request_of_the_page_is_below_the_servers_prefix(gallery: Gallery) -> None:
    requested = gallery.notebook.page.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
    below = f"{gallery.notebook.jupyter.url}/"
    outside = [url for url in requested if url.startswith("http") and not url.startswith(below)]

    assert gallery.notebook.jupyter.url.endswith("/user/alice") and requested
    assert outside == []


def test_axe_finds_no_violation(gallery: Gallery) -> None:
    shown = gallery.notebook
    shown.page.set_viewport_size({"width": WIDTHS[0], "height": HEIGHT})
    shown.page.evaluate(axe_core.AXE_FILE_PATH.read_text())
    found = []
    for name in WIDGETS:
        output(shown, name).locator(".knb").first.wait_for()
        handle = output(shown, name).element_handle()
        run = shown.page.evaluate("output => axe.run(output)", handle)
        found += [f"{name}: {v['id']}: {node['html'][:160]}" for v in run["violations"] for node in v["nodes"]]

    assert found == []


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_its_cell(gallery: Gallery, width: int) -> None:
    theme, shown = gallery.theme, gallery.notebook
    shown.page.set_viewport_size({"width": width, "height": HEIGHT})
    if width < 600 and shown.page.locator(".jp-SideBar .lm-mod-current").count():
        shown.page.keyboard.press("Control+b")
    SHOTS.mkdir(parents=True, exist_ok=True)
    for name in WIDGETS:
        output(shown, name).locator(".knb").first.wait_for()
        output(shown, name).screenshot(path=SHOTS / f"{name}-{theme}-{width}.png")

    until(lambda: shown.panel.evaluate(TOO_WIDE) == [], lambda: str(shown.panel.evaluate(TOO_WIDE)), deadline_s=10)


def test_each_widget_reports_that_its_kernel_was_killed(gallery: Gallery) -> None:
    shown, api = gallery.notebook, gallery.api
    before, writes = copy.deepcopy(api.objects), len(api.writes)
    kernel = shown.jupyter.kernel(shown.path)
    assert kernel is not None
    process = next(each for each in psutil.process_iter() if any(kernel["id"] in word for word in command_line(each)))

    process.kill()

    shown.page.locator(".jp-Dialog .jp-mod-accept").click()  # JupyterLab says that it restarts the kernel
    for name in WIDGETS:
        output(shown, name).get_by_text("✖ The kernel has stopped: this is the last state.").first.wait_for()
    assert api.objects == before and len(api.writes) == writes


def command_line(process: psutil.Process) -> list[str]:
    """The command line of a process; empty if it has ended."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []
