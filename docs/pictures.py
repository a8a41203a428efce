"""python -m docs.pictures [FOLDER]: take the README's pictures in a real JupyterLab, on a cluster of their own.

`canary-in-jupyterlab.png`, `timeline.png`, and `slider.gif`: the mouse drags the slider from 10 to 40 %, applies the
change, and sends requests to see which revision answers.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from kserve_nb import clusters
from kserve_nb.clusters.state import Record
from tests.browser.jupyter import Jupyter, Notebook, notebook, until
from tests.browser.lab import chromium, jupyterlab

FOLDER = Path(__file__).parent / "img"
SIZE = {"width": 980, "height": 1500}
SETUP = """import asyncio
from kserve_nb import MODEL_2, connect
from kserve_nb.widgets import Panel, RevisionTimeline, SplitChart
rollout = connect().rollout()"""
PANEL = (SETUP, "await connect().ensure('canary-10')\npanel = Panel(rollout)\npanel")
FIRST_MODEL = (SETUP, "await connect().ensure('first-model')")
TIMELINE = (SETUP, "timeline = RevisionTimeline(rollout)\ntimeline", """
chart = SplitChart(rollout)
for change in (lambda: rollout.canary(MODEL_2, percent=10), lambda: rollout.canary(percent=30),
               lambda: rollout.canary(percent=60), rollout.promote, rollout.pin):
    await asyncio.sleep(3)
    change()
    await rollout.wait()
    await asyncio.to_thread(chart.send, 200)
await asyncio.sleep(6)""")
WIDGET = 1  # the number of its cell
GIF_HEIGHT, MARGIN = 700, 8
COLOURS = 64
SLOW_S, FAST_S, LAST_S = 1.6, 0.12, 3.0  # how long a frame is shown
# A screenshot has no mouse pointer: this draws one.
HAND = """
const hand = document.createElement("div");
hand.style = "position:fixed;z-index:99999;pointer-events:none;left:-40px;top:0;width:22px;height:22px";
hand.innerHTML = "<svg viewBox='0 0 22 22'><path d='M3 1v17l4-4 3 7 3-1-3-7h6z' stroke='white'/></svg>";
document.body.append(hand);
document.addEventListener("mousemove", event => {
  hand.style.left = `${event.clientX}px`; hand.style.top = `${event.clientY}px`;
}, true);
"""


class Film:
    """Frames of one part of a page, and how long each is shown."""

    def __init__(self, page: Any, clip: dict[str, float]):
        self._page, self._clip = page, clip
        self._frames: list[tuple[Image.Image, float]] = []

    def take(self, seen_s: float) -> None:
        """Add a frame, or show the last one longer if nothing has changed."""
        image = Image.open(io.BytesIO(self._page.screenshot(clip=self._clip))).convert("RGB")
        if self._frames and image.tobytes() == self._frames[-1][0].tobytes():
            image, before_s = self._frames.pop()
            seen_s += before_s
        self._frames.append((image, seen_s))

    def save(self, path: Path) -> None:
        """Write all frames as a GIF that repeats, with one palette."""
        palette = self._frames[-1][0].quantize(COLOURS)
        first, *rest = (image.quantize(palette=palette, dither=Image.Dither.NONE) for image, _ in self._frames)
        times = [round(1000 * seen_s) for _, seen_s in self._frames]
        first.save(path, save_all=True, append_images=rest, duration=times, loop=0, optimize=True)


def output(shown: Notebook, number: int = WIDGET) -> Any:
    """The output of a cell."""
    return shown.panel.locator(".jp-Cell").nth(number).locator(".jp-Cell-outputWrapper")


def open_notebook(page: Any, jupyter: Jupyter, path: str) -> Notebook:
    """Open a notebook, collapse the side bar, and run all cells."""
    shown = Notebook(page, jupyter, path)
    shown.open()
    page.keyboard.press("Control+b")
    shown.run_all()
    if shown.errors():
        raise RuntimeError(f"{path}: {shown.errors()}")
    return shown


def drag(shown: Notebook, begin: int, end: int) -> Iterator[int]:
    """Drag the slider's handle in steps of 3 %; yields the percent of each step."""
    shown.handle.scroll_into_view_if_needed()
    shown.page.mouse.move(*shown.place_of(begin))
    shown.page.mouse.down()
    for percent in [*range(begin, end, 3), end]:
        shown.page.mouse.move(*shown.place_of(percent))
        yield percent
    shown.page.mouse.up()


