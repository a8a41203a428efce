"""Admission of pods, compared with pods of a real cluster."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from kserve_nb.clusters.embedded.apimachinery.kinds import (
    CLUSTER_STORAGE_CONTAINER,
    INFERENCE_SERVICE,
    NAMESPACE,
    POD,
    SERVICE_ACCOUNT,
)
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object, StatusError
from tests.unit.api_lab import items, new_store

DATA = Path(__file__).parents[1] / "data" / "kserve"
URI = "internal.serving.kserve.io/storage-initializer-sourceuri"


def body_of(real: Object) -> Object:
    """The body that the ReplicaSet controller sent, before admission."""
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
def test_a_revisions_pod_equals_the_pod_of_a_real_cluster(number: int) -> None:
    real = items("pods")[number]

    stored = new_store("kserve-test").create(POD, body_of(real))

    assert without_random(stored["spec"]) == without_random(real["spec"])
    assert stored["metadata"]["annotations"] == real["metadata"]["annotations"]
    assert stored["status"] == {"phase": "Pending", "qosClass": real["status"]["qosClass"]}


def test_a_multi_model_server_gets_the_agent_of_a_real_cluster() -> None:
    recorded = json.loads((DATA / "pod-of-multi-model-server.json").read_text())
    real, store = recorded["pod"], new_store("kserve-test")
    kept = ("generateName", "namespace", "ownerReferences")
    meta = recorded["template"]["metadata"] | {key: real["metadata"][key] for key in kept}

    stored = store.create(POD, {"metadata": meta, "spec": recorded["template"]["spec"]})

    (agent,) = (container for container in real["spec"]["containers"] if container["name"] == "agent")
    agent |= {"image": "kserve/agent:v0.20.0", "imagePullPolicy": "IfNotPresent"}  # recorded: latest
    assert without_random(stored["spec"]) == without_random(real["spec"])
    assert stored["metadata"]["annotations"] == real["metadata"]["annotations"]


def of_revision(**annotations: str) -> Object:
    """A recorded pod with more annotations of KServe."""
    body = body_of(items("pods")[0])
    body["metadata"]["annotations"] |= {f"internal.serving.kserve.io/{key.replace('_', '-')}": value
                                        for key, value in annotations.items()}
    return body


def agent_of(body: Object, *others: tuple[Kind, Object]) -> Object:
    store = new_store("kserve-test")
    for kind, other in others:
        store.create(kind, other)
    containers: list[Object] = store.create(POD, body)["spec"]["containers"]
    assert [c["name"] for c in containers] == ["kserve-container", "queue-proxy", "agent"]
    return containers[-1]


def test_the_agent_logs_to_the_sink_of_the_inference_service() -> None:
    body = of_revision(logger="true", logger_mode="request", logger_sink_url="http://sink")
    name = body["metadata"]["name"] = "the-pod"

    agent = agent_of(body)

    assert agent["args"] == [
        "--log-url", "http://sink", "--source-uri", name, "--log-mode", "request", "--inference-service",
        "sklearn-iris", "--namespace", "kserve-test", "--endpoint", "", "--component", "predictor",
        "--logger-tls-skip-verify", "false", "--component-port", "8080"]


def test_the_agent_has_the_loggers_further_settings() -> None:
    body = of_revision(logger="true", logger_metadata_headers="a,b", logger_metadata_annotations="x,absent")
    body["metadata"]["annotations"]["x"] = "1"
    logger = {"mode": "all", "batchSize": 5,
              "storage": {"key": "s3", "path": "logs", "parameters": {"format": "json"}}}
    isvc = {"metadata": {"name": "sklearn-iris", "namespace": "kserve-test"}, "spec": {"predictor": {
        "logger": logger, "model": {"modelFormat": {"name": "sklearn"}, "storageUri": "gs://a/b"}}}}

    args = agent_of(body, (INFERENCE_SERVICE, isvc))["args"]

    assert args[args.index("--log-store-path"):] == [
        "--log-store-path", "logs", "--log-store-format", "json", "--log-batch-size", "5", "--metadata-headers", "a,b",
        "--metadata-annotations", "x=1", "--logger-tls-skip-verify", "false", "--component-port", "8080"]
    assert args[:2] == ["--log-url", "http://default-broker"]


def test_the_agent_batches_as_the_inference_service_specifies() -> None:
    agent = agent_of(of_revision(batcher="true", batcher_max_batchsize="8", batcher_max_latency="100"))

    assert agent["args"] == ["--enable-batcher", "--max-batchsize", "8", "--max-latency", "100", "--component-port",
                             "8080"]


def test_a_model_may_be_mounted_writable_and_its_variable_is_the_path() -> None:
    body = of_revision()
    body["metadata"]["annotations"]["storage.kserve.io/readonly"] = "false"
    body["spec"]["containers"][0]["env"].append({"name": "STORAGE_URI", "value": "gs://a/b"})

    server = new_store("kserve-test").create(POD, body)["spec"]["containers"][0]

    assert server["volumeMounts"][-1] == {"mountPath": "/mnt/models", "name": "kserve-provision-location"}
    assert server["env"][-1] == {"name": "STORAGE_URI", "value": "/mnt/models"}


def test_a_storage_container_is_chosen_by_name_or_by_uri() -> None:
    own = {"metadata": {"name": "a-hub"}, "spec": {
        "container": {"name": "storage-initializer", "image": "mine:1", "env": [{"name": "A", "value": "a"}]},
        "supportedUriFormats": [{"prefix": "gs://special"}], "workloadType": "initContainer"}}

    def initializer(uri: str, **annotations: str) -> Object:
        store, body = new_store("kserve-test"), of_revision(**annotations)
        store.create(CLUSTER_STORAGE_CONTAINER, copy.deepcopy(own))
        body["metadata"]["annotations"][URI] = uri
        found: Object = store.create(POD, body)["spec"]["initContainers"][0]
        return found

    assert initializer("gs://special/model")["image"] == "mine:1"
    assert initializer("gs://special/model")["env"][0] == {"name": "A", "value": "a"}
    assert initializer("gs://other/model")["image"] == "kserve/storage-initializer:v0.20.0"
    with pytest.raises(StatusError, match='ClusterStorageContainer "a-hub" does not support storageUri "gs://x"'):
        initializer("gs://x", storage_container_name="a-hub")
    with pytest.raises(StatusError, match='ClusterStorageContainer "absent" not found'):
        initializer("gs://x", storage_container_name="absent")


def test_an_accelerator_becomes_a_node_selector() -> None:
    body = of_revision()
    body["metadata"]["annotations"]["serving.kserve.io/gke-accelerator"] = "nvidia-tesla-t4"

    spec = new_store("kserve-test").create(POD, body)["spec"]

    assert spec["nodeSelector"] == {"cloud.google.com/gke-accelerator": "nvidia-tesla-t4"}


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
