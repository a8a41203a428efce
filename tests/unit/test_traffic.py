"""Which revision answered, and whether the split is the requested one."""

from __future__ import annotations

import pytest

from kserve_nb.rollout import discriminating_input, sampling, statistics
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.values.split import Split
from tests import fake_gateway
from tests.fake_api import ISVC, FakeApi
from tests.fake_gateway import FakeGateway, shares

LATEST = "sklearn-iris-predictor-00002"
PREVIOUS = "sklearn-iris-predictor-00001"


@pytest.mark.parametrize(
    ("hits", "sent", "percent", "word"),
    [
        (94, 1000, 10, "consistent"),
        (70, 1000, 10, "consistent"),
        (132, 1000, 10, "consistent"),
        (69, 1000, 10, "not"),
        (133, 1000, 10, "not"),
        (213, 1000, 10, "not"),
        (0, 10, 10, "too few"),
        (34, 300, 10, "too few"),
        (0, 1000, 10, "not"),
        (0, 500, 0, "consistent"),
        (1, 500, 0, "not"),
        (500, 500, 100, "consistent"),
        (0, 0, 10, "too few"),
    ],
)
def test_a_sample_is_judged_by_the_exact_test(hits: int, sent: int, percent: int, word: str) -> None:
    assert statistics.judge(hits, sent, percent).word == word


@pytest.mark.parametrize(
    ("sent", "low", "high"), [(20, 2.8, 30.1), (100, 5.5, 17.4), (300, 7.1, 13.9), (1000, 8.3, 12.0), (5000, 9.2, 10.9)]
)
def test_the_interval_is_wilsons(sent: int, low: float, high: float) -> None:
    verdict = statistics.judge(sent // 10, sent, 10)

    assert (round(verdict.low, 1), round(verdict.high, 1)) == (low, high)


def test_too_few_requests_are_reported_with_the_needed_number_and_the_chance_of_none() -> None:
    verdict = statistics.judge(0, 10, 10)

    assert 0.34 < verdict.none_chance < 0.36
    assert verdict.more == statistics.needed(10) - 10 == 855
    assert "35 % of cases" in repr(verdict) and f"Send {verdict.more} more" in repr(verdict)


@pytest.mark.parametrize("percent", [0, 1, 5, 10, 25, 50, 75, 90, 99, 100])
def test_as_many_as_needed_are_enough(percent: int) -> None:
    sent = statistics.needed(percent)

    assert sent <= sampling.CAP
    assert statistics.judge(round(sent * percent / 100), sent, percent).word == "consistent"


def test_canary_responses_are_attributed_without_a_latest_host(
    api: FakeApi, gateway: FakeGateway, rollout: Rollout
) -> None:
    api.load("02-canary-10")

    tally = rollout.send(100)

    assert tally.split.sent == tally.split.attributed == 100
    assert 8 <= tally.hits <= 11  # every tenth request; the search for an input used some before
    assert "00001 says 1, 00002 says 2" in tally.how
    assert not tally.moved


def test_with_both_tagged_hosts_each_gets_a_request(api: FakeApi, gateway: FakeGateway, rollout: Rollout) -> None:
    api.load("06-tag")
    gateway.tagged = True

    probe = discriminating_input.find_discriminating_input(rollout, rollout.status())

    assert len(probe.rows) == 1 and sorted(probe.answers.values()) == [(1,), (2,)]
    assert len(gateway.seen) == 2


def test_a_lone_revision_answers_everything(api: FakeApi, rollout: Rollout) -> None:
    api.load("04-promote")

    tally = rollout.send(20)

    assert tally.split == Split({LATEST: 20}) and tally.verdict().p_value == 1


def test_after_a_pin_all_answers_are_the_previous_ones(
    api: FakeApi, gateway: FakeGateway, rollout: Rollout
) -> None:
    api.load("05-rollback")
    gateway.draws = shares(0)

    tally = rollout.send(200)

    assert tally.split.counts == {PREVIOUS: 200} and tally.verdict().word == "consistent"


@pytest.mark.slow
def test_models_with_equal_answers_cannot_be_distinguished(
    api: FakeApi, gateway: FakeGateway, rollout: Rollout
) -> None:
    api.load("02-canary-10")
    gateway.draws = shares(0)

    tally = rollout.send(50)

    assert tally.alike and tally.split == Split({}, unattributed=50)
    assert tally.verdict().word == "unseen"
    assert "10 % cannot be seen in the answers" in repr(tally) and "give the same answers to all" in tally.how


@pytest.mark.parametrize(("percent", "missed"), [(1, 1e-9), (10, 1e-9), (50, 1e-9), (99, 1e-9), (100, 0)])
def test_a_search_for_the_canary_is_long_enough(percent: int, missed: float) -> None:
    searches = discriminating_input.requests_to_find(percent)

    assert (1 - percent / 100) ** searches <= missed and searches <= sampling.CAP


def test_failures_are_counted_apart(api: FakeApi, gateway: FakeGateway, rollout: Rollout) -> None:
    api.load("04-promote")
    gateway.failing = True

    assert rollout.send(8).split == Split({}, failed=8)


@pytest.mark.parametrize("count", [0, sampling.CAP + 1])
def test_the_number_of_requests_is_bounded(rollout: Rollout, count: int) -> None:
    with pytest.raises(ValueError, match="at a time"):
        rollout.send(count)


@pytest.mark.slow
def test_a_small_canary_is_searched_for_longer(api: FakeApi, gateway: FakeGateway, rollout: Rollout) -> None:
    api.load("02-canary-10")
    api.objects[f"{ISVC}/sklearn-iris"]["status"]["components"]["predictor"]["traffic"][0]["percent"] = 1
    gateway.draws = (n == 300 for n in range(10**6))  # after the end of a search at 10 %

    assert "00002 says 2" in discriminating_input.find_discriminating_input(rollout, rollout.status()).how


def test_with_equal_models_under_a_pin_responses_are_unattributed(
    api: FakeApi, gateway: FakeGateway, rollout: Rollout, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.load("05-rollback")
    row = api.objects[f"{ISVC}/sklearn-iris"]["status"]["components"]["predictor"]["traffic"][0]
    row |= {"tag": "latest", "url": "http://latest-sklearn-iris-predictor.kserve-test.example.com"}
    gateway.tagged = True
    monkeypatch.setattr(fake_gateway, "new", fake_gateway.old)

    tally = rollout.send(20)

    assert tally.split == Split({}, unattributed=20)
    assert repr(tally).splitlines() == [
        "20 requests: ? 20",
        "no answer shows which revision gave it",
        "how we know: 00001 and 00002 answer alike; the traffic list gives 00002 nothing",
    ]
