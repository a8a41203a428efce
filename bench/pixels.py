"""Time from a watch event until JupyterLab has drawn the change. The limit is 300 ms (95th percentile)."""

from __future__ import annotations

import json
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from bench.table import show
from tests.browser.jupyter import Notebook, notebook, until
from tests.browser.lab import ON_A_FAKE, NoChromiumError, chromium, jupyterlab
from tests.fake_api import ISVC, FakeApi, one

TIMES = 60
GAPS_S = (0.4, 0.55, 0.7, 0.85)  # pause between two changes; irregular, so that they do not follow a timer
WIDGETS = {"StatusLine": "requested {} %", "TrafficSlider": "{} % is requested already"}
NOTE_DRAWINGS = """
window.drawn = [];
new MutationObserver(() => requestAnimationFrame(() => {
  const words = document.querySelector(".jp-NotebookPanel:not(.lm-mod-hidden)").innerText;
  window.drawn.push([Date.now(), words]);
})).observe(document.querySelector(".jp-NotebookPanel:not(.lm-mod-hidden)"), {childList: true, subtree: true});
"""


def _changed(percent: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(one("02-canary-10", "isvc")))
    found["spec"]["predictor"]["canaryTrafficPercent"] = percent
    return found


def _measure(shown: Notebook, api: FakeApi, words: str) -> list[float]:
    """Return the milliseconds from each event at the API server to the frame that shows it."""
    shown.page.evaluate(NOTE_DRAWINGS)
    sent: dict[int, float] = {}
    for number in range(TIMES):
        percent = 11 + number % 80
        sent[percent] = time.time()
        api.put(f"{ISVC}/sklearn-iris", _changed(percent))
        threading.Event().wait(GAPS_S[number % len(GAPS_S)])
    drawn: list[tuple[float, str]] = shown.page.evaluate("window.drawn")
    first = {percent: next((at for at, text in drawn if words.format(percent) in text), None) for percent in sent}
    return [at - 1000 * sent[percent] for percent, at in first.items() if at is not None]


def run() -> None:
    try:
        _run()
    except NoChromiumError as missing:
        print(f"\npixels: {missing}")


def _run() -> None:
    rows = []
    with (tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright, chromium(playwright) as browser,
          jupyterlab(Path(folder), "none") as jupyter):
        for widget, words in WIDGETS.items():
            api = FakeApi(Path(folder))
            api.load("02-canary-10")
            cell = f"shown = {widget}(rollout)\nshown"
            jupyter.write("pixels.ipynb", notebook(ON_A_FAKE.format(kubeconfig=str(api.kubeconfig)), cell))
            shown = Notebook(browser.new_page(), jupyter, "pixels.ipynb")
            shown.open()
            shown.run_all()
            until(lambda shown=shown, words=words: words.format(10) in shown.panel.inner_text())
            taken = sorted(_measure(shown, api, words))
            p95 = taken[int(0.95 * len(taken))]
            rows.append((widget, len(taken), f"{statistics.median(taken):.0f}", f"{p95:.0f}", f"{taken[-1]:.0f}"))
            jupyter.end_kernel("pixels.ipynb")
            shown.page.close()
            api.close()
    show(f"From a watch event to pixels, {TIMES} changes (p95 at most 300 ms)",
         ("widget", "seen", "median ms", "p95 ms", "most ms"), rows)
