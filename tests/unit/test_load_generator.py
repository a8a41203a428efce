"""Load at a constant rate: the measured latencies, the counts, and loads that are refused."""

from __future__ import annotations

import asyncio

import pytest

from kserve_nb.gates import load_generator
from kserve_nb.gates.comparison import compare_revisions
from kserve_nb.gates.load_generator import LoadError, LoadResult, Shot
from kserve_nb.rollout.discriminating_input import find_discriminating_input
from kserve_nb.rollout.errors import NotPossibleError
from kserve_nb.rollout.rollout import Rollout
from tests.fake_api import ISVC, FakeApi
from tests.fake_gateway import FakeGateway


def send(rollout: Rollout, gateway: FakeGateway, *, failing: bool = False) -> LoadResult:
    status = rollout.status()
    known = find_discriminating_input(rollout, status)
    gateway.failing = failing
    return asyncio.run(load_generator.send(
        gateway.address, rollout.host(), rollout.name, known, status, rate=200, duration_s=0.5))


def test_a_load_counts_who_answers(api: FakeApi, gateway: FakeGateway, rollout: Rollout) -> None:
    api.load("02-canary-10")

    result = send(rollout, gateway)

    assert len(result.shots) == 100 and result.failed == 0
    assert "requested 10 % · routed 10 % · observed 10.0 %" in result.sentence and "0 of 100 failed" in result.sentence
    assert [row["requests"] for row in result.seconds] == [100]
    assert result.seconds[0]["revisions"] == {"00001": 90, "00002": 10}


def test_a_load_names_why_requests_fail(api: FakeApi, gateway: FakeGateway, rollout: Rollout) -> None:
    api.load("02-canary-10")

    result = send(rollout, gateway, failing=True)

    assert result.failed == 100
    assert "100 times: 503 no healthy upstream" in str(result)


def test_latency_counts_from_the_moment_at_which_the_request_was_due() -> None:
    result = LoadResult((Shot(due_s=1.0, sent_s=1.4, ended_s=1.5),), 1, "", None, None)

    assert result.percentile(50) == pytest.approx(500)
    assert "could not keep up: 1 of 1 requests" in result.warning
    assert LoadResult((Shot(1.0, 1.001, 1.5),), 1, "", None, None).warning == ""


@pytest.mark.parametrize(("rate", "duration_s", "address", "attached", "message"), [
    (5000, 1, "127.0.0.1:80", False, "Cannot send 5000 requests a second"),
    (1000, 600, "127.0.0.1:80", False, "the limits are 600 s and 200,000 requests"),
    (1, 1, "10.0.0.1:80", False, "it is not on this machine"),
    (0, 1, "127.0.0.1:80", False, "choose a rate above 0"),
])
def test_a_load_is_bounded_and_stays_on_this_machine(
    rate: float, duration_s: float, address: str, attached: bool, message: str
) -> None:
    with pytest.raises(LoadError, match=message):
        load_generator.check(rate, duration_s, address, attached=attached)

    load_generator.check(50, 10, "10.0.0.1:80", attached=True)


def test_a_comparison_needs_a_host_for_each_revision(api: FakeApi, gateway: FakeGateway, rollout: Rollout) -> None:
    api.load("02-canary-10")
    with pytest.raises(NotPossibleError, match="no traffic target has the tag latest"):
        compare_revisions(rollout)

    gateway.tagged = True
    traffic = api.objects[f"{ISVC}/sklearn-iris"]["status"]["components"]["predictor"]["traffic"]
    traffic[0] |= {"tag": "latest", "url": "http://latest-sklearn-iris-predictor.kserve-test.example.com"}
    result = compare_revisions(rollout, [[5, 3, 1, 0.2], [6, 3, 5.4, 2]])

    assert (result.previous, result.latest, result.differing) == ([0, 1], [0, 2], [1])
    assert "1 → 2: 1 times" in str(result)
