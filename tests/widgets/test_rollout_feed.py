"""Tests of the feed: one per rollout, shared by its widgets, stale in an outage, ended with its last widget."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kserve_nb.access.api_client import Client
from kserve_nb.access.ingress import Ingress
from kserve_nb.observe.feed import rollout_feed, subscription
from kserve_nb.observe.feed.rollout_feed import RolloutFeed
from kserve_nb.observe.snapshot import Snapshot
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.widgets.rollout_tree import RolloutTree
from kserve_nb.widgets.status_line import StatusLine
from tests.fake_api import ISVC, PODS, FakeApi, one, recorded
from tests.widgets.seen import until

pytestmark = pytest.mark.slow

DEADLINE_S = 60


@pytest.fixture
def line(api: FakeApi, rollout: Rollout) -> Iterator[StatusLine]:
    api.load("02-canary-10")
    shown = StatusLine(rollout)
    until(shown, lambda snapshot: snapshot.state == "live")
    api.until_watched(6, DEADLINE_S)
    yield shown
    shown.close()


def threads() -> set[str]:
    """Names of the threads that belong to a feed."""
    return {t.name for t in threading.enumerate() if t.name.startswith(("watch of", "ping for", "feed of"))}


def test_widgets_of_one_rollout_share_a_feed(line: StatusLine, rollout: Rollout) -> None:
    tree = RolloutTree(rollout)

    assert tree._subscription.feed is line._subscription.feed
    tree.close()
    assert not line._subscription.feed.closed
    line.close()
    assert line._subscription.feed.closed


def test_closing_the_last_widget_leaves_no_thread_and_no_watch(api: FakeApi, line: StatusLine) -> None:
    assert len(threads()) == 8

    line.close()

    assert threads() == set()
    api.until_nobody_watches(DEADLINE_S)
    assert "closed: this is the last state" in line.html and "90/10" in line.text
    line.close()


def test_a_cell_that_runs_again_closes_the_widgets_of_its_last_run(
    api: FakeApi, rollout: Rollout, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.load("02-canary-10")
    runs = {"now": ("", "")}
    monkeypatch.setattr(subscription, "_running_cell", lambda: runs["now"])
    made = []
    for runs["now"] in (("a", "1"), ("a", "1"), ("b", "1"), ("a", "2"), ("", "")):
        made.append(StatusLine(rollout))
        until(made[-1], lambda snapshot: snapshot.state == "live")

    assert [line._subscription.ended for line in made] == [True, True, False, False, False]
    assert made[0].snapshot.state == "closed" and len(threads()) == 8
    for line in made:
        line.close()
    assert threads() == set()


def test_a_lost_cluster_is_stale_and_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout_feed, "STALE_S", 0.5)
    monkeypatch.setattr(rollout_feed, "_PING_S", 0.1)
    api = FakeApi(tmp_path)
    api.load("02-canary-10")
    line = StatusLine(Rollout(Client(api.cluster()), Ingress("127.0.0.1:9")))
    until(line, lambda snapshot: snapshot.state == "live")

    api.close()
    until(line, lambda snapshot: snapshot.state == "stale")
    assert "90/10 settled" in line.text and "does not respond" in line.text
    assert line.snapshot.pods and "knb-stale" in line.html

    again = FakeApi(tmp_path, port=api.port)
    again.load("04-promote")
    promoted = {"sklearn-iris-predictor-00002": 100}
    until(line, lambda snapshot: snapshot.state == "live" and snapshot.requested == promoted)
    assert [frame.seen for frame in line._subscription.feed.history().frames].count(False) == 1
    line.close()
    again.close()


def test_an_unreachable_cluster_is_reported_immediately(api: FakeApi, rollout: Rollout) -> None:
    api.close()

    line = StatusLine(rollout)

    until(line, lambda snapshot: snapshot.state == "stale")
    assert "✖ the cluster has not answered yet" in line.text and "does not respond" in line.text
    bundle = line._repr_mimebundle_()
    assert "not seen yet" in bundle["text/html"]
    line.close()


def test_forbidden_reads_are_reported_and_the_last_data_stay(api: FakeApi, line: StatusLine) -> None:
    api.refuse = "pods is forbidden: User <you> cannot list resource"
    watch = line._subscription.feed._watches[rollout_feed.KINDS[4]]

    failed, deadline = threading.Event(), time.monotonic() + DEADLINE_S
    line.observe(lambda change: failed.set() if change["new"].state == "error" else None, "snapshot")
    while not failed.wait(0.1):
        assert time.monotonic() < deadline, line.text
        watch.restart()  # without effect until the client has opened the watch

    assert "✖ not live: pods is forbidden" in line.text and "&lt;you&gt;" in line.html
    assert len(line.snapshot.pods) == 2

    api.refuse = ""
    until(line, lambda snapshot: snapshot.state == "live")


def test_other_rollouts_of_the_namespace_do_not_show(api: FakeApi, line: StatusLine) -> None:
    other = json.loads(json.dumps(one("02-canary-10", "isvc")).replace("sklearn-iris", "other"))
    other["metadata"]["uid"] = "other"
    seq = line.snapshot.seq

    api.put(f"{ISVC}/other", other)
    api.put(f"{ISVC}/sklearn-iris", one("05-rollback", "isvc"))

    until(line, lambda snapshot: snapshot.status.requested_percent == 0)
    assert line.snapshot.name == "sklearn-iris" and line.snapshot.seq > seq


def test_an_event_that_changes_nothing_that_is_shown_draws_nothing(api: FakeApi, line: StatusLine) -> None:
    drawn: list[Any] = []
    line.observe(drawn.append, "content")
    pod = recorded("02-canary-10", "pods")["items"][0]

    for version in range(50):
        pod["metadata"]["resourceVersion"] = str(version)
        api.put(f"{PODS}/{pod['metadata']['name']}", pod)
    api.put(f"{ISVC}/sklearn-iris", one("05-rollback", "isvc"))
    until(line, lambda snapshot: snapshot.status.requested_percent == 0)

    assert len(drawn) == 1


def test_a_flood_of_events_is_few_pictures_and_the_last_state(api: FakeApi, rollout: Rollout) -> None:
    api.load("02-canary-10")
    taken: list[Snapshot] = []
    feed = RolloutFeed(rollout.client, rollout.name)
    feed.subscribe(taken.append)
    assert feed.wait_first(DEADLINE_S)
    before, begun = len(taken), time.monotonic()
    changed = one("02-canary-10", "isvc")

    for percent in (*range(100), 42):
        changed["spec"]["predictor"]["canaryTrafficPercent"] = percent
        api.put(f"{ISVC}/sklearn-iris", json.loads(json.dumps(changed)))
    deadline = threading.Event()
    while taken[-1].status is None or taken[-1].status.requested_percent != 42:
        assert time.monotonic() - begun < DEADLINE_S
        deadline.wait(0.02)

    assert len(taken) - before <= 4 * (time.monotonic() - begun) + 2
    feed.close()
    assert feed.closed


def test_text_and_json_are_of_the_same_snapshot(line: StatusLine) -> None:
    found = line.json

    assert json.loads(json.dumps(found)) == found
    assert found["phase"] == "settled" and found["requested"] == found["routed"]
    assert found["status"]["requested_percent"] == 10 and len(found["pods"]) == 2
