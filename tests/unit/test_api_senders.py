"""The API server answers requests of clients with its address and token, and no request of a web page."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
from collections.abc import Iterator

import pytest
import requests

from tests.api_server import KUBECTL, TOKEN, ApiServer

SECRETS = "/api/v1/namespaces/demo/secrets"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    served = ApiServer(tmp_path_factory.mktemp("server"))
    yield served
    served.close()


def send(server: ApiServer, path: str, *lines: str, token: str | None = TOKEN) -> tuple[int, str]:
    """Send a request with exactly these header lines; return the status and the body."""
    port = int(server.url.rpartition(":")[2])
    context = ssl.create_default_context(cafile=str(server.folder / "tls.crt"))
    credential = [] if token is None else [f"Authorization: Bearer {token}"]
    text = "\r\n".join([f"GET {path} HTTP/1.1", *(line.replace("PORT", str(port)) for line in lines), *credential,
                        "Connection: close", "", ""])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as raw, \
            context.wrap_socket(raw, server_hostname="127.0.0.1") as stream:
        stream.sendall(text.encode())
        answer = b"".join(iter(lambda: stream.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode()


@pytest.mark.parametrize("host", ["127.0.0.1:PORT", "127.0.0.1", "localhost:PORT", "LocalHost.:PORT", "localhost:6443",
                                  "kubernetes.default.svc", "kubernetes"])
def test_the_names_of_the_certificate_are_served_on_any_port(server: ApiServer, host: str) -> None:
    assert send(server, SECRETS, f"Host: {host}")[0] == 200


@pytest.mark.parametrize("path", [SECRETS, "/version", "/healthz", "/api", "/nothing"])
@pytest.mark.parametrize("host", ["evil.example:PORT", "127.0.0.1.evil.example:PORT", "localhost.evil.example",
                                  "evil-127.0.0.1", "[::1]:PORT", "0.0.0.0:PORT", ""])
def test_a_name_that_was_rebound_to_this_machine_gets_nothing(server: ApiServer, host: str, path: str) -> None:
    status, body = send(server, path, f"Host: {host}")

    assert status == 403 and json.loads(body)["message"].startswith(
        f"The API server does not serve the host '{host}'".replace("PORT", server.url.rpartition(":")[2]))


def test_a_request_without_a_host_gets_nothing(server: ApiServer) -> None:
    assert send(server, "/version")[0] in (400, 403)


@pytest.mark.parametrize("line", [
    "Origin: https://evil.example", "Origin: null", "Origin: http://127.0.0.1:8888", "Origin: http://127.0.0.1:PORT",
    "Origin: https://127.0.0.1", "Origin: ", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site",
    "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: none"])
@pytest.mark.parametrize("path", [SECRETS, "/version", "/openapi/v2"])
def test_a_browser_gets_nothing(server: ApiServer, line: str, path: str) -> None:
    for token in (TOKEN, None):
        status, body = send(server, path, "Host: 127.0.0.1:PORT", line, token=token)

        assert status == 403 and json.loads(body)["message"].startswith("The API server does not answer web browsers.")


def test_a_websocket_client_that_sends_the_servers_own_origin_is_served(server: ApiServer) -> None:
    assert send(server, SECRETS, "Host: 127.0.0.1:PORT", "Origin: https://127.0.0.1:PORT")[0] == 200


def test_kubectl_proxy_passes_the_requests_of_programs_but_not_of_pages(server: ApiServer) -> None:
    with subprocess.Popen([KUBECTL, "proxy", "--port=0"], stdout=subprocess.PIPE, text=True, env=server.env) as proxy:
        assert proxy.stdout is not None
        address = proxy.stdout.readline().split()[-1]
        with requests.Session() as session:
            session.trust_env = False

            program = session.get(f"http://{address}{SECRETS}", timeout=20)
            page = session.get(f"http://{address}{SECRETS}", headers={"Origin": "https://evil.example"}, timeout=20)
        proxy.terminate()

    assert (program.status_code, page.status_code) == (200, 403)


def test_without_a_credential_only_version_and_health_are_answered(server: ApiServer) -> None:
    host = "Host: 127.0.0.1:PORT"
    answers = {path: send(server, path, host, token=None)[0] for path in
               ("/version", "/healthz", "/livez", "/readyz", "/api", "/apis", "/openapi/v2", "/metrics", SECRETS, "/")}

    assert {path for path, status in answers.items() if status == 200} == {"/version", "/healthz", "/livez", "/readyz"}
    assert set(answers.values()) == {200, 403}
