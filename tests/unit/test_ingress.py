"""Where the gateway is, and what it says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kserve_nb import ingress
from kserve_nb.ingress import Ingress, NoGatewayError, PredictError
from tests.fake_gateway import MAIN, FakeGateway


@pytest.mark.parametrize(
    ("environ", "address"),
    [
        ({}, None),
        ({"INGRESS_HOST": "10.0.0.1"}, None),
        ({"INGRESS_HOST": "10.0.0.1", "INGRESS_PORT": "80"}, "10.0.0.1:80"),
        ({"KSERVE_INGRESS_HOST_PORT": "localhost:8080", "INGRESS_HOST": "x", "INGRESS_PORT": "1"}, "localhost:8080"),
    ],
)
def test_the_environment_may_name_it(environ: dict[str, str], address: str | None) -> None:
    assert ingress.address_from(environ) == address


def service(**status: Any) -> dict[str, Any]:
    ports = [{"name": "status-port", "port": 15021, "nodePort": 30021},
             {"name": "http2", "port": 80, "nodePort": 30080}]
    return {"metadata": {"name": "istio-ingressgateway", "namespace": "istio-system"}, "spec": {"ports": ports},
            "status": status}


NODE = {"status": {"addresses": [{"type": "InternalIP", "address": "172.18.0.2"}]}}


@pytest.mark.parametrize("row", [{"ip": "127.0.0.1"}, {"hostname": "127.0.0.1"}])
def test_a_load_balancer_goes_first(row: dict[str, str]) -> None:
    assert ingress.address_of(service(loadBalancer={"ingress": [row]}), [NODE]) == "127.0.0.1:80"


def test_a_node_port_goes_next() -> None:
    assert ingress.address_of(service(loadBalancer={}), [NODE]) == "172.18.0.2:30080"


def test_neither_says_how_to_forward_a_port() -> None:
    with pytest.raises(NoGatewayError, match="port-forward -n istio-system service/istio-ingressgateway 8080:80"):
        ingress.address_of(service())


def test_predictions_come_by_host(gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")

    assert Ingress(gateway.address).predict(MAIN[0], "sklearn-iris", ingress.IRIS_INPUT) == [1, 1]

    _, path, headers, body = gateway.seen[0]
    assert (path, headers["Host"]) == ("/v1/models/sklearn-iris:predict", MAIN[0])
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == {"instances": [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]}


def test_the_gateways_404_is_told_from_the_models(gateway: FakeGateway) -> None:
    here = Ingress(gateway.address)

    with pytest.raises(PredictError, match="comes from the gateway"):
        here.predict("nobody.example.com", "sklearn-iris", ingress.IRIS_INPUT)
    with pytest.raises(PredictError, match=r"from the model server: .*nope does not exist") as failed:
        here.predict(MAIN[0], "nope", ingress.IRIS_INPUT)
    assert failed.value.answer is not None and failed.value.answer.status == 404


def test_no_gateway_says_so(gateway: FakeGateway) -> None:
    gateway.close()

    with pytest.raises(PredictError, match="does not answer"):
        Ingress(gateway.address).send("GET", "x", "/")
