"""Objects over HTTP: lists, Tables, discovery, patches, server-side apply, subresources."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kserve_nb.clusters.embedded.apimachinery.kinds import DEPLOYMENT, INFERENCE_SERVICE
from tests.api_server import SERVICES, ApiServer, isvc

DATA = Path(__file__).parents[1] / "data/api"
MERGE, JSON_PATCH = "application/merge-patch+json", "application/json-patch+json"
STRATEGIC, APPLY = "application/strategic-merge-patch+json", "application/apply-patch+yaml"
DEPLOYMENTS = "/apis/apps/v1/namespaces/demo/deployments"


@pytest.fixture(scope="module")
def module_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    served = ApiServer(tmp_path_factory.mktemp("api"))
    yield served
    served.close()


@pytest.fixture
def server(module_server: ApiServer) -> ApiServer:
    for kind in (INFERENCE_SERVICE, DEPLOYMENT):
        for entry in module_server.store.entries(kind):
            module_server.call(module_server.store.delete, kind, entry.namespace, entry.name)
    return module_server


def ok(answer: Any) -> Any:
    assert answer.ok, answer.text
    return answer.json()


def patch(server: ApiServer, path: str, body: Any, type_: str = MERGE, query: str = "") -> Any:
    return ok(server.request("PATCH", f"{path}?{query}", body, headers={"Content-Type": type_}))


def apply(server: ApiServer, manager: str, body: dict[str, Any], force: bool = False) -> Any:
    path = f"{SERVICES}/{body['metadata']['name']}?fieldManager={manager}&force={str(force).lower()}"
    return server.request("PATCH", path, body, headers={"Content-Type": APPLY})


def deployment(*containers: dict[str, Any]) -> dict[str, Any]:
    labels = {"app": "web"}
    return {"metadata": {"name": "web"}, "spec": {
        "selector": {"matchLabels": labels}, "replicas": 1,
        "template": {"metadata": {"labels": labels}, "spec": {"containers": list(containers)}}}}


def test_a_list_comes_in_pages(server: ApiServer) -> None:
    for number in range(5):
        ok(server.request("POST", SERVICES, isvc(f"i{number}")))

    names, token, remaining = [], "", []
    while True:
        page = ok(server.request("GET", f"{SERVICES}?limit=2&continue={token}"))
        names += [item["metadata"]["name"] for item in page["items"]]
        remaining.append(page["metadata"].get("remainingItemCount"))
        token = page["metadata"]["continue"]
        if not token:
            break

    assert (names, remaining) == ([f"i{number}" for number in range(5)], [3, 1, None])


@pytest.mark.parametrize("selector, expected", [
    ("app=x", ["a", "b"]), ("app==x,tier", ["b"]), ("app!=x", ["c", "d"]), ("app in (x, y)", ["a", "b", "c"]),
    ("app notin (x)", ["c", "d"]), ("!app", ["d"]), ("tier>1", ["b"]), ("tier<1", []), ("", ["a", "b", "c", "d"]),
])
def test_labels_select(server: ApiServer, selector: str, expected: list[str]) -> None:
    for name, labels in (("a", {"app": "x"}), ("b", {"app": "x", "tier": "2"}), ("c", {"app": "y"}), ("d", {})):
        body = isvc(name)
        body["metadata"]["labels"] = labels
        ok(server.request("POST", SERVICES, body))

    found = ok(server.request("GET", SERVICES, params={"labelSelector": selector}))

    assert [item["metadata"]["name"] for item in found["items"]] == expected


def test_a_table_shows_what_kubectl_prints(server: ApiServer) -> None:
    rows = json.loads((DATA / "printed.json").read_text())
    stored = next(row["object"] for row in rows if row["object"]["kind"] == "InferenceService")
    ok(server.request("POST", SERVICES, isvc("sklearn-iris")))
    patch(server, f"{SERVICES}/sklearn-iris/status", {"status": stored["status"]})

    table = ok(server.request("GET", SERVICES, headers={"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}))

    assert [column["name"] for column in table["columnDefinitions"]] == [
        "Name", "URL", "Ready", "Prev", "Latest", "PrevRolledoutRevision", "LatestReadyRevision", "Age"]
    row = table["rows"][0]
    assert row["cells"][:-1] == [
        "sklearn-iris", stored["status"]["url"], "True", None, 100, None, "sklearn-iris-predictor-00001"]
    assert row["object"]["kind"] == "PartialObjectMetadata" and "spec" not in row["object"]


def test_discovery_is_the_same_plain_and_aggregated(server: ApiServer) -> None:
    accept = {"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"}
    aggregated = server.request("GET", "/apis", headers=accept)
    plain = ok(server.request("GET", "/apis"))

    assert aggregated.headers["Content-Type"] == accept["Accept"].partition(",")[0]
    groups = {group["metadata"]["name"]: group for group in aggregated.json()["items"]}
    assert list(groups) == [group["name"] for group in plain["groups"]]
    for group in plain["groups"]:
        for version in group["versions"]:
            rows = ok(server.request("GET", f"/apis/{version['groupVersion']}"))["resources"]
            names = [row["name"] for row in rows if "/" not in row["name"]]
            found = next(v for v in groups[group["name"]]["versions"] if v["version"] == version["version"])
            assert [resource["resource"] for resource in found["resources"]] == names


@pytest.mark.parametrize(("path", "name", "hash_"), [
    ("/api/v1", "configmaps", "qFsyl6wFWjQ="), ("/api/v1", "pods", "xPOwRZ+Yhw8="), ("/api/v1", "pods/log", None),
    ("/apis/apps/v1", "deployments", "8aSe+NMegvE="),
    ("/apis/authentication.k8s.io/v1", "tokenreviews", None)])  # fmt: skip
def test_discovery_has_the_hashes_of_a_real_api_server(server: ApiServer, path: str, name: str,
                                                       hash_: str | None) -> None:
    rows = ok(server.request("GET", path))["resources"]

    assert next(row for row in rows if row["name"] == name).get("storageVersionHash") == hash_


def test_internal_kinds_are_not_served(server: ApiServer) -> None:
    assert server.request("GET", "/apis/embedded.kserve-nb.dev/v1/sandboxes").status_code == 404
    assert "embedded.kserve-nb.dev" not in server.request("GET", "/apis").text


def test_a_dry_run_changes_nothing(server: ApiServer) -> None:
    version = server.store.version

    made = ok(server.request("POST", f"{SERVICES}?dryRun=All", isvc("a")))

    assert made["metadata"]["uid"] and server.store.version == version
    assert server.request("GET", f"{SERVICES}/a").status_code == 404


def test_unknown_fields_warn(server: ApiServer) -> None:
    body = isvc("a")
    body["spec"]["bogus"] = 1

    answer = server.request("POST", f"{SERVICES}?fieldValidation=Warn", body)

    assert answer.headers["Warning"] == '299 - "unknown field \\"spec.bogus\\""'
    assert "bogus" not in answer.json()["spec"]


def test_delete_reports_deleted_objects_or_remaining_ones(server: ApiServer) -> None:
    body = isvc("a")
    body["metadata"]["finalizers"] = ["a/b"]
    ok(server.request("POST", SERVICES, body))

    left = ok(server.request("DELETE", f"{SERVICES}/a"))
    assert left["metadata"]["deletionTimestamp"]
    patch(server, f"{SERVICES}/a", {"metadata": {"finalizers": None}})
    assert server.request("GET", f"{SERVICES}/a").status_code == 404

    ok(server.request("POST", SERVICES, isvc("b")))
    gone = ok(server.request("DELETE", f"{SERVICES}/b"))
    assert (gone["status"], gone["details"]["kind"]) == ("Success", "inferenceservices")


def test_a_whole_collection_is_deleted_by_label(server: ApiServer) -> None:
    for name, app in (("a", "x"), ("b", "x"), ("c", "y")):
        body = isvc(name)
        body["metadata"]["labels"] = {"app": app}
        ok(server.request("POST", SERVICES, body))

    ok(server.request("DELETE", f"{SERVICES}?labelSelector=app=x"))

    assert [entry.name for entry in server.store.entries(INFERENCE_SERVICE)] == ["c"]


def test_a_strategic_patch_merges_named_containers(server: ApiServer) -> None:
    ok(server.request("POST", DEPLOYMENTS, deployment({"name": "a", "image": "x"}, {"name": "b", "image": "y"})))

    change = {"containers": [{"name": "a", "env": [{"name": "K", "value": "1"}]}, {"name": "b", "$patch": "delete"}]}
    changed = patch(server, f"{DEPLOYMENTS}/web", {"spec": {"template": {"spec": change}}}, STRATEGIC)

    (container,) = changed["spec"]["template"]["spec"]["containers"]
    assert (container["name"], container["image"], container["env"]) == ("a", "x", [{"name": "K", "value": "1"}])


@pytest.mark.parametrize(("change", "problem"), [
    ({"metadata": {"labels": "invalid"}}, "map[metadata:map[labels:invalid]]\": cannot restore map from string"),
    ({"metadata": 1}, "cannot restore struct from: int64"),
    ({"spec": {"replicas": "two"}}, "unrecognized type: int32"),
    ({"metadata": {"finalizers": {"a": 1}}}, "cannot restore slice from map"),
    ({"metadata": {"labels": {"a": 1}}}, "cannot convert int64 to string"),
])  # fmt: skip
def test_a_strategic_patch_with_a_value_of_the_wrong_type_is_refused(server: ApiServer, change: dict[str, Any],
                                                                     problem: str) -> None:
    ok(server.request("POST", DEPLOYMENTS, deployment({"name": "a", "image": "x"})))

    answer = server.request("PATCH", f"{DEPLOYMENTS}/web", change,
                            headers={"Content-Type": STRATEGIC})

    assert answer.status_code == 422
    assert answer.json()["message"].startswith(' "" is invalid: patch: Invalid value: "map[')
    assert answer.json()["message"].endswith(problem)


def test_version_0_replaces_whatever_is_stored_except_for_custom_resources(server: ApiServer) -> None:
    made = ok(server.request("POST", DEPLOYMENTS, deployment({"name": "a", "image": "x"})))
    service = ok(server.request("POST", SERVICES, isvc("a")))
    for body in (made, service):
        body["metadata"] |= {"resourceVersion": "0", "annotations": {"a": "b"}}

    assert ok(server.request("PUT", f"{DEPLOYMENTS}/web", made))["metadata"]["annotations"]["a"] == "b"
    assert "must be specified for an update" in server.request("PUT", f"{SERVICES}/a", service).text


def test_scale_sets_replicas(server: ApiServer) -> None:
    ok(server.request("POST", DEPLOYMENTS, deployment({"name": "a", "image": "x"})))

    scale = patch(server, f"{DEPLOYMENTS}/web/scale", {"spec": {"replicas": 3}})

    assert (scale["kind"], scale["spec"], scale["status"]["selector"]) == ("Scale", {"replicas": 3}, "app=web")
    assert server.store.list(DEPLOYMENT)[0]["spec"]["replicas"] == 3


def test_status_and_the_rest_are_written_apart(server: ApiServer) -> None:
    ok(server.request("POST", SERVICES, isvc("a") | {"status": {"url": "http://x"}}))

    changed = patch(server, f"{SERVICES}/a/status", {"spec": None, "status": {"url": "http://y"}})
    again = patch(server, f"{SERVICES}/a", {"status": {"url": "http://z"}, "metadata": {"labels": {"a": "b"}}})

    assert (changed["status"], "predictor" in changed["spec"]) == ({"url": "http://y"}, True)
    assert again["status"] == {"url": "http://y"}


def test_managed_fields_record_the_writer_of_each_field(server: ApiServer) -> None:
    ok(server.request("POST", f"{SERVICES}?fieldManager=maker", isvc("a", minReplicas=1)))
    patch(server, f"{SERVICES}/a", {"spec": {"predictor": {"minReplicas": 2}}}, query="fieldManager=changer")
    changed = patch(server, f"{SERVICES}/a/status", {"status": {"url": "http://x"}}, query="fieldManager=changer")

    owners = {(m["manager"], m.get("subresource")): m["fieldsV1"] for m in changed["metadata"]["managedFields"]}
    assert owners["changer", None] == {"f:spec": {"f:predictor": {"f:minReplicas": {}}}}
    assert owners["changer", "status"] == {"f:status": {".": {}, "f:url": {}}}
    assert "f:minReplicas" not in owners["maker", None]["f:spec"]["f:predictor"]
    assert owners["maker", None]["f:spec"]["f:predictor"]["f:model"]["f:storageUri"] == {}


def test_a_field_that_is_no_longer_applied_is_removed_unless_another_manager_owns_it(server: ApiServer) -> None:
    ok(apply(server, "alice", isvc("a", canaryTrafficPercent=10, minReplicas=1)))
    ok(apply(server, "bob", isvc("a", minReplicas=1)))

    left = ok(apply(server, "alice", isvc("a")))

    assert "canaryTrafficPercent" not in left["spec"]["predictor"]
    assert left["spec"]["predictor"]["minReplicas"] == 1


def test_force_takes_fields_over(server: ApiServer) -> None:
    ok(apply(server, "alice", isvc("a", canaryTrafficPercent=10)))

    assert apply(server, "bob", isvc("a", canaryTrafficPercent=20)).status_code == 409
    ok(apply(server, "bob", isvc("a", canaryTrafficPercent=20), force=True))
    kept = ok(apply(server, "alice", isvc("a")))

    assert kept["spec"]["predictor"]["canaryTrafficPercent"] == 20


def test_applying_the_same_again_writes_nothing(server: ApiServer) -> None:
    first = ok(apply(server, "alice", isvc("a")))

    assert ok(apply(server, "alice", isvc("a"))) == first


def test_several_conflicts_are_reported_together(server: ApiServer) -> None:
    ok(apply(server, "alice", isvc("a", canaryTrafficPercent=10, minReplicas=1)))

    refused = apply(server, "bob", isvc("a", canaryTrafficPercent=20, minReplicas=2)).json()

    assert refused["message"] == (
        'Apply failed with 2 conflicts: conflicts with "alice":\n'
        "- .spec.predictor.canaryTrafficPercent\n- .spec.predictor.minReplicas")


def test_reviews_are_about_the_requesting_user(server: ApiServer) -> None:
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    body = {"spec": {"resourceAttributes": {"verb": "create", "resource": "pods"}}}

    mine = ok(server.request("POST", path, body))
    janes = ok(server.request("POST", path, body, headers={"Impersonate-User": "jane"}))

    assert (mine["status"]["allowed"], janes["status"]["allowed"]) == (True, False)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/livez"])
def test_health_is_public(server: ApiServer, path: str) -> None:
    answer = server.session.get(server.url + path, headers={"Authorization": ""}, timeout=5)

    assert (answer.status_code, answer.text) == (200, "ok")


@pytest.mark.parametrize("method, path", [
    ("POST", f"{SERVICES}/a"), ("PUT", SERVICES), ("PATCH", SERVICES), ("POST", "/version"),
    ("POST", "/apis/serving.kserve.io/v1beta1/inferenceservices"), ("DELETE", "/api/v1/namespaces")])
def test_methods_that_are_not_there(server: ApiServer, method: str, path: str) -> None:
    answer = server.request(method, path, {})

    assert (answer.status_code, answer.json()["reason"]) == (405, "MethodNotAllowed")


def test_a_status_has_the_types_of_its_kind(server: ApiServer) -> None:
    ok(server.request("POST", SERVICES, isvc("a")))

    refused = server.request("PATCH", f"{SERVICES}/a/status", {"status": {"conditions": "x"}},
                             headers={"Content-Type": MERGE})

    assert refused.status_code == 422
    assert 'status.conditions in body must be of type array: "string"' in refused.json()["message"]
