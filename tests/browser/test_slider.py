"""Tests of the slider's buttons: the questions before a change, and the cluster's answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from kserve_nb.clusters.state import Record
from tests.browser.jupyter import Jupyter, Notebook, notebook, until
from tests.browser.test_tutorial import asked, ensure_canary, patch, row

CELLS = (
    "from kserve_nb import TrafficSlider, connect\nrollout = connect().rollout()",
    "slider = TrafficSlider(rollout)\nslider",
    "from kserve_nb.widgets import SplitChart\nchart = SplitChart(rollout)\nchart",
)
# The webhook accepts any percent. Here it rejects the fields that are written with the percent.
REFUSED = """
rollout._patch = lambda predictor, *more, whole=rollout._patch, **named: whole(
    {**predictor, "minReplicas": 3, "maxReplicas": 2}, *more, **named)
"""
NAMED = """
panel => [...panel.querySelectorAll(".knb button, .knb input, .knb select")].filter(e => e.offsetParent).map(e =>
    e.ariaLabel || e.innerText || [...(e.labels || [])].map(l => l.innerText).join("") || "?" + e.outerHTML)
"""


# Measures the time from the click on Yes to the chip "sending".
TIMED = """
panel => {
    let yes = 0;
    panel.addEventListener("click", () => yes = performance.now(), true);
    new MutationObserver(() => { if (yes && !window.sending && panel.innerText.includes("◌ sending"))
        window.sending = performance.now() - yes;
    }).observe(panel, {subtree: true, childList: true, characterData: true});
}
"""
TOPS = "panel => [...panel.querySelectorAll('.knb-row button')].map(button => button.getBoundingClientRect().top)"


@pytest.fixture(scope="module")
def opened(new_page: Any, jupyter: Jupyter, cluster: Record) -> Iterator[Notebook]:
    ensure_canary(cluster)
    jupyter.write("slider.ipynb", notebook(*CELLS))
    shown = Notebook(new_page(), jupyter, "slider.ipynb")
    shown.open()
    shown.run_all()
    assert shown.errors() == []
    yield shown
    jupyter.end_kernel("slider.ipynb")


@pytest.fixture
def slider(opened: Notebook, cluster: Record, shoot: Any) -> Iterator[Notebook]:
    """A slider on a canary of 10 %, with its handle at 10 %."""
    ensure_canary(cluster)
    opened.shows("LATEST 10 % → 00002 · READY True")
    opened.button("10 %").click()
    opened.shows("nothing to apply: 10 % is requested already")
    yield opened
    shoot(opened.page)


def test_drags_presets_and_typed_numbers_write_nothing(slider: Notebook, cluster: Record) -> None:
    before = asked(cluster)

    slider.drag(40)
    slider.shows("10 → 40 %: only traffic: LATEST gets 40 %, PREV the other 60 %")
    slider.button("25 %").click()
    slider.shows(re.compile(r"-\s+canaryTrafficPercent: 10\s*\+\s+canaryTrafficPercent: 25"))
    number = slider.panel.get_by_role("textbox", name="canary percent")
    number.fill("33")
    number.press("Enter")
    slider.shows('kubectl patch isvc sklearn-iris -n kserve-test --type=merge -p \'{"spec":{"predictor":{"canary'
                 'TrafficPercent":33}}}\'')
    slider.button("Apply 33 %").click()
    slider.shows("Apply? LATEST (00002) gets 33 % of the traffic, PREV (00001) 67 %.")
    slider.button("Cancel").click()

    slider.shows("nothing to apply: 10 % is requested already")
    assert asked(cluster) == before


def test_a_promote_and_the_way_back_and_a_pin(slider: Notebook, cluster: Record) -> None:
    slider.button("Promote").click()
    slider.shows("Promote LATEST (00002)? It gets all traffic, and later rollbacks return to it.")
    assert slider.handle.input_value() == "100"  # the handle is at the percent that the question is about
    slider.button("Yes, do it").click()
    slider.shows("This moves 90 points at once, more than 25: 90 of 100 requests more reach LATEST")
    slider.button("Yes, 90 points at once").click()
    until(lambda: row(cluster)[0] == "100")
    until(lambda: slider.button("Promote").get_attribute("title") == "LATEST has all traffic already")
    slider.button("Measure: 100 requests").click()
    slider.shows(re.compile(r"✔ requested\s*100 %\s*✔ accepted\s*✔ routed\s*100 %\s*✔ observed\s*100.0 % \["))
    slider.shows("settled and verified")

    slider.button("Back to 10 %").click()
    slider.shows("Return to the last split? LATEST (00002) gets 10 % of the traffic")
    slider.button("Yes, do it").click()
    until(lambda: row(cluster) == ["90", "10"])
    slider.shows("10 % is requested and routed to 00002")

    slider.button("Pin previous").click()
    slider.shows("Pin the previous revision? PREV (00001) gets all traffic; LATEST (00002) keeps its pod")
    slider.button("Yes, do it").click()
    until(lambda: row(cluster) == ["100", "0"])
    until(lambda: slider.button("Pin previous").get_attribute("title") == "PREV has all traffic already")


def test_requested_accepted_routed_and_observed_are_seen_without_a_cell_being_run(
    slider: Notebook, cluster: Record
) -> None:
    slider.button("25 %").click()
    slider.button("Apply 25 %").click()
    slider.panel.evaluate(TIMED)
    slider.button("Yes, do it").click()

    slider.shows(re.compile(r"✔ requested\s*25 %\s*✔ accepted\s*✔ routed\s*25 %\s*· observed\s*not measured"))
    slider.shows(re.compile(r"25 % is requested and routed.*has stored 25 %.*25 % was sent to the API server", re.S))
    assert row(cluster) == ["75", "25"]
    print(f"Yes to 'sending': {slider.page.evaluate('window.sending'):.0f} ms")


def test_a_conflict_names_the_other_writer_and_offers_both_choices(slider: Notebook, cluster: Record) -> None:
    slider.button("25 %").click()
    slider.button("Apply 25 %").click()
    slider.button("Yes, do it").wait_for()

    patch(cluster, 30)
    slider.shows("somebody else (kubectl-patch) changed it meanwhile: the requested percent is 30 %, it was 10 %")
    slider.button("Reload").click()
    slider.shows("nothing to apply: 30 % is requested already")

    slider.button("50 %").click()
    slider.button("Apply 50 %").click()
    slider.button("Yes, do it").wait_for()
    patch(cluster, 35)
    slider.button("Overwrite: 50 % anyway").click()
    until(lambda: row(cluster) == ["50", "50"])


def test_a_refusal_of_the_webhook_is_shown_verbatim(
    page: Any, jupyter: Jupyter, cluster: Record
) -> None:
    ensure_canary(cluster)
    jupyter.write("refused.ipynb", notebook(CELLS[0] + REFUSED, CELLS[1]))
    refused = Notebook(page, jupyter, "refused.ipynb")
    refused.open()
    refused.run_all()
    before = asked(cluster)

    refused.button("25 %").click()
    refused.button("Apply 25 %").click()
    refused.button("Yes, do it").click()

    refused.shows('admission webhook "inferenceservice.kserve-webhook-server.validator" denied the request: '
                  "'MinReplicas' cannot be greater than MaxReplicas")
    refused.shows("✖ not accepted")
    assert asked(cluster) == before
    jupyter.end_kernel("refused.ipynb")


def test_every_control_has_a_name_and_every_disabled_one_a_reason(slider: Notebook) -> None:
    names = slider.panel.evaluate(NAMED)

    assert [name for name in names if name.startswith("?")] == []
    assert {"Apply", "Promote", "Pin previous", "0 %", "100 %", "canary percent"} <= set(names)
    assert slider.button("Apply").get_attribute("title") == "10 % is requested already: move the handle"


@pytest.mark.parametrize("theme", ["Light", "Dark"])
@pytest.mark.parametrize("width", [1280, 760])
def test_it_fits_its_place_in_light_and_dark(
    jupyter: Jupyter, cluster: Record, page: Any, theme: str, width: int
) -> None:
    ensure_canary(cluster)
    jupyter.choose_theme(f"JupyterLab {theme}")
    jupyter.write("shown.ipynb", notebook(*CELLS[:2]))
    page.set_viewport_size({"width": width, "height": 900})
    shown = Notebook(page, jupyter, "shown.ipynb")
    shown.open()
    shown.run_all()
    before = shown.panel.evaluate(TOPS)
    shown.drag(50)
    shown.button("Apply 50 %").wait_for()
    assert shown.panel.evaluate(TOPS)[:4] == before[:4]  # nothing moves under the pointer
    shown.button("Apply 50 %").click()
    shown.button("Yes, do it").click()
    shown.shows("This moves 40 points at once")
    assert shown.panel.evaluate(TOPS)[:4] == before[:4]

    shown.button("Yes, 40 points at once").scroll_into_view_if_needed()
    assert shown.panel.locator(".knb").first.evaluate("box => box.scrollWidth <= box.clientWidth")
    jupyter.end_kernel("shown.ipynb")


def test_a_number_that_is_not_whole_is_explained_and_never_read_as_another_one(slider: Notebook) -> None:
    number = slider.panel.get_by_role("textbox", name="canary percent")
    number.click()
    number.press("Control+a")
    slider.page.keyboard.type("2.5")
    slider.page.keyboard.press("Tab")

    slider.shows("'2.5' is not a whole number from 0 to 100. KServe takes whole percents only.")
    assert slider.handle.input_value() == "10" and number.input_value() == "2.5"
    slider.button("5 %").click()
    slider.shows("10 → 5 %")
    assert number.input_value() == "5"
