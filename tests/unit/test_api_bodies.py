"""Request and response bodies: keys given twice, YAML, newlines, sizes, and HEAD of a watch."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kserve_nb.clusters.embedded.api.wire import yaml_documents
from tests.api_server import SERVICES, ApiServer, isvc

MAPS = "/api/v1/namespaces/demo/configmaps"
YAML = {"Content-Type": "application/yaml"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    served = ApiServer(tmp_path_factory.mktemp("api"))
    yield served
    served.close()


def twice(name: str) -> bytes:
    return b'{"metadata":{"name":"%b"},"data":{"a":"1"},"data":{"a":"2"}}' % name.encode()


def test_a_key_given_twice_is_refused_or_warned_about(server: ApiServer) -> None:
    strict = server.request("POST", f"{MAPS}?fieldValidation=Strict", twice("strict"))
    warned = server.request("POST", f"{MAPS}?fieldValidation=Warn", twice("warned"))
    ignored = server.request("POST", f"{MAPS}?fieldValidation=Ignore", twice("ignored"))

    assert strict.status_code == 400
    assert strict.json()["message"].endswith('strict decoding error: duplicate field "data"')
    assert (warned.status_code, warned.headers["Warning"]) == (201, '299 - "duplicate field \\"data\\""')
    assert (ignored.status_code, ignored.json()["data"], "Warning" in ignored.headers) == (201, {"a": "2"}, False)


def test_a_key_given_twice_in_yaml_is_named_with_its_line(server: ApiServer) -> None:
    body = b"metadata:\n  name: yaml\ndata:\n  a: '1'\n  a: '2'\n"

    refused = server.request("POST", f"{MAPS}?fieldValidation=Strict", body, headers=YAML)

    assert refused.json()["message"].endswith('strict decoding error: line 5: key "a" already set in map')


def test_json_ends_with_a_newline_unless_it_is_indented(server: ApiServer) -> None:
    compact, pretty = server.request("GET", MAPS), server.request("GET", f"{MAPS}?pretty=true")

    assert compact.content.endswith(b"}\n")
    assert pretty.content.endswith(b"}")


def test_yaml_is_parsed_outside_the_event_loop(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []
    parse = yaml_documents.parse

    def noting(data: bytes) -> Any:
        threads.append(threading.get_ident())
        return parse(data)

    monkeypatch.setattr(yaml_documents, "parse", noting)

    created = server.request("POST", MAPS, b"metadata: {name: threaded}\n", headers=YAML)

    assert created.status_code == 201
    assert threads != [server.call(threading.get_ident)]


@pytest.mark.parametrize("body", [b"[" * 200_000, b"- " * 200_000, b"{a: " * 100_000, b"a: &x 1\nb: *x\n"])
def test_yaml_that_could_exhaust_the_server_is_refused(server: ApiServer, body: bytes) -> None:
    refused = server.request("POST", MAPS, body, headers=YAML)

    assert refused.status_code == 400


def test_a_body_has_at_most_three_mebibytes(server: ApiServer) -> None:
    refused = server.request("POST", MAPS, b" " * (3 * 2**20 + 1))

    assert (refused.status_code, refused.json()["message"]) == (
        413, "Request entity too large: limit is 3145728")


def test_an_object_that_etcd_would_not_store_is_refused(server: ApiServer) -> None:
    fits, large = isvc("fits"), isvc("large")
    for document, size in ((fits, 2**20), (large, 1536 * 1024)):
        document["spec"]["predictor"]["model"]["env"] = [{"name": "A", "value": "x" * size}]

    stored = server.request("POST", SERVICES, fits)
    refused = server.request("POST", SERVICES, large)

    assert stored.status_code == 201
    assert refused.json() == {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                              "message": "etcdserver: request is too large", "code": 500}


def test_head_of_a_watch_has_no_body(server: ApiServer) -> None:
    heads = [server.session.head(f"{server.url}{MAPS}?watch=true", timeout=10) for _ in range(2)]

    assert [(head.status_code, head.content) for head in heads] == [(200, b"")] * 2


def test_a_watch_after_a_head_is_answered(server: ApiServer, tmp_path: Path) -> None:
    assert server.session.head(f"{server.url}{MAPS}?watch=true", timeout=10).ok
    assert server.request("GET", MAPS).json()["kind"] == "ConfigMapList"