def click(shown: Notebook, film: Film, button: Any, seen_s: float) -> None:
    """Move to a button, click it, and show the result."""
    button.hover()
    film.take(SLOW_S / 2)
    button.click()
    shown.page.wait_for_timeout(150)
    film.take(seen_s)


def slider_film(shown: Notebook) -> Film:
    """A change from 10 to 40 %: dragged, applied, confirmed, routed, observed."""
    part = output(shown)
    part.scroll_into_view_if_needed()
    box = part.bounding_box()
    film = Film(shown.page, {"x": box["x"] - MARGIN, "y": box["y"] - MARGIN, "width": min(box["width"], 900),
                             "height": GIF_HEIGHT})
    shown.page.evaluate(HAND)
    film.take(SLOW_S)
    for _ in drag(shown, 10, 40):
        film.take(FAST_S)
    shown.shows("10 → 40 %")
    film.take(SLOW_S)
    click(shown, film, shown.button("Apply 40 %"), SLOW_S)
    yes = shown.panel.get_by_role("button", name="Yes").filter(visible=True)
    while yes.count():  # a big step is confirmed twice
        click(shown, film, yes.first, FAST_S)
    routed = shown.panel.get_by_text("60/40 settled")
    until(lambda: film.take(FAST_S) or routed.count())
    film.take(SLOW_S)
    measure = shown.panel.get_by_role("button", name="Measure: ")
    click(shown, film, measure, FAST_S)
    until(lambda: film.take(FAST_S) or measure.count())
    verified = shown.panel.get_by_text("settled and verified")
    while not verified.count():  # a verdict about 40 % needs 2305 requests; the others are not filmed
        measure.click()
        until(measure.count)
    shown.page.mouse.move(0, 0)
    film.take(LAST_S)
    return film


def take_all(folder: Path, browser: Any, jupyter: Jupyter) -> None:
    """Write all pictures of the README into a folder."""
    page = browser.new_page(viewport={"width": 1280, "height": 840})
    shown = open_notebook(page, jupyter, "03_canary.ipynb")
    shown.drag(20)
    shown.shows("10 → 20 %")
    shown.button("Apply 20 %").click()
    shown.button("Yes, do it").wait_for()
    shown.handle.evaluate("handle => handle.closest('.jp-Cell').scrollIntoView()")
    shown.page.wait_for_timeout(500)
    page.screenshot(path=folder / "canary-in-jupyterlab.png")
    jupyter.end_kernel(shown.path)
    page.close()

    for name, cells in (("panel", PANEL), ("first-model", FIRST_MODEL), ("timeline", TIMELINE)):
        jupyter.write(f"{name}.ipynb", notebook(*cells))
        shown = open_notebook(browser.new_page(viewport=SIZE), jupyter, f"{name}.ipynb")
        if name == "panel":
            shown.shows("90/10 settled")
            slider_film(shown).save(folder / "slider.gif")
        elif name == "timeline":
            output(shown).locator(".knb").screenshot(path=folder / "timeline.png")
        jupyter.end_kernel(shown.path)
        shown.page.close()


def main(folder: Path) -> None:
    """Start a cluster, a JupyterLab and a browser, and take the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    record: Record = clusters.start(f"pictures-{os.getpid()}", owner=os.getpid(), temporary=True)
    try:
        with (tempfile.TemporaryDirectory() as home, sync_playwright() as playwright, chromium(playwright) as browser,
              jupyterlab(Path(home), record.name) as jupyter):
            take_all(folder, browser, jupyter)
    finally:
        clusters.delete(record.name)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else FOLDER)
