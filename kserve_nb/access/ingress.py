"""Send prediction requests through the ingress gateway, by Host header."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

import requests

from kserve_nb.access.model_input import plain_rows
from kserve_nb.access.port_forward import PortForward
from kserve_nb.values.kserve_versions import JSON_HEADERS
from kserve_nb.values.text.foreign_text import safe
from kserve_nb.values.text.readable_error import ReadableError

Protocol = Literal["v1", "v2"]
Rows = Sequence[Sequence[float]]

IRIS_INPUT: Rows = ((6.8, 2.8, 4.8, 1.4), (6.0, 3.4, 4.5, 1.6))  # the tutorial's iris-input.json
_BROKEN = (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError)
_NOTICED_S = 1.0  # until the end of a dropped port-forward is noticed
_FORWARD_S = 10.0  # until it is forwarding again
_TIMEOUT_S = 60  # the first request to a revision that is scaled to zero waits for its pod


class NoGatewayError(ReadableError, LookupError):
    """No address is known at which the ingress gateway responds."""


class PredictError(ReadableError, RuntimeError):
    """A prediction request that was not answered with predictions; `response` is the response, if there was one."""

    def __init__(self, message: str, response: Response | None = None):
        super().__init__(message)
        self.response = response


class LostError(PredictError):
    """A request cut off by our own port-forward, which shows nothing about the gateway or a revision."""


@dataclass(frozen=True)
class Response:
    """A response of the gateway.

    >>> response = rollout.request()
    >>> response.status, response.predictions
    (200, [1, 1])
    """

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def predictions(self) -> list[Any]:
        """The predictions of a v1 body, or the data of the first output of a v2 body.

        Raises PredictError: the body is neither, or it was cut off.
        """
        try:
            body = json.loads(self.text)
            found = body["predictions"] if "predictions" in body else body["outputs"][0]["data"]
        except (ValueError, LookupError, TypeError):
            found = None
        if not isinstance(found, list):
            text = safe(self.text).strip()[:200] or "an empty body"
            raise PredictError(f"The response has no list of predictions: {self.status} {text}. A model answers "
                               '{"predictions": [...]} in the v1 protocol, and {"outputs": [{"data": [...]}]} in v2.',
                               self)
        return found


def address_from(environ: Mapping[str, str]) -> str | None:
    """HOST:PORT from the variables of KServe's own tests and of the tutorial; None if they are not set.

    KSERVE_INGRESS_HOST_PORT takes precedence over INGRESS_HOST with INGRESS_PORT.

    >>> address_from({"INGRESS_HOST": "10.0.0.1", "INGRESS_PORT": "80"})
    '10.0.0.1:80'
    """
    both = environ.get("KSERVE_INGRESS_HOST_PORT")
    if both:
        return both
    host, port = environ.get("INGRESS_HOST"), environ.get("INGRESS_PORT")
    return f"{host}:{port}" if host and port else None


def host_of(url: str) -> str:
    """The host of a URL, as step 5 of KServe's first-InferenceService page cuts it out of `status.url`.

    >>> host_of("http://sklearn-iris.kserve-test.example.com")
    'sklearn-iris.kserve-test.example.com'
    """
    try:
        return urlsplit(url).netloc
    except ValueError:  # a bracket that belongs to no IPv6 address
        return url.partition("://")[2].partition("/")[0]


class Ingress:
    """The ingress gateway at HOST:PORT. Requests to it never go through a proxy.

    `how` is the way its address was found: given, environment, LoadBalancer, NodePort or port-forward. `explain()`
    lists the steps. Each thread has its own connections.
    """

    def __init__(
        self, address: str, *, how: str = "given", story: tuple[str, ...] = (), forward: PortForward | None = None
    ):
        self.address, self.how = address, how
        self.locate: Callable[[], str] = lambda: self.address  # where it is now: a cluster that was created again moves
        self._story, self._forward = story, forward
        self._sessions = threading.local()

    def __repr__(self) -> str:
        return f"gateway at {self.address} ({self.how})"

    @property
    def generation(self) -> int:
        """How often the port-forward to it was started; 0 if it needs none."""
        return self._forward.generation if self._forward else 0

    @property
    def _session(self) -> requests.Session:
        """This thread's session: requests does not promise that threads can share one."""
        session: requests.Session | None = getattr(self._sessions, "session", None)
        if session is None:
            session = self._sessions.session = requests.Session()
            session.trust_env = False
        return session

    def new_connection(self) -> Ingress:
        """The same gateway with new connections: the open ones are not reused."""
        fresh = Ingress(self.address, how=self.how, story=self._story, forward=self._forward)
        fresh.locate = self.locate
        return fresh

    def explain(self) -> str:
        """How the address was found, step by step, and the tutorial's two variables."""
        host, _, port = self.address.rpartition(":")
        steps = "".join(f"\n  {number}. {line}" for number, line in enumerate(self._story, start=1))
        return f"{self!r}{steps}\nexport INGRESS_HOST={host} INGRESS_PORT={port}"

    def close(self) -> None:
        """Stop the port-forward to it, if there is one."""
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
        """Send one request with this Host header and return the response, whatever its status.

        Raises:
            PredictError: no response came.
            LostError: the port-forward to the gateway dropped meanwhile; it has been restarted if possible.
        """
        generation = self.generation
        try:
            response = self._session.request(
                method,
                f"http://{self.address}{path}",
                data=body,
                headers={"Host": host, **(headers or {})},
                timeout=timeout_s,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            self._refuse_lost(generation, error)
            if self._moved():
                return self.send(method, host, path, body=body, headers=headers, timeout_s=timeout_s)
            what = "response broke off" if isinstance(error, _BROKEN) else "gateway does not respond"
            raise PredictError(
                f"{self.address}: the {what} ({type(error).__name__}). "
                "See whether the cluster is running: kserve-nb status"
            ) from None
        return Response(response.status_code, dict(response.headers), response.text)

    def _moved(self) -> bool:
        """Whether the gateway has a new address; if so, use it from now on."""
        before, self.address = self.address, self.locate() or self.address
        return self.address != before

    def _refuse_lost(self, generation: int, error: requests.RequestException) -> None:
        """Raise LostError if our port-forward caused the error: the gateway itself responds with a status, or late."""
        if self._forward is None or (isinstance(error, requests.Timeout) and self.generation == generation):
            return
        self._session.close()
        self._forward.wait(_NOTICED_S, after=generation)
        back = self._forward.wait(_FORWARD_S)
        raise LostError(
            f"{self.address}: our port-forward to {self._forward.target} dropped, which is no fault of the model. "
            + ("It is running again: repeat the request." if back else
               "See whether the cluster is running: kserve-nb status")
        ) from None

    def request(self, host: str, model: str, rows: Rows, protocol: Protocol = "v1") -> Response:
        """Send a prediction request and return the response, whatever its status."""
        path, body = request_of(model, rows, protocol)
        return self.send("POST", host, path, body=body, headers=JSON_HEADERS)

    def predict(self, host: str, model: str, rows: Rows, protocol: Protocol = "v1") -> list[Any]:
        """The model's predictions. Raises PredictError that tells whether the gateway or the model refused."""
        try:
            response = self.request(host, model, rows, protocol)
        except LostError:
            response = self.request(host, model, rows, protocol)  # predictions are idempotent: one retry is safe
        if response.status != requests.codes.ok:
            raise PredictError(f"{host}: {_why(response, model)}", response)
        return response.predictions


def request_of(model: str, rows: Rows, protocol: Protocol) -> tuple[str, str]:
    """Path and body of a prediction in KServe's v1 or v2 protocol (docs: data-plane)."""
    plain = plain_rows(rows)
    if protocol == "v1":
        return f"/v1/models/{model}:predict", json.dumps({"instances": plain})
    flat = [value for row in plain for value in row]
    tensor = {"name": "input-0", "shape": [len(plain), len(plain[0])], "datatype": "FP64", "data": flat}
    return f"/v2/models/{model}/infer", json.dumps({"inputs": [tensor]})


def _why(response: Response, model: str) -> str:
    text = safe(response.text).strip()
    if response.status == requests.codes.not_found and not text:
        return "404 with an empty body comes from the gateway: no route has this host. Compare it with status.url."
    if response.status == requests.codes.not_found:
        return f"404 from the model server: {text} The name in the path is {model}."
    return f"{response.status}: {text[:300] or 'empty body'}. Inspect rollout.pods() and kubectl logs."
