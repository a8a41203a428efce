"""Tests of the complete texts of the widgets, for objects recorded on a real cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from kserve_nb.access.api_client import INFERENCE_SERVICE, KNATIVE_SERVICE
from kserve_nb.observe.snapshot import Observed, Snapshot, snapshot_of
from kserve_nb.rollout.sampling import Tally
from kserve_nb.values.split import Split
from kserve_nb.widgets import condition_ladder, rollout_tree, split_chart, status_line
from kserve_nb.widgets.drawing import pod_rows, timeline_picture
from tests.fake_api import one
from tests.widgets.page import Page
from tests.widgets.replay import DATA, at, history

MOMENTS = {
    "created": 1.3, "first-model": 10, "canary-starting": 34.5, "canary-10": 50, "promoted": 110,
    "pin-under-way": 139.6, "pinned": 150, "tagged": 190,
}


def said(snapshot: Snapshot) -> str:
    return "\n\n".join(part.text(snapshot) for part in (status_line, rollout_tree, condition_ladder, pod_rows)) + "\n"


def counted(snapshot: Snapshot, hits: int, sent: int, batch: int = 25) -> Snapshot:
    """The snapshot after this number of requests."""
    latest = snapshot.status.latest if snapshot.status else None
    assert latest is not None
    names = {latest.revision: 0, "sklearn-iris-predictor-00001": 0}
    observed = Observed(Tally(Split(names), latest.revision, latest.percent, "for [6.5] 00001 says 0, 00002 says 1"))
    for done in range(0, sent, batch):
        some = min(batch, sent - done)
        have = hits * (done + some) // sent - hits * done // sent
        split = Split({latest.revision: have, "sklearn-iris-predictor-00001": some - have})
        observed = observed.plus(replace(observed.tally, split=split))
    return replace(snapshot, observed=observed)


@pytest.mark.parametrize("name", MOMENTS)
def test_each_moment_of_the_tutorial_reads_as_it_should(name: str) -> None:
    assert said(at(MOMENTS[name])) == (DATA / "texts" / f"{name}.txt").read_text()


def test_a_broken_canary_names_the_deepest_cause_first() -> None:
    isvc, ksvc = one("broken-canary", "isvc"), one("broken-canary", "ksvc")
    snapshot = snapshot_of(isvc["metadata"]["name"], {INFERENCE_SERVICE: [isvc], KNATIVE_SERVICE: [ksvc]})

    assert condition_ladder.sentence(snapshot).endswith(
        "model failed: ModelLoadFailed: Storage initialization failed: GCS resource 'kfserving-examples' not found.")
    assert snapshot.phase == "failed" and "✖" in status_line.text(snapshot)
    assert "GCS resource &#x27;kfserving-examples&#x27;" in condition_ladder.html(snapshot)


def test_requested_routed_and_observed_stand_side_by_side() -> None:
    snapshot = counted(at(50), hits=96, sent=1000)

    assert rollout_tree.text(snapshot).splitlines()[2:] == [
        "├─ ✔ 00001 PREV           model     90 %        90 %     90.4 % [87.4–93.0]",
        "│  └─ ✔ pod 2/2 Running",
        "└─ ✔ 00002 LATEST         model-2   10 %        10 %     9.6 % [7.0–12.6]",
        "   └─ ✔ pod 2/2 Running",
    ]
    percents = "requested 10 % → routed 10 % → observed 9.6 % [7.0–12.6], verified · no request failed"
    assert percents in status_line.text(snapshot)


def test_a_count_under_another_split_is_not_shown_as_that_of_now() -> None:
    counted_before = counted(at(50), hits=10, sent=100).observed

    snapshot = replace(at(110), observed=counted_before)

    assert snapshot.sample is None
    assert "no requests since the traffic moved" in split_chart.text(snapshot)


def test_the_chart_names_the_revisions_that_answered() -> None:
    snapshot = counted(at(50), hits=31, sent=300)

    assert split_chart.text(snapshot) == (
        "300 requests: 00001 269 · 00002 31\n"
        "00001 ███████████████████████████··· 89.7 % [84.0–93.9]\n"
        "00002 ███··························· 10.3 % [6.1–16.0]\n"
        "◌ too few requests to tell 10 %: 31 of 300 = 10.3 % [6.1–16.0]. Send 565 more\n"
        "how we know: for [6.5] 00001 says 0, 00002 says 1"
    )
    drawn = split_chart.html(snapshot)
    assert "<polygon" in drawn and "observed 10.3 %" in drawn and "routed 10 %" in drawn and "300 requests" in drawn


def test_a_batch_sent_while_traffic_moved_counts_for_nothing() -> None:
    observed = counted(at(50), hits=10, sent=100).observed
    assert observed is not None

    mixed = observed.plus(replace(observed.tally, moved=True, split=Split({"a": 25})))

    assert mixed.tally == observed.tally and mixed.mixed == 25
    shown = split_chart.text(replace(at(50), observed=mixed))
    assert "25 more requests are not counted: the traffic moved while they were sent" in shown


def test_the_path_of_a_long_count_stays_short() -> None:
    observed = counted(at(50), hits=1000, sent=20_000).observed

    assert observed is not None and len(observed.path) <= 201 and observed.tally.split.sent == 20_000


def test_the_history_reads_as_sentences() -> None:
    assert timeline_picture.story(history()) + "\n" == (DATA / "texts" / "story.txt").read_text()


def test_a_view_that_is_not_live_states_it() -> None:
    stale = replace(at(50), state="stale", age_s=10, at=1795425290.0, reason="127.0.0.1: refused")

    for part in (status_line, rollout_tree, condition_ladder, pod_rows, split_chart):
        assert "✖ out of date: no answer for 10 s, last state from 09:14:50: 127.0.0.1: refused" in part.text(stale)
        assert "knb-stale" in part.html(stale) and "role='alert'" in part.html(stale)


@pytest.mark.parametrize("name", MOMENTS)
def test_all_html_is_well_formed_and_its_pictures_have_text(name: str) -> None:
    snapshot = at(MOMENTS[name])
    views: list[Callable[[Snapshot], str]] = [
        status_line.html, rollout_tree.html, condition_ladder.html, pod_rows.html, split_chart.html]

    for html in [view(snapshot) for view in views] + [timeline_picture.picture(history(), history().until - 60)]:
        pictures = [e for e in Page(html).root.all() if e.tag == "svg" and "aria-hidden" not in e.attributes]
        assert all(picture.attributes["aria-label"] for picture in pictures)
