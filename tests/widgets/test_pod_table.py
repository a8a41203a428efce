"""Tests of the pod table: rows, selection, log, and the end of its updates."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from kserve_nb.rollout.rollout import Rollout
from kserve_nb.values.pods import Pod
from kserve_nb.widgets.drawing import pod_rows
from kserve_nb.widgets.drawing.pod_rows import pod_glyph
from kserve_nb.widgets.pod_table import PodTable
from tests.fake_api import EVENTS, PODS, FakeApi, recorded
from tests.widgets.page import Page, choose, control, press, report, text_of
from tests.widgets.seen import until


@pytest.fixture
def table(api: FakeApi, rollout: Rollout) -> Iterator[PodTable]:
    api.load("02-canary-10")
    shown = PodTable(rollout)
    until(shown, lambda snapshot: len(snapshot.pods) == 2)
    yield shown
    shown.close()


def test_it_shows_the_pods_as_text_and_html(table: PodTable) -> None:
    assert table.text == "REVISION   READY   STATUS    RESTARTS\n" \
                         "00001      2/2     Running   0\n" \
                         "00002      2/2     Running   0\n" \
                         "expected: 00001 ×1 ✔ · 00002 ×1 ✔"
    bundle = table._repr_mimebundle_()
    assert bundle["text/plain"] == table.text and "<td" in bundle["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "should" not in table.text and "00002" in text_of(table)


def test_it_follows_the_cluster_and_keeps_deleted_pods_in_view(api: FakeApi, table: PodTable) -> None:
    api.forget_pods()

    until(table, lambda snapshot: not snapshot.pods)
    assert table.text.startswith("sklearn-iris: no pods\nexpected: 00001 ×1 ◌ · 00002 ×1 ◌\ngone at ")
    assert table.html.count("† gone at") == 2 and "<s>" in table.html


def test_only_the_picked_revision_is_shown(table: PodTable) -> None:
    choose(table, "revision", "00002")

    assert table.revision == "sklearn-iris-predictor-00002"
    assert "00001      2/2" not in table.text and "00002      2/2" in table.text


def test_a_picked_pod_shows_its_events_and_the_end_of_its_log(api: FakeApi, table: PodTable) -> None:
    name = recorded("02-canary-10", "pods")["items"][0]["metadata"]["name"]
    api.logs[f"{PODS}/{name}/log"] = "the last <line>\n"
    whom = {"kind": "Pod", "name": name}
    api.put(f"{EVENTS}/e", {"metadata": {"name": "e", "creationTimestamp": "2026-11-23T09:15:24Z"},
                            "involvedObject": whom, "reason": "Started", "message": "Container started"})
    until(table, lambda snapshot: bool(snapshot.events))

    press(table, f"…{name[-5:]} of {name.split('-')[3]}: log")

    assert table.picked == name
    until(table, lambda log: "the last <line>" in log, "log")
    shown = text_of(table)
    assert "Started: Container started" in shown and "the last <line>" in shown


def test_a_click_on_a_row_selects_its_pod_and_a_second_one_no_pod(table: PodTable) -> None:
    rows = [e for e in Page(table.content).root.all() if e.tag == "tr" and e.attributes.get("data-click")]
    names = [row.attributes["data-value"] for row in rows]
    assert names == [pod.name for pod in table.snapshot.pods]

    report(table, "click", "pick", names[1])
    assert table.picked == names[1] and control(table, "log of").attributes["data-selected"] == names[1]
    again = next(e for e in Page(table.content).root.all() if e.attributes.get("data-key") == names[1])
    report(table, "click", again.attributes["data-click"], again.attributes["data-value"])

    assert table.picked == ""


def test_pods_stand_in_the_order_that_is_chosen(table: PodTable) -> None:
    pods = (Pod("r-00001-a", "r-00001", 2, 2, "Running", restarts=1), Pod("r-00001-b", "r-00001", 1, 2, "Running"),
            Pod("r-00001-c", "r-00001", 2, 2, "Running", restarts=4))
    snapshot = replace(table.snapshot, pods=pods)

    def order(name: pod_rows.PodOrder) -> list[str]:
        return re.findall(r"…001-([abc])<", pod_rows.html(snapshot, order=name))

    assert [order(name) for name in pod_rows.POD_ORDERS] == [["b", "a", "c"], ["c", "a", "b"], ["a", "b", "c"]]
    choose(table, "sort", "name")
    assert table.order == "name"


def test_why_a_pod_fails_is_the_end_of_its_log_without_the_loggers_head(table: PodTable) -> None:
    log = ("2026-11-23 09:45:14.488 1 storage.initializer INFO [initializer-entrypoint:<module>():17] begins\n"
           "2026-11-23 09:45:14.499 1 storage.initializer ERROR [initializer-entrypoint:<module>():28] not found\n")
    pod = Pod("r-00001-a", "r-00001", 0, 2, "Init:Error", message=log)

    assert ">not found</td>" in pod_rows.html(replace(table.snapshot, pods=(pod,)))


def test_close_leaves_the_last_picture(table: PodTable) -> None:
    table.close()

    assert table._subscription.feed.closed
    assert "closed: this is the last state" in table.html and "Running" in text_of(table)
    table.picked = "sklearn-iris-predictor-00001"
    assert "closed: the log is no longer read" in text_of(table)
    table.close()


def test_unknown_arguments_are_errors(rollout: Rollout) -> None:
    with pytest.raises(TypeError):
        PodTable(rollout, colour="red")  # type: ignore[call-arg]


def test_each_state_has_its_own_glyph() -> None:
    states = {"2/2 Running": "✔", "1/2 Running": "…", "0/2 Init:0/1": "…", "1/2 Terminating": "↓",
              "0/2 Init:Error": "✖", "1/2 CrashLoopBackOff": "✖", "0/2 Pending": "…"}

    assert {state: pod_glyph(*state.split()) for state in states} == states


def test_a_cell_waits_for_the_first_snapshot_so_that_its_saved_text_is_not_empty(table: PodTable) -> None:
    assert "00002" in table._repr_mimebundle_()["text/plain"]
