"""Tests of the panel with all widgets, and of widgets with a thousand pods."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from kserve_nb import widgets
from kserve_nb.access.api_client import POD, REVISION
from kserve_nb.observe.snapshot import DeletedPod, snapshot_of
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.values.pods import Pod
from kserve_nb.widgets import rollout_tree
from kserve_nb.widgets.condition_ladder import ConditionLadder
from kserve_nb.widgets.drawing import pod_rows
from kserve_nb.widgets.panel import Panel
from kserve_nb.widgets.rollout_tree import RolloutTree
from tests.fake_api import FakeApi, recorded
from tests.widgets.page import tick
from tests.widgets.replay import at
from tests.widgets.seen import until

MANY = 1000


def test_every_listed_name_is_there() -> None:
    assert all(getattr(widgets, name) for name in widgets.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        widgets.nope  # noqa: B018 - the access itself is tested


def test_its_parts_show_one_snapshot_and_end_together(api: FakeApi, rollout: Rollout) -> None:
    api.load("02-canary-10")
    before = set(threading.enumerate())
    panel = Panel(rollout)
    until(panel.line, lambda snapshot: snapshot is not None and snapshot.phase == "settled")
    bundle = panel._repr_mimebundle_()

    assert panel.tree.snapshot is panel.line.snapshot
    known = ("90/10 settled", "00001 PREV", "no requests counted",
             "REVISION   READY", "found requested: 10 % for model-2", "conditions are met")
    assert [words for words in known if words not in bundle["text/plain"]] == []
    assert "state at" in bundle["text/html"] and panel.json["phase"] == "settled"
    assert "application/vnd.jupyter.widget-view+json" in bundle

    panel.close()
    left = {thread.name for thread in set(threading.enumerate()) - before}
    assert not {name for name in left if not name.startswith("Thread-")}  # the threads of the fake servers
    assert "closed" in panel.tree.html


def test_older_revisions_show_on_request(api: FakeApi, rollout: Rollout) -> None:
    api.load("02-canary-10")
    tree = RolloutTree(rollout)
    until(tree, lambda snapshot: snapshot.state == "live")
    old = at(190).revisions[1]
    tree.snapshot = replace(tree.snapshot, revisions=(old,), pods=(), route=(), status=None)
    assert "00002" not in tree.text

    tick(tree, "show 1 older revision")

    assert tree.older and "00002" in tree.text
    tree.close()


def test_all_conditions_show_on_request(api: FakeApi, rollout: Rollout) -> None:
    api.load("02-canary-10")
    ladder = ConditionLadder(rollout)
    until(ladder, lambda snapshot: snapshot.state == "live")
    assert "RoutesReady" not in ladder.text

    tick(ladder, "show all conditions, also those that are met")

    assert "RoutesReady" in ladder.text
    ladder.close()


def test_a_thousand_pods_are_one_screen() -> None:
    pod = recorded("02-canary-10", "pods")["items"][0]
    pods = [{**pod, "metadata": {**pod["metadata"], "name": f"pod-{n:04}"}} for n in range(MANY)]

    snapshot = replace(at(50), pods=snapshot_of("sklearn-iris", {POD: pods, REVISION: []}).pods)
    html, text, tree = pod_rows.html(snapshot), pod_rows.text(snapshot), rollout_tree.html(snapshot)

    assert html.count("<tr ") < 30 and "and 980 more" in html and "1000 of 1000 pods ready" in html
    assert len(text.splitlines()) < 30 and "00001: and 980 more" in text
    assert "and 994 more pods" in tree


def test_pods_that_are_not_ready_come_first() -> None:
    ready = [Pod(f"a{n}", "x-00001", 2, 2, "Running") for n in range(50)]
    broken = Pod("z", "x-00001", 1, 2, "CrashLoopBackOff", 7, "back-off 10s")

    html = pod_rows.html(replace(at(50), pods=(*ready, broken)))

    assert html.index("✖ CrashLoopBackOff") < html.index("✔ Running") and "back-off 10s" in html


def test_deleted_pods_are_struck_through() -> None:
    deleted = DeletedPod(at(50).pods[0], 1795425290.0)

    html = pod_rows.html(replace(at(50), deleted_pods=(deleted,)))

    assert "† gone at 09:14:50" in html and "<s>" in html and "knb-gone" in html
