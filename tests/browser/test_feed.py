"""Tests of the widgets' requests, watches and redraws, on an API server that counts them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.jupyter import Jupyter, Notebook, notebook, until
from tests.browser.lab import ON_A_FAKE
from tests.fake_api import ISVC, PODS, FakeApi, one, recorded

CELLS = ("table = PodTable(rollout)\ntable", "slider = TrafficSlider(rollout)\nslider")
WATCHES = 6  # one for each kind of object
COUNT_REDRAWS = """
window.redraws = [];
const shown = document.querySelector(".jp-NotebookPanel:not(.lm-mod-hidden) table").closest(".knb");
new MutationObserver(() => window.redraws.push(performance.now())).observe(shown, {childList: true, subtree: true});
"""

# Select the words before the number box, as a mouse does.
SELECT = """() => {
    const label = document.querySelector(".jp-NotebookPanel:not(.lm-mod-hidden) label[data-key=number]").firstChild;
    getSelection().setBaseAndExtent(label, 0, label, "canary percent".length);
}"""


@pytest.fixture(scope="module")
def opened(
    new_page: Any, jupyter: Jupyter, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Notebook, FakeApi]]:
    """A pod table and a slider on an API server of two pods."""
    api = FakeApi(tmp_path_factory.mktemp("fake"))
    api.load("02-canary-10")
    jupyter.write("fake.ipynb", notebook(ON_A_FAKE.format(kubeconfig=str(api.kubeconfig)), *CELLS))
    shown = Notebook(new_page(), jupyter, "fake.ipynb")
    shown.open()
    shown.run_all()
    shown.shows(re.compile(r"00002\s*2/2\s*✔ Running"))
    shown.shows("LATEST 10 % → 00002")
    yield shown, api
    jupyter.end_kernel("fake.ipynb")
    api.close()


@pytest.fixture
def fake(opened: tuple[Notebook, FakeApi], shoot: Any) -> Iterator[tuple[Notebook, FakeApi]]:
    yield opened
    shoot(opened[0].page)


def test_a_drag_sends_no_request_and_two_widgets_share_one_watch(fake: tuple[Notebook, FakeApi]) -> None:
    shown, api = fake
    until(lambda: api.watching == WATCHES)
    before = [line for line in api.requests if "/version" not in line]

    shown.drag(40)
    shown.shows("10 → 40 %")
    shown.drag(70)
    shown.shows("10 → 70 %")

    assert [line for line in api.requests if "/version" not in line] == before
    assert api.watching == WATCHES


def test_a_click_on_a_command_copies_it(fake: tuple[Notebook, FakeApi]) -> None:
    shown, _ = fake
    shown.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    shown.drag(25)
    shown.shows("10 → 25 %")

    shown.panel.get_by_text("YAML and command").first.click()
    shown.button("Copy command").click()

    shown.shows("✔ copied")
    assert "kubectl" in shown.page.evaluate("navigator.clipboard.readText()")


def test_a_thousand_pods_are_one_screen_and_four_redraws_a_second(fake: tuple[Notebook, FakeApi]) -> None:
    shown, api = fake
    shown.page.evaluate(COUNT_REDRAWS)
    pods = recorded("02-canary-10", "pods")["items"]

    for number in range(998):
        pod = pods[number % 2]
        name = f"{pod['metadata']['name'][:-5]}{number:05}"
        api.put(f"{PODS}/{name}", {**pod, "metadata": {**pod["metadata"], "name": name}})

    shown.shows("500 of 500 pods ready")
    drawn = sorted(set(shown.page.evaluate("window.redraws")))
    gaps = [after - before for before, after in zip(drawn, drawn[4:], strict=False)]
    assert drawn and all(gap > 900 for gap in gaps), drawn  # five pictures never come within a second
    shown.shows("and 480 more")
    assert shown.panel.get_by_role("row").count() < 60

    shown.panel.get_by_label("revision").select_option("00002")
    until(lambda: shown.panel.get_by_text("500 of 500 pods ready").count() == 1)


def test_focus_and_selected_text_survive_a_hundred_updates(fake: tuple[Notebook, FakeApi]) -> None:
    shown, api = fake
    shown.drag(25)
    shown.shows("10 → 25 %")
    shown.button("Pin previous").focus()
    shown.page.evaluate(SELECT)
    isvc = one("02-canary-10", "isvc")

    for number in range(100):
        isvc["spec"]["predictor"]["canaryTrafficPercent"] = 30 + number % 50
        isvc["metadata"]["generation"] += 1
        api.put(f"{ISVC}/sklearn-iris", json.loads(json.dumps(isvc)))
        until(lambda number=number: f"requested {30 + number % 50} %" in shown.panel.inner_text())

    assert shown.page.evaluate("getSelection().toString()") == "canary percent"
    assert shown.page.evaluate("document.activeElement.innerText") == "Pin previous"
    assert shown.handle.input_value() == "25"


def test_typed_text_survives_an_update(fake: tuple[Notebook, FakeApi]) -> None:
    shown, api = fake
    number = shown.panel.get_by_role("textbox", name="canary percent").first
    number.fill("44")
    isvc = one("02-canary-10", "isvc")
    isvc["spec"]["predictor"]["canaryTrafficPercent"] = 29
    isvc["metadata"]["generation"] += 1000
    api.put(f"{ISVC}/sklearn-iris", isvc)
    shown.shows("requested 29 %")

    assert number.input_value() == "44"
    number.press("Enter")
    shown.shows("29 → 44 %")
