"""Send a model's requests through the gateway, by Host header."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

import requests

from kserve_nb.access.port_forward import PortForward
from kserve_nb.values.kserve_versions import JSON_HEADERS

Protocol = Literal["v1", "v2"]
Rows = Sequence[Sequence[float]]

IRIS_INPUT: Rows = ((6.8, 2.8, 4.8, 1.4), (6.0, 3.4, 4.5, 1.6))  # the tutorial's iris-input.json
_NOTICED_S = 1.0  # within which a port-forward that broke off has been seen to
_FORWARD_S = 10.0  # for it to come back
_TIMEOUT_S = 60  # a first request from zero waits for its pod


class NoGatewayError(LookupError):
    """No address under which the ingress gateway answers is known."""


class PredictError(RuntimeError):
    """A prediction was not answered with 200; `answer` is what came back, where something did."""

    def __init__(self, message: str, answer: Response | None = None):
        super().__init__(message)
        self.answer = answer


class LostError(PredictError):
    """Our own port-forward broke off under a request: that says nothing about the gateway or a revision."""


@dataclass(frozen=True)
class Response:
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


def host_of(url: str) -> str:
    """The host of a URL: what step 5 of the first-InferenceService page cuts out of `status.url`."""
    return urlsplit(url).netloc


class Ingress:
    """The gateway at HOST:PORT. Never goes through a proxy: the gateway is where the address says.

    `how` it was found: given, environment, LoadBalancer, NodePort or port-forward; `explain()` tells the whole story.
    """

    def __init__(
        self, address: str, *, how: str = "given", story: tuple[str, ...] = (), forward: PortForward | None = None
    ):
        self.address, self.how = address, how
        self._story, self._forward = story, forward
        self._session = requests.Session()
        self._session.trust_env = False

    def __repr__(self) -> str:
        return f"gateway at {self.address} ({self.how})"

    @property
    def generation(self) -> int:
        """How often the port-forward that leads to it was begun; 0 where there is none."""
        return self._forward.generation if self._forward else 0

    def again(self) -> Ingress:
        """The same gateway over a connection of its own: sessions are not for sharing among threads."""
        return Ingress(self.address, how=self.how, story=self._story, forward=self._forward)

    def explain(self) -> str:
        """How the address was determined, step by step, and the tutorial's two variables."""
        host, _, port = self.address.rpartition(":")
        steps = "".join(f"\n  {number}. {line}" for number, line in enumerate(self._story, start=1))
        return f"{self!r}{steps}\nexport INGRESS_HOST={host} INGRESS_PORT={port}"

    def close(self) -> None:
        """End the port-forward, where one leads there."""
        if self._forward is not None:
            self._forward.close()

    def send(
        self,
        method: str,
        host: str,
        path: str,
        *,
        body: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = _TIMEOUT_S,
    ) -> Response:
        """One request with that Host header. Any HTTP status is an answer; raises PredictError where none came.

        Where a port-forward leads to the gateway and broke off, LostError comes once it has been begun again.
        """
        generation = self.generation
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
            self._refuse_lost(generation, error)
            raise PredictError(
                f"{self.address}: the gateway does not answer ({type(error).__name__}). "
                "See whether the cluster is up: kserve-nb status."
            ) from None
        return Response(answer.status_code, dict(answer.headers), answer.text)

    def _refuse_lost(self, generation: int, error: requests.RequestException) -> None:
        """Tell our own failures from the gateway's, which would answer with a status, or late."""
        if self._forward is None or (isinstance(error, requests.Timeout) and self.generation == generation):
            return
        self._session.close()
        self._forward.wait(_NOTICED_S, after=generation)
        back = self._forward.wait(_FORWARD_S)
        raise LostError(
            f"{self.address}: our port-forward to {self._forward.target} broke off. That says nothing of the model. "
            + ("It has been begun again: ask again." if back else "See whether the cluster is up: kserve-nb status.")
        ) from None

    def request(self, host: str, model: str, rows: Rows, protocol: Protocol = "v1") -> Response:
        """Ask a model for predictions and return whatever is answered."""
        path, body = request_of(model, rows, protocol)
        return self.send("POST", host, path, body=body, headers=JSON_HEADERS)

    def predict(self, host: str, model: str, rows: Rows, protocol: Protocol = "v1") -> list[Any]:
        """The model's predictions. Raises PredictError that says whether gateway or model refused."""
        try:
            answer = self.request(host, model, rows, protocol)
        except LostError:
            answer = self.request(host, model, rows, protocol)  # predictions are idempotent: one retry is safe
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


def _why(answer: Response, model: str) -> str:
    if answer.status == requests.codes.not_found and not answer.text:
        return "404 with an empty body comes from the gateway: it knows no such host. Compare it with status.url."
    if answer.status == requests.codes.not_found:
        return f"404 from the model server: {answer.text.strip()} The name in the path is {model}."
    return f"{answer.status}: {answer.text.strip()[:300] or 'empty body'}. Look at rollout.pods() and kubectl logs."
