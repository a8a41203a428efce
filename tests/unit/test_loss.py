"""A probe that runs during a change counts failed requests, and measures how long an answer took."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from kserve_nb.access.api_client import Client
from kserve_nb.access.ingress import Ingress
from kserve_nb.checks.check import CheckFailed
from kserve_nb.checks.tutorial import Checks
from kserve_nb.rollout.availability import AvailabilityProbe
from kserve_nb.rollout.errors import NotPossibleError
from kserve_nb.rollout.rollout import Rollout
from tests.fake_api import ISVC, NAMESPACE, FakeApi, one
from tests.fake_gateway import FakeGateway


def until(claim: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not claim():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


@pytest.fixture
def probe(api: FakeApi, rollout: Rollout) -> Iterator[AvailabilityProbe]:
    api.load("02-canary-10")
    begun = AvailabilityProbe(rollout)
    yield begun
    begun.close()


def test_it_polls_until_it_is_closed(probe: AvailabilityProbe, gateway: FakeGateway) -> None:
    until(lambda: probe.answered >= 3)
    assert "still sending" in repr(probe)

    probe.close()

    asked = len(gateway.seen)
    assert probe.split.sent == probe.answered == asked
    assert repr(probe).startswith(f"{asked} requests, none failed; the slowest took 0.")


def test_a_port_forward_without_a_record_ends(api: FakeApi, rollout: Rollout) -> None:
    api.load("02-canary-10")
    probe = AvailabilityProbe(rollout)
    thread = probe._thread

    del probe

    until(lambda: not thread.is_alive())


def test_a_request_that_the_gateway_refuses_fails_the_check(
    probe: AvailabilityProbe, gateway: FakeGateway, api: FakeApi, rollout: Rollout
) -> None:
    until(lambda: probe.answered >= 1)
    gateway.failing = True
    until(lambda: probe.failed >= 2)
    gateway.failing = False
    probe.close()

    with pytest.raises(CheckFailed, match=r"saw \d of \d+ failed, from \S+ to \S+: 503 no healthy upstream"):
        Checks(Client(api.cluster()), rollout.ingress).no_failures(probe)


def test_where_no_gateway_answers_that_is_a_failure(api: FakeApi) -> None:
    api.load("02-canary-10")
    probe = AvailabilityProbe(Rollout(Client(api.cluster()), Ingress("127.0.0.1:9")))

    until(lambda: probe.failed >= 1)
    probe.close()

    assert "requests failed, from" in repr(probe) and "the gateway does not respond" in repr(probe)


def test_a_service_without_a_host_gets_no_request(api: FakeApi, rollout: Rollout) -> None:
    isvc = one("01-create", "isvc")
    api.put(NAMESPACE, {"metadata": {"name": "kserve-test"}})
    api.put(f"{ISVC}/sklearn-iris", {**isvc, "status": {}})

    with pytest.raises(NotPossibleError, match="no URL before"):
        AvailabilityProbe(rollout)
