"""What a learner does with the slider's buttons, what is asked before, and what the cluster answers."""

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
# The webhook takes any percent: it refuses what is written along with it here.
REFUSED = """
rollout._patch = lambda predictor, *more, whole=rollout._patch, **named: whole(
    {**predictor, "minReplicas": 3, "maxReplicas": 2}, *more, **named)
"""
# All but the handle, which ipywidgets gives no name: the number beside it does the same.
NAMED = """
panel => [...panel.querySelectorAll(".widget-button, input")].filter(e => e.offsetParent).map(e =>
    e.innerText || e.ariaLabel || [...(e.labels || [])].map(l => l.innerText).join("") || "?" + e.outerHTML)
"""


# When Yes was clicked, and when the view said that it is being written.
TIMED = """
panel => {
    let yes = 0;
    panel.addEventListener("click", () => yes = performance.now(), true);
    new MutationObserver(() => { if (yes && !window.applying && panel.innerText.includes("applying:"))
        window.applying = performance.now() - yes; }).observe(panel, {subtree: true, childList: true});
}
"""


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
    """A slider on a canary of 10 % and without a wish."""
    ensure_canary(cluster)
    opened.shows("LATEST 10 % → 00002 · ✔ READY True")
    opened.button("10 %").click()
    opened.shows("nothing to apply: 10 % is what is asked")
    yield opened
    shoot(opened.page)


def test_drags_presets_and_typed_numbers_write_nothing(slider: Notebook, cluster: Record) -> None:
    before = asked(cluster)

    slider.drag(40)
    slider.shows("10 → 40 %: only traffic: LATEST gets 40 %, PREV the other 60 %")
    slider.button("25 %").click()
    slider.shows(re.compile(r"-\s+canaryTrafficPercent: 10\s*\+\s+canaryTrafficPercent: 25"))
    number = slider.panel.get_by_role("spinbutton")
    number.fill("33")
    number.press("Enter")
    slider.shows('kubectl patch isvc sklearn-iris -n kserve-test --type=merge -p \'{"spec":{"predictor":{"canary'
                 'TrafficPercent":33}}}\'')
    slider.button("Apply").click()
    slider.shows("Apply: LATEST (00002) gets 33 % of the users, PREV (00001) the other 67 %. Do it?")
    slider.button("Cancel").click()

    slider.shows("nothing to apply: 10 % is what is asked")
    assert asked(cluster) == before


def test_a_promote_and_the_way_back_and_a_pin(slider: Notebook, cluster: Record) -> None:
    slider.button("Promote").click()
    slider.shows("Promote LATEST (00002): all users get it, and a roll back leads to it from then on.")
    slider.button("Yes, do it").click()
    slider.shows("That is 90 points at once: of 100 users 90 more meet LATEST (00002)")
    slider.button("Yes, 90 points at once").click()
    until(lambda: row(cluster)[0] == "100")
    slider.shows("Promote is blocked: LATEST has all users already")
    slider.button("Send 300").click()
    slider.shows("✔ asked 100 % → ✔ accepted → ✔ routed 100 % → ✔ observed 100.0 % [98.7–100.0]")
    slider.shows("verified: 100 % is asked and routed, and 100.0 % [98.7–100.0] of the users got 00002")

    slider.button("Back to 10 %").click()
    slider.shows("Back to the last split: LATEST (00002) gets 10 % of the users")
    slider.button("Yes, do it").click()
    until(lambda: row(cluster) == ["90", "10"])
    slider.shows("settled: 10 % is asked and routed to 00002")

    slider.button("Pin previous").click()
    slider.shows("Pin previous: all users go back to PREV (00001); LATEST (00002) keeps its pod and gets nobody.")
    slider.button("Yes, do it").click()
    until(lambda: row(cluster) == ["100", "0"])
    slider.shows("Pin previous is blocked: PREV has all users already")


def test_asked_accepted_routed_and_observed_are_seen_without_a_cell_being_run(
    slider: Notebook, cluster: Record
) -> None:
    slider.button("25 %").click()
    slider.button("Apply").click()
    slider.panel.evaluate(TIMED)
    slider.button("Yes, do it").click()

    slider.shows("✔ asked 25 % → ✔ accepted → ✔ routed 25 % → · observed: nobody has looked")
    slider.shows(re.compile(r"asked for 25 %; no answer yet.*the cluster took 25 %.*25 % is asked and routed", re.S))
    assert row(cluster) == ["75", "25"]
    print(f"Yes to 'applying': {slider.page.evaluate('window.applying'):.0f} ms")


def test_a_conflict_says_who_wrote_and_leaves_the_choice(slider: Notebook, cluster: Record) -> None:
    slider.button("25 %").click()
    slider.button("Apply").click()
    slider.button("Yes, do it").wait_for()

    patch(cluster, 30)
    slider.shows("somebody else (kubectl-patch) changed it meanwhile: the requested percent is 30 %, it was 10 %")
    slider.button("Reload").click()
    slider.shows("nothing to apply: 30 % is what is asked")

    slider.button("50 %").click()
    slider.button("Apply").click()
    slider.button("Yes, do it").wait_for()
    patch(cluster, 35)
    slider.button("Overwrite: 50 % all the same").click()
    until(lambda: row(cluster) == ["50", "50"])


def test_a_refusal_of_the_webhook_is_shown_word_for_word(
    page: Any, jupyter: Jupyter, cluster: Record
) -> None:
    ensure_canary(cluster)
    jupyter.write("refused.ipynb", notebook(CELLS[0] + REFUSED, CELLS[1]))
    refused = Notebook(page, jupyter, "refused.ipynb")
    refused.open()
    refused.run_all()
    before = asked(cluster)

    refused.button("25 %").click()
    refused.button("Apply").click()
    refused.button("Yes, do it").click()

    refused.shows('admission webhook "inferenceservice.kserve-webhook-server.validator" denied the request: '
                  "'MinReplicas' cannot be greater than MaxReplicas")
    refused.shows("✖ not accepted")
    assert asked(cluster) == before
    jupyter.end_kernel("refused.ipynb")


def test_every_control_has_a_name_and_every_disabled_one_says_why(slider: Notebook) -> None:
    names = slider.panel.evaluate(NAMED)

    assert [name for name in names if name.startswith("?")] == []
    assert {"Apply", "Promote", "Pin previous", "0 %", "100 %", "or type it"} <= set(names)
    assert "blocked: nothing to apply" in str(slider.button("Apply").get_attribute("title"))


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
    shown.button("50 %").click()
    shown.button("Apply").click()
    shown.button("Yes, do it").click()
    shown.shows("That is 40 points at once")

    shown.button("Yes, 40 points at once").scroll_into_view_if_needed()
    assert shown.panel.locator(".widget-vbox").first.evaluate("box => box.scrollWidth <= box.clientWidth")
    jupyter.end_kernel("shown.ipynb")
