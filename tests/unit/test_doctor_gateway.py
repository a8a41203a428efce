"""The doctor finds the gateway as connect() does, and reports its address if the given one is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from kserve_nb.access.port_forward import ForwardError, PortForward
from kserve_nb.doctor import Report, examine
from tests.fake_api import FakeApi
from tests.fake_gateway import FakeGateway

GATEWAY = "/api/v1/namespaces/istio-system/services/istio-ingressgateway"


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KSERVE_INGRESS_HOST_PORT", "INGRESS_HOST", "INGRESS_PORT"):
        monkeypatch.delenv(name, raising=False)


def serve(api: FakeApi, **status: Any) -> None:
    """A cluster with the gateway's Service as kind leaves it, or with a load balancer's address."""
    api.logs["/version"] = '{"gitVersion": "v1.35.4"}'
    for name, data in (("config-network", {}), ("config-domain", {"example.com": ""})):
        api.put(f"/api/v1/namespaces/knative-serving/configmaps/{name}", {"metadata": {"name": name}, "data": data})
    api.put(GATEWAY, {"metadata": {"name": "istio-ingressgateway", "namespace": "istio-system"}, "status": status,
                      "spec": {"type": "LoadBalancer", "ports": [{"name": "http2", "port": 80}]}})
    api.load("02-canary-10")


def ids(report: Report) -> list[str]:
    return [finding.id for finding in report.findings if finding.severity == "blocker"]


def test_a_pending_load_balancer_is_no_obstacle_if_a_port_can_be_forwarded(
    api: FakeApi, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(api)
    closed: list[str] = []

    def start(self: PortForward) -> PortForward:
        self.address, self.generation = gateway.address, 1
        return self

    monkeypatch.setattr(PortForward, "start", start)
    monkeypatch.setattr(PortForward, "close", lambda self: closed.append(self.target))
    report = examine(api.cluster(""))

    assert not {"R01", "R09"} & set(ids(report)), report.text
    told = next(finding.why for finding in report.findings if finding.id == "R01")
    assert "INGRESS_HOST and INGRESS_PORT are unknown" in told  # the examination's own port-forward ends with it
    assert closed == ["service/istio-ingressgateway"]


def test_it_blocks_where_no_port_can_be_forwarded(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(api)

    def start(self: PortForward) -> PortForward:
        raise ForwardError("error: unable to forward port because pod is not running. Current status=Pending")

    monkeypatch.setattr(PortForward, "start", start)
    report = examine(api.cluster(""))

    assert ids(report)[:2] == ["R01", "R09"], report.text
    assert "pod is not running" in report.findings[1].saw


def test_an_address_that_is_not_the_services_is_corrected(api: FakeApi) -> None:
    serve(api, loadBalancer={"ingress": [{"ip": "10.0.0.7"}]})

    report = examine(api.cluster("127.0.0.1:1"))

    assert ids(report)[0] == "R09" and "INGRESS_HOST=10.0.0.7 INGRESS_PORT=80" in report.text, report.text
    assert 'connect(ingress="10.0.0.7:80")' in report.findings[0].remedy.shown(notebook=True)
