"""Tests of the chart of requests: by button and in code."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from scipy.stats import binomtest

from kserve_nb.rollout.rollout import Rollout
from kserve_nb.rollout.statistics import interval
from kserve_nb.widgets.split_chart import SplitChart
from tests.fake_api import FakeApi
from tests.fake_gateway import FakeGateway
from tests.widgets.page import is_enabled, press, text_of
from tests.widgets.seen import until


@pytest.fixture
def chart(api: FakeApi, rollout: Rollout) -> Iterator[SplitChart]:
    api.load("02-canary-10")
    shown = SplitChart(rollout)
    until(shown, lambda snapshot: snapshot.state == "live")
    yield shown
    shown.close()


def test_before_the_first_request_it_shows_how_to_send_some(chart: SplitChart) -> None:
    assert chart.text == "sklearn-iris: no requests counted yet. Press Send, or call chart.send(300)"


def test_code_sends_and_the_chart_shows_it(chart: SplitChart) -> None:
    tally = chart.send(100)

    assert tally is not None and tally.split.sent == 100
    until(chart, lambda snapshot: snapshot.sample is not None and snapshot.sample.split.sent == 100)
    assert "100 requests: " in chart.text and "<polyline" in chart.content
    assert len(chart.snapshot.observed.path) == 4


def test_a_button_does_the_same_and_reset_starts_over(chart: SplitChart) -> None:
    press(chart, "Send 50")

    until(chart, lambda snapshot: snapshot.sample is not None and snapshot.sample.split.sent == 50)
    until(chart, lambda sending: sending == "", "sending")
    assert is_enabled(chart, "Send 50") and not is_enabled(chart, "Stop")

    press(chart, "Reset count")
    until(chart, lambda snapshot: snapshot.observed is None)


def test_lost_requests_are_counted_as_lost(gateway: FakeGateway, chart: SplitChart) -> None:
    chart.send(25)
    gateway.failing = True
    tally = chart.send  # no discriminating input can be found while all requests fail
    with pytest.raises(Exception, match="no healthy upstream"):
        tally(25)

    assert chart.sending == ""


def test_an_error_behind_a_button_is_shown_in_the_view(gateway: FakeGateway, chart: SplitChart) -> None:
    gateway.failing = True

    press(chart, "Send 50")

    until(chart, lambda error: "no healthy upstream" in error, "error")
    assert "✖ Cannot send requests: " in text_of(chart) and "role='alert'" in chart.content


def test_close_ends_its_sender(chart: SplitChart) -> None:
    press(chart, "Send 1000")

    chart.close()

    assert not [thread for thread in threading.enumerate() if thread.name == "requests"]
    assert not is_enabled(chart, "Send 50")


@pytest.mark.parametrize(("hits", "sent"), [(0, 50), (5, 50), (96, 1000), (1000, 1000)])
def test_the_band_is_the_one_that_the_verdict_has(hits: int, sent: int) -> None:
    known = binomtest(hits, sent).proportion_ci(0.95, method="wilson")

    assert interval(hits, sent) == pytest.approx((100 * known.low, 100 * known.high), abs=1e-4)


def test_unknown_arguments_are_errors(rollout: Rollout) -> None:
    with pytest.raises(TypeError):
        SplitChart(rollout, colour="red")  # type: ignore[call-arg]
