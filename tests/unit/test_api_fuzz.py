"""The API server answers any request soon, and never with an internal error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kserve_nb.clusters.embedded.apimachinery.kinds import KINDS
from tests.api_server import SERVICES, ApiServer, isvc

pytestmark = pytest.mark.slow

GROUPS = sorted({f"/apis/{kind.group}/{kind.version}" for kind in KINDS if kind.group} | {"/api/v1"})
PLURALS = sorted({kind.plural for kind in KINDS})
SUBRESOURCES = ["status", "scale", "log", "exec", "portforward", "finalize", "nothing"]
TYPES = ["application/json", "application/merge-patch+json", "application/json-patch+json", "application/yaml",
         "application/strategic-merge-patch+json", "application/apply-patch+yaml", "text/plain", "", ";;,",
         "application/vnd.kubernetes.protobuf"]
ACCEPTS = ["application/json", "*/*", "", "text/html", "application/json;as=Table;v=v1;g=meta.k8s.io",
           "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", "application/json;as=Table;v=v9",
           ",;="]
PARAMETERS = ["labelSelector", "fieldSelector", "limit", "continue", "resourceVersion", "watch", "dryRun",
              "fieldManager", "fieldValidation", "force", "includeObject", "container", "tailLines", "sinceSeconds",
              "sinceTime", "propagationPolicy", "gracePeriodSeconds", "sendInitialEvents", "resourceVersionMatch",
              "pretty", "ports"]
VALUES = ["", "true", "0", "-1", "1", "99999999999999999999", "a=b", "a in (b,c)", "a in (", "!a,", "metadata.name=x",
          "All", "Strict", "Object", "NotOlderThan", "é", "\x00", "x" * 5000]

names = st.sampled_from(["demo", "upd", "p", "nope", "A_b", "..", "%2e", "a b", "é"]) | st.text(max_size=8)
paths = st.builds(
    lambda group, namespace, plural, rest: "/".join(quote(part, safe="/%") for part in (
        group, *(("namespaces", namespace) if namespace else ()), plural, *rest)),
    st.sampled_from(GROUPS), st.none() | names, st.sampled_from(PLURALS) | names,
    st.lists(names | st.sampled_from(SUBRESOURCES), max_size=3))
odd_paths = st.lists(names | st.sampled_from(["api", "apis", "v1", "openapi", "v3"]), max_size=5).map(
    lambda parts: "/" + quote("/".join(parts), safe="/%"))
scalars = (st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
           | st.text(max_size=10) | st.sampled_from(["demo", "upd", "a" * 300]))
fields = st.sampled_from([
    "metadata", "spec", "status", "name", "namespace", "labels", "annotations", "predictor", "model", "containers",
    "env", "kind", "apiVersion", "finalizers", "ownerReferences", "managedFields", "resourceVersion", "uid", "template",
    "traffic", "op", "path", "from", "value", "$patch", "$retainKeys", "$setElementOrder/containers", "conditions",
    "ports"]
) | st.text(max_size=5)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(fields, inner, max_size=6), max_leaves=20)
objects = st.dictionaries(fields, values, max_size=4).map(lambda extra: {**isvc("upd"), **extra})
bodies = (values | objects).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=200) | st.sampled_from([
    b"", b"[" * 100_000, b'{"a":' * 500 + b"1" + b"}" * 500, b'{"a":' * 3000 + b"1" + b"}" * 3000,
    b"\xff\xfe", b"a: &a [1]\nb: *a", b"k8s\x00" + b"\x0a\xff" * 10, b'{"spec": 1e999}', b'"\\ud800"',
    b"[" + b'{"op":"copy","from":"","path":"/spec/x"},' * 40 + b'{"op":"copy","from":"","path":"/spec/x"}]'])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    served = ApiServer(tmp_path_factory.mktemp("api"))
    served.request("POST", SERVICES, isvc("upd")).raise_for_status()
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    served.request("POST", "/api/v1/namespaces/demo/pods", pod).raise_for_status()
    yield served
    served.close()


def check(server: ApiServer, method: str, path: str, body: bytes, **headers: str) -> None:
    with server.request(method, path, body, headers=headers, stream=True) as answer:
        assert answer.status_code < 500 or answer.status_code == 504, answer.text
        if answer.status_code >= 400 and method != "HEAD" and "json" in answer.headers["Content-Type"]:
            status: dict[str, Any] = answer.json()
            assert (status["kind"], status["code"]) == ("Status", answer.status_code)


SLOWLY = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))


@SLOWLY
@given(method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]), path=paths | odd_paths,
       query=st.dictionaries(st.sampled_from(PARAMETERS), st.sampled_from(VALUES), max_size=4),
       accept=st.sampled_from(ACCEPTS), body=bodies, type_=st.sampled_from(TYPES))
def test_any_request_is_answered(server: ApiServer, method: str, path: str, query: dict[str, str], accept: str,
                                 body: bytes, type_: str) -> None:
    text = "&".join(f"{key}={quote(value)}" for key, value in query.items())

    check(server, method, f"{path}?{text}&timeoutSeconds=1", body, Accept=accept, **{"Content-Type": type_})


@SLOWLY
@given(path=st.sampled_from([SERVICES, "/api/v1/namespaces/demo/pods", "/apis/apps/v1/namespaces/demo/deployments",
                             "/api/v1/namespaces/demo/events", "/api/v1/namespaces/demo/services"]),
       extra=st.dictionaries(fields, values, max_size=4), spec=values)
def test_any_object_is_stored_or_refused_and_can_be_listed(
        server: ApiServer, path: str, extra: dict[str, Any], spec: Any) -> None:
    body = json.dumps({"metadata": {"generateName": "x-"}, "spec": spec, **extra}).encode()

    check(server, "POST", path, body)

    check(server, "GET", path, b"", Accept="application/json;as=Table;v=v1;g=meta.k8s.io")


@SLOWLY
@given(type_=st.sampled_from(TYPES[:6]), body=bodies,
       path=st.sampled_from([f"{SERVICES}/upd", f"{SERVICES}/upd/status", "/api/v1/namespaces/demo/pods/p"]))
def test_any_patch_is_answered(server: ApiServer, type_: str, body: bytes, path: str) -> None:
    check(server, "PATCH", f"{path}?fieldManager=x&force=true&dryRun=All", body, **{"Content-Type": type_})


def test_a_body_that_is_too_large_is_refused(server: ApiServer) -> None:
    body = isvc("big")
    body["metadata"]["annotations"] = {"a": "x" * 4 * 1024 * 1024}

    answer = server.request("POST", SERVICES, body)

    assert (answer.status_code, answer.json()["reason"]) == (413, "RequestEntityTooLarge")
