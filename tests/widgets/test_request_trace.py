"""Tests of the request trace: the revision that answered, or the hop that failed."""

from __future__ import annotations

import re

import pytest

from kserve_nb.access.ingress import Ingress
from kserve_nb.rollout.discriminating_input import find_discriminating_input
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.rollout.trace import trace
from kserve_nb.widgets import request_trace
from kserve_nb.widgets.request_trace import RequestTrace
from tests.fake_api import ISVC, FakeApi, one
from tests.fake_gateway import FakeGateway
from tests.widgets.page import choose, press, text_of
from tests.widgets.seen import until


def hops(rollout: Rollout, **asked: str) -> list[str]:
    """The name and the state of each hop."""
    found = trace(rollout, known=None, **asked)  # type: ignore[arg-type]
    return [f"{hop.name} {hop.word}" for hop in found.hops]


def test_an_answer_names_its_revision_and_how_that_is_known(api: FakeApi, rollout: Rollout) -> None:
    api.load("02-canary-10")

    found = trace(rollout, known=find_discriminating_input(rollout, rollout.status()))

    said = request_trace.text(found)
    assert re.match(r"✔ answered by 0000[12]: for \[.*\] 00001 says \d, 00002 says \d\n", said)
    assert [hop.word for hop in found.hops] == ["ok"] * 5
    assert repr(found) == said
    assert found.curl.startswith("curl -v -H 'Host: sklearn-iris-predictor.kserve-test.example.com'")


def test_the_host_of_a_tag_leads_to_one_revision(api: FakeApi, rollout: Rollout) -> None:
    api.load("02-canary-10")

    assert trace(rollout, tag="prev").hops[-1].result == "00001: its tag's host leads to no other revision"


def test_without_a_discriminating_input_responses_are_unattributed(api: FakeApi, rollout: Rollout) -> None:
    api.load("02-canary-10")

    assert trace(rollout).hops[-1].result.startswith("unknown: a response does not name its revision")


def test_the_hop_that_fails_is_named(api: FakeApi, gateway: FakeGateway, rollout: Rollout) -> None:
    api.load("02-canary-10")
    gateway.failing = True
    assert hops(rollout) == ["name ok", "dial ok", "gateway failed", "model server not reached", "revision not reached"]

    assert hops(Rollout(rollout.client, Ingress("127.0.0.1:1"))) == [
        "name ok", "dial failed", "gateway not reached", "model server not reached", "revision not reached"]

    assert hops(rollout, tag="latest")[0] == "name failed"

    renamed = one("02-canary-10", "isvc")
    renamed["status"]["url"] = "http://nobody.example.com"
    api.put(f"{ISVC}/sklearn-iris", renamed)
    assert "no route has this host" in str(trace(rollout).failed)


def test_a_failure_with_a_doctor_rule_shows_the_rules_id(
    api: FakeApi, gateway: FakeGateway, rollout: Rollout
) -> None:
    api.load("02-canary-10")
    gateway.failing = True

    found = trace(rollout)

    assert request_trace.rule(found).startswith("R10: The gateway has a route for the host")
    assert request_trace.rule(found) in request_trace.text(found) and "R10" in request_trace.html(found)
    assert request_trace.rule(trace(Rollout(rollout.client, Ingress("127.0.0.1:1")))).startswith("R09")


def test_a_button_does_the_same_as_code(api: FakeApi, rollout: Rollout) -> None:
    api.load("02-canary-10")
    shown = RequestTrace(rollout)
    assert shown.text == "no request sent yet: tracer.send()"

    choose(shown, "to the", "prev- host")
    press(shown, "Send one request")

    until(shown, lambda found: found is not None, "trace")
    assert "answered by 00001: its tag's host leads to no other revision" in shown.text
    until(shown, lambda sending: not sending, "sending")
    assert shown.json["hops"][0]["name"] == "name" and "model server" in text_of(shown)
    shown.close()
    assert shown._sender is not None and not shown._sender.is_alive()


def test_unknown_arguments_are_errors(rollout: Rollout) -> None:
    with pytest.raises(TypeError):
        RequestTrace(rollout, colour="red")  # type: ignore[call-arg]
