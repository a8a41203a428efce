"""Tests of what all widgets share: sending only changes, showing errors, escaping text, saving the last state."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import ipywidgets
import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from traitlets.config import JSONFileConfigLoader

from kserve_nb.observe.snapshot import Snapshot
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.runner.course import find_course
from kserve_nb.widgets import (
    ConditionLadder,
    PodTable,
    RevisionTimeline,
    RolloutTree,
    SplitChart,
    StatusLine,
    TrafficSlider,
    YamlDiff,
)
from kserve_nb.widgets.sheet.sheet import Sheet
from tests.fake_api import FakeApi
from tests.widgets.page import Page, buttons, press, report, text_of
from tests.widgets.replay import at
from tests.widgets.seen import until
from tests.widgets.test_texts import counted

HOSTILE = "<img src=x onerror=alert(1)>'\"</script>\u202eabc&"
FAR = 1e12


class Counter(Sheet):
    """A widget with a button that shows how often it was pressed."""

    pressed = 0

    @property
    def text(self) -> str:
        return f"{self.pressed}"

    def _picture(self) -> str:
        return f"<b>{self.pressed}</b>"

    def _handlers(self) -> dict[str, Any]:
        return {"press": self._press, "fail": self._fail}

    def _press(self, _value: str) -> None:
        self.pressed += 1
        self.redraw()

    def _fail(self, _value: str) -> None:
        raise ValueError("a <fault>")


@pytest.fixture
def live(api: FakeApi, rollout: Rollout) -> Iterator[list[Any]]:
    """One of each widget that follows a rollout."""
    api.load("02-canary-10")
    kinds = (TrafficSlider, StatusLine, RolloutTree, ConditionLadder, PodTable, SplitChart, RevisionTimeline)
    shown: list[Any] = [kind(rollout) for kind in kinds]
    shown.append(YamlDiff(rollout, {"metadata": {"name": HOSTILE}, "spec": {HOSTILE: HOSTILE}}))
    until(shown[-1], lambda snapshot: snapshot.state == "live")
    yield shown
    for widget in shown:
        widget.close()


def sent(widget: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A list to which every state that a widget sends from now on is appended."""
    found: list[Any] = []
    monkeypatch.setattr(widget, "_send", lambda message, buffers=None: found.append(message.get("state")))
    return found


def test_an_unchanged_picture_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    counter = Counter()
    counter.redraw()
    messages = sent(counter, monkeypatch)

    for _ in range(100):
        counter.redraw()
    assert messages == []

    report(counter, "click", "press", "")
    assert [sorted(state) for state in messages] == [["content"], ["handled"]]


def test_a_browser_that_has_lost_its_connection_gets_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    counter = Counter()
    messages = sent(counter, monkeypatch)

    report(counter, "probe", "", "")

    assert [sorted(state) for state in messages] == [["handled"]]


