"""Tests of the timeline: lanes, looking back, gaps, marks of warnings, and the exported file."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from kserve_nb.observe.history import RequestBatch, RolloutHistory, TimelineFrame, lanes_of
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.widgets import revision_timeline
from kserve_nb.widgets.drawing import timeline_picture
from kserve_nb.widgets.revision_timeline import RevisionTimeline
from kserve_nb.widgets.status_line import StatusLine
from tests.fake_api import ISVC, FakeApi, one
from tests.widgets.page import drag, press, text_of
from tests.widgets.replay import at, history
from tests.widgets.seen import until


def test_bands_follow_the_traffic() -> None:
    course = lanes_of(history())

    bands = {name[-5:]: [s.percent for s in spans] for name, spans in course.traffic.items()}
    assert bands == {"00001": [100, 90, 100, 90], "00002": [10, 100, 0, 10], "00003": [10]}
    pods = {name[-5:]: [[s.what for s in spans] for spans in found.values()] for name, found in course.pods.items()}
    assert pods["00001"] == [["starting", "ready", "ending"], ["starting", "ready"]]
    assert [text for _, text in course.actions] == [
        "requested: no percent for model", "requested: 10 % for model-2",
        "requested: no percent", "requested: 0 %", "requested: 10 %"]


def test_a_time_without_data_is_a_gap() -> None:
    known = TimelineFrame(0, True, "10 %", "m", "settled", (("a-00001", 100),))
    seen = RolloutHistory("x", (known, TimelineFrame(10, False), replace(known, at=20)), (), 30)

    course = lanes_of(seen)

    assert [(span.start, span.end) for span in course.unobserved] == [(10, 20)]
    assert [(span.start, span.end) for span in course.traffic["a-00001"]] == [(0, 10), (20, 30)]
    assert "the cluster does not respond" in timeline_picture.story(seen)
    assert "no data: the cluster did not answer" in timeline_picture.picture(seen)
    assert timeline_picture.frame_text(seen.at(15)) == "no data: the cluster did not answer at this moment"


def test_requests_stand_on_the_same_axis() -> None:
    whole = history()
    sent = whole.until - 60
    samples = tuple(RequestBatch(sent + n, "sklearn-iris-predictor-00002", 3, 25, n) for n in (0, 1, 30))
    seen = replace(whole, samples=samples)

    assert "09:17:14  requests: 6 of 50 answered by 00002 (12.0 %), 1 failed" in timeline_picture.story(seen)
    assert timeline_picture.picture(seen).count("3 of 25 answered by 00002, 0 failed") == 2
    assert ">requests<" in timeline_picture.picture(seen) and ">requests<" not in timeline_picture.picture(whole)
    assert [sample.at for sample in seen.since(sent + 10).samples] == [sent + 30]


def test_looking_back_shows_the_state_at_that_time() -> None:
    whole = history()

    shown = revision_timeline.text(at(190), whole, whole.until - 100)

    assert shown.endswith(
        "at 09:16:34:\nrequested no percent for model-2\nrouted 100 % → 00002\npods 00001 ready · 00002 ready\nsettled")
    assert "<b>at 09:16:34</b>" in revision_timeline.html(at(190), whole, whole.until - 100)


def test_the_last_minutes_start_with_the_state_at_that_time() -> None:
    whole = history()

    part = whole.since(whole.until - 60)

    assert part.frames[0].at == whole.until - 60 and part.frames[0].requested == "0 %"
    assert all(event.at >= whole.until - 60 for event in part.events)


def test_the_file_needs_nothing_else() -> None:
    page = revision_timeline.document(at(190), history())

    assert "<svg" in page and "pod of 00003: ready" in page and "routed 90 % " in page
    assert not re.search(r"(src|href)=|url\((?!#)|@import", page)


def test_a_timeline_that_is_opened_late_shows_the_feeds_history(api: FakeApi, rollout: Rollout) -> None:
    api.load("02-canary-10")
    line = StatusLine(rollout)
    until(line, lambda snapshot: snapshot.state == "live")

    timeline = RevisionTimeline(rollout)

    assert "found requested: 10 % for model-2" in timeline.text and "<svg" in timeline.content
    timeline.close()
    line.close()


def test_a_user_scrubs_the_timeline_and_saves_it(
    api: FakeApi, rollout: Rollout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    api.load("02-canary-10")
    timeline = RevisionTimeline(rollout)
    until(timeline, lambda snapshot: snapshot.state == "live")
    api.put(f"{ISVC}/sklearn-iris", one("05-rollback", "isvc"))
    until(timeline, lambda snapshot: snapshot.status.requested_percent == 0)
    assert "found requested: 10 % for model-2" in timeline.text and "requested: 0 %" in timeline.text

    drag(timeline, 0, "look back")
    assert timeline.back_s >= 1 and " s ago, at " in text_of(timeline)
    press(timeline, "Save as HTML")

    assert timeline.saved == "saved as sklearn-iris-timeline.html"
    assert "requested: 0 %" in (tmp_path / "sklearn-iris-timeline.html").read_text()
    timeline.close()
    assert timeline._subscription.feed.closed


def test_warnings_of_normal_operation_are_no_red_marks() -> None:
    course = lanes_of(history())
    warnings = [event for event in history().events if event.warning]

    explained = {(event.reason, event.at): timeline_picture.why_normal(event, course) for event in warnings}

    words = [why for (reason, _), why in explained.items() if reason == "Unhealthy"]
    assert words == ["normal while a pod drains", "normal while a pod starts", "normal while a pod drains"]
    assert {why for (reason, _), why in explained.items() if reason == "UpdateFailed"} == {
        "normal: two controllers wrote at the same time, and one retries"}
    assert {why for (reason, _), why in explained.items() if reason == "BackOff"} == {""}
    assert timeline_picture.picture(history()).count("✖") == 0
