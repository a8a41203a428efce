"""Find the gateway, and send a model's requests through it by Host header."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

import requests

Protocol = Literal["v1", "v2"]
Rows = Sequence[Sequence[float]]

# Namespace and name of the gateway's Service: Istio as KServe's installer makes it, then Kourier.
GATEWAYS = (("istio-system", "istio-ingressgateway"), ("kourier-system", "kourier"))
IRIS_INPUT: Rows = ((6.8, 2.8, 4.8, 1.4), (6.0, 3.4, 4.5, 1.6))  # the tutorial's iris-input.json
_HTTP_PORTS = ("http2", "http", "http80")
_TIMEOUT_S = 60  # a first request from zero waits for its pod


class NoGatewayError(LookupError):
    """No address under which the ingress gateway answers is known."""


class PredictError(RuntimeError):
    """A prediction was not answered with 200; `answer` is what came back, where something did."""

    def __init__(self, message: str, answer: Answer | None = None):
        super().__init__(message)
        self.answer = answer


@dataclass(frozen=True)
class Answer:
    """What the gateway sent back."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def predictions(self) -> list[Any]:
        """The predictions of a v1 body, or the data of the first output of a v2 body."""
        body = json.loads(self.text)
        found: list[Any] = body["predictions"] if "predictions" in body else body["outputs"][0]["data"]
        return found


def address_from(environ: Mapping[str, str]) -> str | None:
    """HOST:PORT as KServe's own tests and the tutorial name it, or None.

    KSERVE_INGRESS_HOST_PORT goes before INGRESS_HOST with INGRESS_PORT.
    """
    both = environ.get("KSERVE_INGRESS_HOST_PORT")
    if both:
        return both
    host, port = environ.get("INGRESS_HOST"), environ.get("INGRESS_PORT")
    return f"{host}:{port}" if host and port else None


def address_of(service: Mapping[str, Any], nodes: Iterable[Mapping[str, Any]] = ()) -> str:
    """HOST:PORT of a gateway's Service: its load balancer's address, else a node's with the NodePort.

    Raises:
        NoGatewayError: it has neither; says what to do.
    """
    name = service["metadata"]["name"]
    port = _http_port(service)
    for row in ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []:
        return f"{row.get('ip') or row.get('hostname')}:{port['port']}"
    hosts = [row["address"] for node in nodes for row in (node.get("status") or {}).get("addresses") or []]
    if hosts and port.get("nodePort"):
        return f"{hosts[0]}:{port['nodePort']}"
    raise NoGatewayError(
        f"{name}: EXTERNAL-IP is pending and no NodePort can be reached. Forward a port: "
        f"kubectl port-forward -n {service['metadata'].get('namespace', '')} service/{name} 8080:{port['port']}, "
        'then connect(ingress="127.0.0.1:8080").'
    )


def _http_port(service: Mapping[str, Any]) -> Mapping[str, Any]:
    ports: list[Mapping[str, Any]] = service["spec"]["ports"]
    return next((port for name in _HTTP_PORTS for port in ports if port.get("name") == name), ports[0])


def host_of(url: str) -> str:
    """The host of a URL: what step 5 of the first-InferenceService page cuts out of `status.url`."""
    return urlsplit(url).netloc


class Ingress:
    """The gateway at HOST:PORT. Never goes through a proxy: the gateway is where the address says."""

    def __init__(self, address: str):
        self.address = address
        self._session = requests.Session()
        self._session.trust_env = False

    def send(
        self,
        method: str,
        host: str,
        path: str,
        *,
        body: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = _TIMEOUT_S,
    ) -> Answer:
        """One request with that Host header. Any HTTP status is an answer; raises PredictError where none came."""
        try:
            answer = self._session.request(
                method,
                f"http://{self.address}{path}",
                data=body,
                headers={"Host": host, **(headers or {})},
                timeout=timeout_s,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise PredictError(
                f"{self.address}: the gateway does not answer ({type(error).__name__}). "
                "See whether the cluster is up: kserve-nb status."
            ) from None
        return Answer(answer.status_code, dict(answer.headers), answer.text)

    def ask(self, host: str, model: str, rows: Rows, protocol: Protocol = "v1") -> Answer:
        """Ask a model for predictions and return whatever is answered."""
        path, body = request_of(model, rows, protocol)
        return self.send("POST", host, path, body=body, headers={"Content-Type": "application/json"})

    def predict(self, host: str, model: str, rows: Rows, protocol: Protocol = "v1") -> list[Any]:
        """The model's predictions. Raises PredictError that says whether gateway or model refused."""
        answer = self.ask(host, model, rows, protocol)
        if answer.status != requests.codes.ok:
            raise PredictError(f"{host}: {_why(answer, model)}", answer)
        return answer.predictions


def request_of(model: str, rows: Rows, protocol: Protocol) -> tuple[str, str]:
    """Path and body of a prediction in KServe's v1 or v2 protocol (docs: data-plane)."""
    if protocol == "v1":
        return f"/v1/models/{model}:predict", json.dumps({"instances": [list(row) for row in rows]})
    flat = [value for row in rows for value in row]
    tensor = {"name": "input-0", "shape": [len(rows), len(rows[0])], "datatype": "FP64", "data": flat}
    return f"/v2/models/{model}/infer", json.dumps({"inputs": [tensor]})


def _why(answer: Answer, model: str) -> str:
    if answer.status == requests.codes.not_found and not answer.text:
        return "404 with an empty body comes from the gateway: it knows no such host. Compare it with status.url."
    if answer.status == requests.codes.not_found:
        return f"404 from the model server: {answer.text.strip()} The name in the path is {model}."
    return f"{answer.status}: {answer.text.strip()[:300] or 'empty body'}. Look at rollout.pods() and kubectl logs."