def test_an_unchanged_snapshot_sends_nothing(live: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for widget in live:
        if isinstance(widget, RevisionTimeline):
            continue  # its time axis moves
        messages = sent(widget, monkeypatch)
        for _ in range(20):
            widget._on_snapshot(widget.snapshot)
        assert messages == [], type(widget).__name__


def test_an_error_of_a_handler_is_shown_until_the_next_event() -> None:
    counter = Counter()

    report(counter, "click", "fail", "")
    assert "✖ a <fault>" in text_of(counter) and counter.handled

    report(counter, "click", "press", "")
    assert text_of(counter) == "1"


def test_a_picture_that_cannot_be_drawn_is_an_error_in_its_place() -> None:
    counter = Counter()
    counter._picture = counter._fail  # type: ignore[method-assign,assignment]  # it takes an argument: a TypeError

    counter.redraw()

    assert "✖ Cannot draw this: TypeError" in text_of(counter)


def test_a_widget_with_a_view_is_drawn_as_wide_as_it_is(live: list[Any]) -> None:
    chart = next(widget for widget in live if isinstance(widget, SplitChart))

    report(chart, "resize", "width", "400")

    assert "viewBox='0 0 372 " in chart.content and "viewBox='0 0 732 " not in chart.content


def hostile(value: Any) -> Any:
    """The value with all texts replaced by hostile ones, except names that the widgets compare."""
    if isinstance(value, str):
        return HOSTILE if value and not value.startswith(("20", "{")) else value
    if isinstance(value, dict):
        return {key: hostile(found) for key, found in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(hostile(found) for found in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: hostile(getattr(value, f.name)) for f in fields(value) if f.name not in KEPT})
    return value


KEPT = ("state", "word", "url", "uid", "generation", "mode", "latest_created", "latest_rolledout", "observed", "since")


def dangers(html: str) -> list[str]:
    """Elements, attributes and characters that can only come from the hostile text."""
    page = Page(html).root
    found = [e.tag for e in page.all() if e.tag in ("img", "script")]
    found += [name for e in page.all() for name in e.attributes if name.startswith("on")]
    return found + re.findall("[\u202a-\u202e\u2066-\u2069]", html)


def test_hostile_text_in_every_field_stays_text(live: list[Any]) -> None:
    seen = counted(at(50), hits=96, sent=1000)
    snapshot: Snapshot = replace(hostile(seen), document=hostile(dict(seen.document)), observed=seen.observed)
    snapshot = replace(snapshot, failure=HOSTILE, missing=HOSTILE, reason=HOSTILE)
    for widget in live:
        for state in ("live", "error", "stale"):
            widget._on_snapshot(replace(snapshot, state=state, seq=-1))  # type: ignore[arg-type]
            assert "Cannot draw" not in widget.content, (type(widget).__name__, widget.content[:300])
            assert dangers(widget.content) == [] and dangers(widget.html) == [], type(widget).__name__
    assert any("onerror" in text_of(widget) for widget in live)  # it is shown as text


def test_no_widget_has_inline_handlers(live: list[Any]) -> None:
    for widget in live:
        assert [name for e in Page(widget.content).root.all() for name in e.attributes if name.startswith("on")] == []


def test_each_control_of_a_widget_has_a_handler(live: list[Any]) -> None:
    for widget in live:
        for element in Page(widget.content).root.all():
            for name in ("data-click", "data-input", "data-change"):
                if name in element.attributes:
                    assert element.attributes[name] in widget._handlers(), (type(widget).__name__, element)


NOTEBOOK = """
from pathlib import Path
from kserve_nb.values.cluster import Cluster
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.access.api_client import Client
from kserve_nb.access.ingress import Ingress
from kserve_nb.widgets import TrafficSlider
rollout = Rollout(Client(Cluster(Path({kubeconfig!r}), "127.0.0.1:9")), Ingress("127.0.0.1:9"))
slider = TrafficSlider(rollout)
slider
"""
CHANGE = """
import threading
arrived = threading.Event()
slider.observe(lambda change: arrived.set() if slider.status.requested_percent == 20 else None, "status")
rollout.canary(percent=20)
assert arrived.wait(60), slider.text
"""


@pytest.mark.slow
def test_an_executed_notebook_contains_the_last_state(api: FakeApi, tmp_path: Path) -> None:
    api.load("02-canary-10")
    cells = [nbformat.v4.new_code_cell(code) for code in (NOTEBOOK.format(kubeconfig=str(api.kubeconfig)), CHANGE)]
    notebook = nbformat.v4.new_notebook(cells=cells)

    NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()

    (output,) = notebook.cells[0].outputs
    assert "requested 20 %" in output.data["text/plain"] and "requested 10 %" not in output.data["text/plain"]
    assert "class='knb knb-static'" in output.data["text/html"] and "20 %" in Page(output.data["text/html"]).root.text
    (state,) = [found["state"] for found in notebook.metadata.widgets[WIDGET_STATE]["state"].values()
                if "content" in found["state"]]  # fmt: skip
    assert "aria-valuetext='20 % to 00002'" in state["content"]

    config = JSONFileConfigLoader("jupyter_nbconvert_config.json", str(find_course())).load_config()
    output.data["text/html"] = "as it was first"  # JupyterLab saves this, and the last state of the widget
    page, _ = HTMLExporter(config=config).from_notebook_node(notebook)
    assert "as it was first" not in page
    assert 'class="knb knb-static"' in page and "20 % to 00002" in page


WIDGET_STATE = "application/vnd.jupyter.widget-state+json"


def test_a_press_of_a_button_that_has_gone_is_no_error(live: list[Any]) -> None:
    """A browser may show a button for a moment after Python has removed it."""
    slider = live[0]
    assert "Yes, do it" not in buttons(slider)

    report(slider, "click", "yes", "")

    assert slider.phase.word == "settled" and "✖" not in text_of(slider)
    press(slider, "25 %")
    assert slider.value == 25
    assert slider.snapshot.at < FAR


def test_a_kernel_with_an_old_ipywidgets_shows_text_and_html(monkeypatch: pytest.MonkeyPatch) -> None:
    counter = Counter()
    assert "application/vnd.jupyter.widget-view+json" in counter._repr_mimebundle_()

    monkeypatch.setattr(ipywidgets, "__version__", "7.7.1")

    assert counter._repr_mimebundle_() == {"text/plain": counter.text, "text/html": counter.html}
