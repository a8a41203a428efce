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


CONTAINER: Object = {"name": "c", "image": "i"}
VOLUME: Object = {"name": "v", "emptyDir": {}}


@pytest.mark.parametrize(("spec", "words"), [
    ({"containers": []}, "spec.containers: Required value"),
    ({"containers": [{}]}, "[spec.containers[0].name: Required value, spec.containers[0].image: Required value]"),
    ({"containers": [CONTAINER | {"name": "C"}]},
     'spec.containers[0].name: Invalid value: "C": a lowercase RFC 1123 label must consist of'),
    ({"containers": [CONTAINER, CONTAINER]}, 'spec.containers[1].name: Duplicate value: "c"'),
    ({"initContainers": [CONTAINER], "containers": [CONTAINER]}, 'spec.containers[0].name: Duplicate value: "c"'),
    ({"containers": [CONTAINER | {"image": " i"}]},
     'spec.containers[0].image: Invalid value: " i": must not have leading or trailing whitespace'),
    ({"containers": [CONTAINER | {"imagePullPolicy": "Often"}]},
     'spec.containers[0].imagePullPolicy: Unsupported value: "Often": supported values: "Always", "IfNotPresent", '
     '"Never"'),
    ({"containers": [CONTAINER | {"ports": [{"containerPort": 0}]}]},
     "spec.containers[0].ports[0].containerPort: Invalid value: 0: must be between 1 and 65535, inclusive"),
    ({"containers": [CONTAINER | {"ports": [{"containerPort": 1, "name": "a" * 16}]}]},
     f'spec.containers[0].ports[0].name: Invalid value: "{"a" * 16}": must be no more than 15 characters'),
    ({"containers": [CONTAINER | {"ports": [{"containerPort": 1, "protocol": "QUIC"}]}]},
     'spec.containers[0].ports[0].protocol: Unsupported value: "QUIC": supported values: "SCTP", "TCP", "UDP"'),
    ({"containers": [CONTAINER | {"env": [{"value": "1"}]}]}, "spec.containers[0].env[0].name: Required value"),
    ({"restartPolicy": "Sometimes"},
     'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"'),
    ({"volumes": [VOLUME, VOLUME]}, 'spec.volumes[1].name: Duplicate value: "v"'),
    ({"volumes": [VOLUME | {"secret": {"secretName": "s"}}]},
     "spec.volumes[0].secret: Forbidden: may not specify more than 1 volume type"),
    ({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "../.."}}]},
     'spec.volumes[0].persistentVolumeClaim.claimName: Invalid value: "../..": a lowercase RFC 1123 subdomain must'),
])
def test_pods_have_rules(spec: Object, words: str) -> None:
    with pytest.raises(StatusError) as refused:
        new_store("kserve-test").create(POD, pod(**spec))

    assert refused.value.code == 422
    assert refused.value.message.startswith(f'Pod "p" is invalid: {words}')


@pytest.mark.parametrize(("mounts", "words"), [
    ([{"mountPath": "/a"}], "spec.containers[0].volumeMounts[0].name: Required value"),
    ([{"name": "w", "mountPath": "/a"}], 'spec.containers[0].volumeMounts[0].name: Not found: "w"'),
    ([{"name": "v"}], "spec.containers[0].volumeMounts[0].mountPath: Required value"),
    ([{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/a"}],
     'spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/a": must be unique'),
    ([{"name": "v", "mountPath": "/a", "subPath": "/b"}],
     'spec.containers[0].volumeMounts[0].subPath: Invalid value: "/b": must be a relative path'),
    ([{"name": "v", "mountPath": "/a", "subPath": "b/../../c"}],
     "spec.containers[0].volumeMounts[0].subPath: Invalid value: \"b/../../c\": must not contain '..'"),
])
def test_mounts_have_rules(mounts: list[Object], words: str) -> None:
    with pytest.raises(StatusError) as refused:
        new_store("kserve-test").create(
            POD, pod(volumes=[VOLUME], containers=[CONTAINER | {"volumeMounts": mounts}]))

    assert refused.value.message == f'Pod "p" is invalid: {words}'


@pytest.mark.parametrize("image", ["app@sha256:" + "a" * 64, "gcr.io/app:latest@sha256:" + "a" * 64, "app:1"])
def test_an_image_with_a_digest_or_a_version_is_pulled_once(image: str) -> None:
    stored = new_store("kserve-test").create(POD, pod(containers=[CONTAINER | {"image": image}]))

    assert stored["spec"]["containers"][0]["imagePullPolicy"] == "IfNotPresent"
