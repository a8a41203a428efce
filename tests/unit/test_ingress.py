"""The gateway's address, and its responses."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from kserve_nb.access import ingress
from kserve_nb.access.ingress import Ingress, PredictError
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


def test_predictions_come_by_host(gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")

    assert Ingress(gateway.address).predict(MAIN[0], "sklearn-iris", ingress.IRIS_INPUT) == [1, 1]

    _, path, headers, body = gateway.seen[0]
    assert (path, headers["Host"]) == ("/v1/models/sklearn-iris:predict", MAIN[0])
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == {"instances": [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]}


def test_a_404_of_the_gateway_is_distinguished_from_one_of_the_model(gateway: FakeGateway) -> None:
    here = Ingress(gateway.address)

    with pytest.raises(PredictError, match="comes from the gateway"):
        here.predict("nobody.example.com", "sklearn-iris", ingress.IRIS_INPUT)
    with pytest.raises(PredictError, match=r"from the model server: .*nope does not exist") as failed:
        here.predict(MAIN[0], "nope", ingress.IRIS_INPUT)
    assert failed.value.response is not None and failed.value.response.status == 404


def test_a_missing_gateway_has_a_message(gateway: FakeGateway) -> None:
    gateway.close()

    with pytest.raises(PredictError, match="does not respond"):
        Ingress(gateway.address).send("GET", "x", "/")


@pytest.mark.parametrize(("response", "message"), [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}", "response broke off"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{", "response broke off"),
    (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", "response broke off"),
    (b'HTTP/1.1 200 OK\r\n\r\n{"predictions":[1', r'no list of predictions: 200 {"predictions":\[1'),
    (b"HTTP/1.1 200 OK\r\nContent-Le", "no list of predictions: 200 an empty body"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", "no list of predictions"),
    (b'HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{"predictions":1}', "no list of predictions"),
    (b"garbage", "does not respond"),
])
def test_half_a_response_is_one_error(response: bytes, message: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(response)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):  # closing with unread data would reset the connection
                    pass

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(PredictError, match=message):
            Ingress(f"127.0.0.1:{listener.getsockname()[1]}").predict("h", "m", ingress.IRIS_INPUT)


@pytest.mark.parametrize(("url", "host"), [
    ("http://iris.example.com", "iris.example.com"), ("http://[evil/x", "[evil"), ("", ""), ("nonsense", "")])
def test_any_text_in_a_status_has_a_host_or_none(url: str, host: str) -> None:
    assert ingress.host_of(url) == host
