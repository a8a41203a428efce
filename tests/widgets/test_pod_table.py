"""The pod table follows the cluster until it is closed."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from kserve_nb.rollout import Rollout
from kserve_nb.widgets.faces import _pod_glyph
from kserve_nb.widgets.pod_table import PodTable
from tests.fake_api import FakeApi

DEADLINE_S = 10


@pytest.fixture
def table(api: FakeApi, rollout: Rollout) -> Iterator[PodTable]:
    api.load("02-canary-10")
    shown = PodTable(rollout)
    yield shown
    shown.close()


def until(table: PodTable, count: int) -> None:
    """Wait until the table shows so many pods."""
    arrived = threading.Event()
    table.observe(lambda change: arrived.set() if len(change["new"]) == count else None, "pods")
    assert len(table.pods) == count or arrived.wait(DEADLINE_S), table.text


def test_it_shows_the_pods_as_text_and_html(table: PodTable) -> None:
    until(table, 2)

    assert table.text == "REVISION   READY   STATUS    RESTARTS\n" \
                         "00001      2/2     Running   0\n" \
                         "00002      2/2     Running   0"
    bundle = table._repr_mimebundle_()
    assert bundle["text/plain"] == table.text and "<td" in bundle["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "pods of <b>sklearn-iris</b> · live · last change" in table._view.value


def test_it_follows_the_cluster(api: FakeApi, table: PodTable) -> None:
    until(table, 2)

    api.forget_pods()

    until(table, 0)
    assert table.text == "sklearn-iris: no pods"


def test_close_ends_its_thread(table: PodTable) -> None:
    until(table, 2)

    table.close()
    table.close()

    assert table._feed.closed
    assert "closed: as it was" in table._view.value and "00002" in table._view.value


def test_an_outage_leaves_the_last_pods_and_says_so(table: PodTable) -> None:
    until(table, 2)

    table._set_error("the cluster <does> not answer")

    assert "✖ not live" in table._view.value and "&lt;does&gt;" in table._view.value and len(table.pods) == 2


def test_unknown_arguments_are_errors(rollout: Rollout) -> None:
    with pytest.raises(TypeError):
        PodTable(rollout, colour="red")  # type: ignore[call-arg]


def test_each_state_has_a_glyph_of_its_own() -> None:
    states = {"2/2 Running": "✔", "1/2 Running": "…", "0/2 Init:0/1": "…", "1/2 Terminating": "↓",
              "0/2 Init:Error": "✖", "1/2 CrashLoopBackOff": "✖", "0/2 Pending": "…"}

    assert {state: _pod_glyph(*state.split()) for state in states} == states


def test_a_cell_waits_for_the_first_look_so_that_its_saved_text_says_something(table: PodTable) -> None:
    assert "00002" in table._repr_mimebundle_()["text/plain"]
