"""The gateway is found as in the tutorial, and the steps of the search are reported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kserve_nb.access import gateway_discovery
from kserve_nb.access.api_client import Client, RefusedError
from kserve_nb.access.ingress import Ingress, NoGatewayError
from kserve_nb.access.port_forward import ForwardError, PortForward
from tests.fake_api import FakeApi
from tests.fake_gateway import FakeGateway

NODES = "/api/v1/nodes/node-1"
ISTIO = "/api/v1/namespaces/istio-system/services/istio-ingressgateway"
KOURIER = "/api/v1/namespaces/kourier-system/services/kourier"


def service(name: str, port: int, node_port: int | None = None, **status: Any) -> dict[str, Any]:
    http = {"name": "http2", "port": port} | ({"nodePort": node_port} if node_port else {})
    return {"metadata": {"name": name, "namespace": f"{name}-system"}, "status": status,
            "spec": {"ports": [{"name": "status-port", "port": 15021}, http], "selector": {"istio": "ingressgateway"}}}


def find(api: FakeApi, environ: dict[str, str] | None = None, given: str = "") -> Ingress:
    cluster = api.cluster(given)
    return gateway_discovery.find(cluster, Client(cluster), environ or {})


@pytest.fixture
def port(gateway: FakeGateway) -> int:
    return int(gateway.address.rpartition(":")[2])


@pytest.fixture
def no_forward(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A kubectl port-forward that fails; the fixture lists its calls."""
    asked: list[str] = []

    def start(self: PortForward) -> PortForward:
        asked.append(f"{self.namespace} {self.target}")
        raise ForwardError(f"kubectl port-forward {self.target}: error: timed out waiting for the condition")

    monkeypatch.setattr(PortForward, "start", start)
    yield asked


def test_a_given_address_is_the_first_choice(api: FakeApi) -> None:
    found = find(api, {"KSERVE_INGRESS_HOST_PORT": "other:1"}, given="here:2")

    assert (found.address, found.how) == ("here:2", "given")


@pytest.mark.parametrize("environ", [{"KSERVE_INGRESS_HOST_PORT": "localhost:8080"},
                                     {"INGRESS_HOST": "localhost", "INGRESS_PORT": "8080"}])
def test_the_variables_of_kserves_tests_and_of_the_tutorial_go_next(api: FakeApi, environ: dict[str, str]) -> None:
    found = find(api, environ)

    assert (found.address, found.how) == ("localhost:8080", "environment")


@pytest.mark.parametrize("path", [ISTIO, KOURIER])
@pytest.mark.parametrize("row", [{"ip": "127.0.0.1"}, {"hostname": "localhost"}])
def test_the_address_of_a_load_balancer_is_the_second_choice(
    path: str, row: dict[str, str], api: FakeApi, port: int
) -> None:
    api.put(path, service(path.rpartition("/")[2], port, loadBalancer={"ingress": [row]}))

    found = find(api)

    assert found.how == "LoadBalancer" and found.address.endswith(f":{port}")
    assert f"export INGRESS_HOST={next(iter(row.values()))} INGRESS_PORT={port}" in found.explain()


def test_while_it_is_pending_a_node_port_does(api: FakeApi, port: int) -> None:
    api.put(ISTIO, service("istio-ingressgateway", 80, port))
    api.put(NODES, {"metadata": {"name": "node-1"}, "status": {"addresses": [
        {"type": "Hostname", "address": "node-1"}, {"type": "InternalIP", "address": "127.0.0.1"}]}})

    found = find(api)

    assert (found.how, found.address) == ("NodePort", f"127.0.0.1:{port}")
    assert "the EXTERNAL-IP of istio-ingressgateway is pending" in found.explain()


def test_the_nodes_of_the_gateways_pods_go_before_others(api: FakeApi, port: int) -> None:
    shown = service("istio-ingressgateway", 80, port)
    shown["metadata"]["namespace"] = "istio-system"
    api.put(ISTIO, shown)
    api.put("/api/v1/namespaces/istio-system/pods/istio-1", {
        "metadata": {"name": "istio-1"}, "status": {"hostIP": "127.0.0.1"}})

    assert find(api).address == f"127.0.0.1:{port}"


def test_addresses_that_do_not_answer_are_passed_over(
    api: FakeApi, no_forward: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_discovery, "_PROBE_S", 0.2)
    api.put(ISTIO, service("istio-ingressgateway", 9, 9, loadBalancer={"ingress": [{"ip": "127.0.0.1"}]}))

    with pytest.raises(NoGatewayError) as refused:
        find(api)

    assert no_forward == ["istio-system service/istio-ingressgateway"]
    for told in ("LoadBalancer: 127.0.0.1:9 does not respond from here", "timed out waiting", "connect(ingress="):
        assert told in str(refused.value)


def test_a_missing_gateway_is_reported_with_the_places_that_were_searched(api: FakeApi, no_forward: list[str]) -> None:
    with pytest.raises(NoGatewayError, match="-n kourier-system get service kourier: not found"):
        find(api)

    assert no_forward == []


def test_a_cluster_that_does_not_answer_is_not_searched(api: FakeApi, no_forward: list[str]) -> None:
    api.close()

    with pytest.raises(RefusedError, match="the cluster does not respond"):
        find(api)

    assert no_forward == []


def test_the_story_is_in_order(api: FakeApi, port: int) -> None:
    api.put(KOURIER, service("kourier", port, loadBalancer={"ingress": [{"ip": "127.0.0.1"}]}))

    story = find(api).explain().splitlines()

    assert story[0] == f"gateway at 127.0.0.1:{port} (LoadBalancer)"
    assert [line.strip()[:2] for line in story[1:-1]] == ["1.", "2.", "3."]
    assert "istio-system get service istio-ingressgateway: not found" in story[2]
