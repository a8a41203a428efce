"""Tokens of ServiceAccounts: issued, reviewed and accepted as on a real cluster."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from kserve_nb.clusters.embedded.api.wire import service_account_tokens as tokens_module
from kserve_nb.clusters.embedded.apimachinery.kinds import SERVICE_ACCOUNT
from tests.api_server import TOKEN, ApiServer

ACCOUNT = "/api/v1/namespaces/demo/serviceaccounts/reader"
REVIEWS = "/apis/authentication.k8s.io/v1"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    started = ApiServer(Path(tmp_path_factory.mktemp("tokens")))
    started.request("POST", "/api/v1/namespaces/demo/serviceaccounts", {"metadata": {"name": "reader"}})
    yield started
    started.close()


def as_bearer(server: ApiServer, token: str, method: str, path: str, **body: object) -> requests.Response:
    return server.request(method, path, body or None, headers={"Authorization": f"Bearer {token}"})


def issue(server: ApiServer, **spec: object) -> dict:
    response = server.request("POST", f"{ACCOUNT}/token", {"spec": spec})
    assert response.status_code == 201, response.text
    return response.json()


def test_kubectl_creates_a_token_that_authenticates_the_account(server: ApiServer) -> None:
    token = server.kubectl("create", "token", "reader", "-n", "demo", "--duration=20m").stdout.strip()

    whoami = as_bearer(server, token, "POST", f"{REVIEWS}/selfsubjectreviews", spec={}).json()["status"]["userInfo"]
    refused = as_bearer(server, token, "GET", "/api/v1/namespaces/demo/pods")

    uid = server.request("GET", ACCOUNT).json()["metadata"]["uid"]
    assert whoami["username"] == "system:serviceaccount:demo:reader" and whoami["uid"] == uid
    assert whoami["groups"] == ["system:serviceaccounts", "system:serviceaccounts:demo", "system:authenticated"]
    assert whoami["extra"]["authentication.kubernetes.io/credential-id"][0].startswith("JTI=")
    assert refused.status_code == 403
    assert refused.json()["message"] == (
        'pods is forbidden: User "system:serviceaccount:demo:reader" cannot list resource "pods" in API group "" in '
        'the namespace "demo"')


def test_a_token_review_names_the_user(server: ApiServer) -> None:
    token = issue(server)["status"]["token"]

    review = server.request("POST", f"{REVIEWS}/tokenreviews", {"spec": {"token": token}}).json()["status"]
    admin = server.request("POST", f"{REVIEWS}/tokenreviews", {"spec": {"token": TOKEN}}).json()["status"]
    wrong = server.request("POST", f"{REVIEWS}/tokenreviews", {"spec": {"token": token + "x"}}).json()["status"]
    by_the_account = as_bearer(server, token, "POST", f"{REVIEWS}/tokenreviews", spec={"token": token})

    assert review["authenticated"] is True and review["user"]["username"] == "system:serviceaccount:demo:reader"
    assert review["audiences"] == ["https://kubernetes.default.svc.cluster.local"]
    assert admin["user"]["username"] == "kubernetes-admin"
    assert "authenticated" not in wrong and wrong["error"] == "invalid bearer token"
    assert by_the_account.status_code == 403


def test_a_token_for_another_audience_is_no_token_for_the_api(server: ApiServer) -> None:
    token = issue(server, audiences=["vault"])["status"]["token"]

    here = as_bearer(server, token, "GET", "/apis")
    there = server.request("POST", f"{REVIEWS}/tokenreviews", {"spec": {"token": token, "audiences": ["vault"]}}).json()

    assert here.status_code == 401
    assert there["status"]["audiences"] == ["vault"]


def test_a_token_expires(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    request = issue(server, expirationSeconds=600)
    account = server.call(server.store.get, SERVICE_ACCOUNT, "demo", "reader")
    tokens, now = tokens_module.Tokens(server.store, TOKEN), time.time()
    token = tokens.issue(account, audiences=[tokens_module.ISSUER], now=now, lifetime_s=600)

    tokens.verify(token, audiences=(tokens_module.ISSUER,), now=now + 659)

    assert request["spec"]["expirationSeconds"] == 600
    with pytest.raises(tokens_module.InvalidTokenError, match="service account token has expired"):
        tokens.verify(token, audiences=(tokens_module.ISSUER,), now=now + 662)


def test_a_token_ends_with_its_account(server: ApiServer) -> None:
    server.request("POST", "/api/v1/namespaces/demo/serviceaccounts", {"metadata": {"name": "brief"}})
    path = "/api/v1/namespaces/demo/serviceaccounts/brief"
    token = server.request("POST", f"{path}/token", {}).json()["status"]["token"]
    assert as_bearer(server, token, "GET", "/apis").status_code == 200

    server.request("DELETE", path)
    server.request("POST", "/api/v1/namespaces/demo/serviceaccounts", {"metadata": {"name": "brief"}})

    assert as_bearer(server, token, "GET", "/apis").status_code == 401


def test_a_token_ends_with_the_secret_that_it_is_bound_to(server: ApiServer) -> None:
    server.request("POST", "/api/v1/namespaces/demo/secrets", {"metadata": {"name": "held"}})
    reference = {"kind": "Secret", "apiVersion": "v1", "name": "held"}
    token = issue(server, boundObjectRef=reference)["status"]["token"]
    assert as_bearer(server, token, "GET", "/apis").status_code == 200

    server.request("DELETE", "/api/v1/namespaces/demo/secrets/held")

    assert as_bearer(server, token, "GET", "/apis").status_code == 401


@pytest.mark.parametrize(("spec", "code", "message"), [
    ({"expirationSeconds": 599}, 422, "spec.expirationSeconds: Invalid value: 599: may not specify a duration less "
                                      "than 10 minutes"),
    ({"expirationSeconds": 2**32 + 1}, 422, "may not specify a duration larger than 2^32 seconds"),
    ({"boundObjectRef": {"kind": "Node", "name": "n"}}, 400, "cannot bind token to object of type Node"),
    ({"boundObjectRef": {"kind": "Pod", "name": "none"}}, 404, 'pods "none" not found'),
])
def test_requests_that_no_token_can_meet(server: ApiServer, spec: dict, code: int, message: str) -> None:
    response = server.request("POST", f"{ACCOUNT}/token", {"spec": spec})

    assert response.status_code == code
    assert message in response.json()["message"]
