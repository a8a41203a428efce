"""Refusals in the words of a real API server: each case's answer was recorded from Kubernetes 1.35 with KServe 0.20."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from kserve_nb.clusters.embedded.apimachinery.kinds import KINDS
from kserve_nb.clusters.embedded.apimachinery.objects import Kind
from tests.api_server import SERVICES, ApiServer, isvc

RECORDED = json.loads((Path(__file__).parents[1] / "data/api/refusals.json").read_text())
MERGE, JSON_PATCH = "application/merge-patch+json", "application/json-patch+json"
APPLY = "application/apply-patch+yaml"
OTHER = SERVICES.replace("/demo/", "/no-such-ns/")

Ask = Callable[[ApiServer], requests.Response]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    served = ApiServer(tmp_path_factory.mktemp("api"))
    for name in ("upd", "ssa"):
        path = f"{SERVICES}/{name}?fieldManager=alice"
        body = isvc(name, **({"canaryTrafficPercent": 10} if name == "ssa" else {}))
        served.request("PATCH", path, body, headers={"Content-Type": APPLY}).raise_for_status()
    yield served
    served.close()


def create(body: object, path: str = SERVICES, **headers: str) -> Ask:
    return lambda server: server.request("POST", path, body, headers=headers)


def patch(type_: str, body: object, name: str = "upd", query: str = "") -> Ask:
    return lambda server: server.request("PATCH", f"{SERVICES}/{name}{query}", body, headers={"Content-Type": type_})


def put(name: str = "upd", **metadata: str) -> Ask:
    def ask(server: ApiServer) -> requests.Response:
        stored = server.request("GET", f"{SERVICES}/{name}")
        body = stored.json() if stored.ok else isvc(name)
        kept = {key: value for key, value in (body["metadata"] | metadata).items() if value}
        return server.request("PUT", f"{SERVICES}/{name}", body | {"metadata": kept})

    return ask


def get(path: str = "", base: str = SERVICES, **headers: str) -> Ask:
    return lambda server: server.request("GET", base + path, headers=headers)


def as_jane(method: str, path: str = "", body: object = None) -> Ask:
    headers = {"Impersonate-User": "jane"} | ({"Content-Type": MERGE} if method == "PATCH" else {})
    return lambda server: server.request(method, SERVICES + path, body, headers=headers)


def without_token(server: ApiServer) -> requests.Response:
    return requests.get(server.url + SERVICES, verify=str(server.folder / "tls.crt"), timeout=10)


def unknown_fields() -> dict[str, Any]:
    body = isvc("bad")
    body["spec"]["predictor"]["model"]["storageURI"] = "gs://x/y"
    return body | {"spec": body["spec"] | {"bogus": 1}}


CASES: dict[str, Ask] = {
    **{f"name={name}": create(isvc(name)) for name in ("Sklearn-Iris", "-sklearn", "sklearn-", "")},
    "unknown-field fieldValidation=Strict (raw)": create(unknown_fields(), f"{SERVICES}?fieldValidation=Strict"),
    "annotation enable-tag-routing not a string": create(
        isvc("bad") | {"metadata": {"name": "bad", "annotations": {"serving.kserve.io/enable-tag-routing": True}}}),
    "wrong apiVersion v1alpha2": create(isvc("bad") | {"apiVersion": "serving.kserve.io/v1alpha2"}),
    "malformed-json": create(b'{"a":'),
    "empty body": create(b""),
    "wrong content type": create(b"x", **{"Content-Type": "text/plain"}),
    "create again (already exists)": create(isvc("upd")),
    "PUT with stale resourceVersion": put(resourceVersion="1"),
    "PUT without resourceVersion": put(resourceVersion=""),
    "PUT name mismatch": lambda server: server.request("PUT", f"{SERVICES}/upd", isvc("other")),
    "put absent isvc": put("nope"),
    "merge-patch with stale resourceVersion": patch(MERGE, {"metadata": {"resourceVersion": "1"}}),
    "json-patch remove of absent canaryTrafficPercent": patch(
        JSON_PATCH, [{"op": "remove", "path": "/spec/predictor/canaryTrafficPercent"}]),
    "json-patch test fails": patch(JSON_PATCH, [{"op": "test", "path": "/metadata/name", "value": "x"}]),
    "strategic-merge-patch": patch("application/strategic-merge-patch+json", {}),
    "patch with application/json": patch("application/json", {}),
    "patch absent isvc": patch(MERGE, {}, "nope"),
    "SSA conflict (manager bob)": patch(APPLY, isvc("ssa", canaryTrafficPercent=30), "ssa", "?fieldManager=bob"),
    "SSA without fieldManager": patch(APPLY, isvc("ssa"), "ssa"),
    "create in absent namespace": create(isvc("x") | {"metadata": {"name": "x"}}, OTHER),
    "get in absent namespace": get("/x", OTHER),
    "namespace mismatch body/URL": create(isvc("x") | {"metadata": {"name": "x", "namespace": "default"}}),
    "get absent isvc": get("/nope"),
    "delete absent isvc": lambda server: server.request("DELETE", f"{SERVICES}/nope"),
    "unauthenticated (no certificate) list": without_token,
    "bad bearer token": get(Authorization="Bearer nope"),
    "forbidden: jane lists": as_jane("GET"),
    "forbidden: jane creates": as_jane("POST", "", isvc("x")),
    "forbidden: jane patches": as_jane("PATCH", "/upd", {}),
    "forbidden: jane watches": as_jane("GET", "?watch=true"),
    "unknown API group version": get("/things", "/apis/serving.kserve.io/v9"),
    "watch with too old resourceVersion": get("?watch=true&resourceVersion=1"),
    "limit/continue bad token": get("?limit=1&continue=nope"),
    "bad labelSelector": get("?labelSelector=a==b==c"),
    "bad fieldSelector": get("?fieldSelector=spec.x=1"),
}


@pytest.mark.parametrize("case", sorted(RECORDED))
def test_the_answer_is_the_recorded_one(server: ApiServer, case: str) -> None:
    recorded = RECORDED[case]

    answer = CASES[case](server)

    body = answer.json() if "json" in answer.headers["Content-Type"] else answer.text
    assert (answer.status_code, local(body)) == (recorded["code"], local(recorded["body"]))


def local(body: Any) -> Any:
    """The text without the parts that differ from cluster to cluster: namespaces and versions."""
    text = re.sub(r"kserve-(bad|test)", "demo", json.dumps(body))
    return json.loads(re.sub(r"version: 1 \(\d+\)", "version: 1 (N)", text))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.idle], ids=lambda kind: kind.plural)
def test_kinds_without_effect_are_listed_and_refused(kind: Kind, server: ApiServer) -> None:
    where = f"namespaces/demo/{kind.plural}" if kind.namespaced else kind.plural
    path = f"/{'apis' if kind.group else 'api'}/{kind.api_version}/{where}"
    body = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": "some"}, "rules": [{"verbs": []}]}

    assert server.request("GET", path).json()["items"] == []
    answer = server.request("POST", f"{path}?fieldValidation=Strict", body)

    assert answer.status_code == 403
    assert f"nothing would act on the {kind.kind} 'some'" in answer.json()["message"]
    assert answer.json()["message"].endswith("Use a kind cluster: kserve-nb up --cluster kind")
