"""What pods get on their way into the store, against pods of a real cluster."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest

from kserve_nb.clusters.embedded.kinds import NAMESPACE, POD, SERVICE_ACCOUNT
from kserve_nb.clusters.embedded.objects import Object, StatusError
from tests.unit.api_lab import items, new_store

URI = "internal.serving.kserve.io/storage-initializer-sourceuri"


def body_of(real: Object) -> Object:
    """What the ReplicaSet controller asked for, before admission."""
    template = copy.deepcopy(next(
        item for item in items("rs") if item["metadata"]["name"] == real["metadata"]["ownerReferences"][0]["name"]
    )["spec"]["template"])
    kept = ("generateName", "namespace", "ownerReferences")
    meta = template["metadata"] | {key: real["metadata"][key] for key in kept}
    return {"metadata": meta, "spec": template["spec"]}


def without_random(spec: Object) -> Any:
    spec = {key: value for key, value in spec.items() if key != "nodeName"}
    return json.loads(re.sub(r"kube-api-access-\w{5}", "kube-api-access-xxxxx", json.dumps(spec)))


def pod(**spec: Any) -> Object:
    return {"metadata": {"name": "p", "namespace": "kserve-test"},
            "spec": {"containers": [{"name": "c", "image": "i"}]} | spec}


@pytest.mark.parametrize("number", [0, 1])
def test_a_pod_of_a_revision_becomes_what_it_is_on_a_real_cluster(number: int) -> None:
    real = items("pods")[number]

    stored = new_store("kserve-test").create(POD, body_of(real))

    assert without_random(stored["spec"]) == without_random(real["spec"])
    assert stored["metadata"]["annotations"] == real["metadata"]["annotations"]
    assert stored["status"] == {"phase": "Pending", "qosClass": real["status"]["qosClass"]}


def test_a_claim_is_mounted_without_an_init_container() -> None:
    body = body_of(items("pods")[0])
    body["metadata"]["annotations"][URI] = "pvc://models/iris/v1"

    spec = new_store("kserve-test").create(POD, body)["spec"]

    assert "initContainers" not in spec
    assert spec["volumes"][-1] == {"name": "kserve-pvc-source", "persistentVolumeClaim": {"claimName": "models"}}
    assert spec["containers"][0]["volumeMounts"][-1] == {
        "mountPath": "/mnt/models", "name": "kserve-pvc-source", "readOnly": True, "subPath": "iris/v1"}


def test_a_namespace_with_a_control_plane_is_left_alone_by_kserve() -> None:
    store = new_store()
    store.create(NAMESPACE, {"metadata": {"name": "kserve-test", "labels": {"control-plane": "x"}}})

    stored = store.create(POD, body_of(items("pods")[0]))

    assert "initContainers" not in stored["spec"]


def test_an_update_changes_nothing() -> None:
    store = new_store("kserve-test")
    stored = store.create(POD, body_of(items("pods")[0]))
    stored = store.update_status(POD, stored | {"status": {"phase": "Running"}})

    updated = store.update(POD, copy.deepcopy(stored))

    assert updated == stored


def test_limits_are_requests_as_well() -> None:
    container = {"name": "c", "image": "i:latest", "resources": {"limits": {"cpu": "1000m", "memory": "1024Mi"}}}

    stored = new_store("kserve-test").create(POD, pod(containers=[container]))

    assert stored["spec"]["containers"][0]["resources"] == {
        "limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}}
    assert stored["spec"]["containers"][0]["imagePullPolicy"] == "Always"
    assert stored["status"]["qosClass"] == "Guaranteed"


def test_no_token_is_mounted_where_the_account_forbids_it() -> None:
    store = new_store("kserve-test")
    store.create(SERVICE_ACCOUNT, {"metadata": {"name": "quiet", "namespace": "kserve-test"},
                                   "automountServiceAccountToken": False})

    stored = store.create(POD, pod(serviceAccountName="quiet"))

    assert "volumes" not in stored["spec"]


def test_an_unknown_service_account_is_refused() -> None:
    with pytest.raises(StatusError, match='error looking up service account kserve-test/ghost: serviceaccount "ghost"'):
        new_store("kserve-test").create(POD, pod(serviceAccountName="ghost"))


def test_a_pod_without_containers_is_invalid() -> None:
    with pytest.raises(StatusError, match=r'Pod "p" is invalid: spec\.containers: Required value'):
        new_store("kserve-test").create(POD, pod(containers=[]))
