"""The effect of each field of a predictor and of a serving runtime."""

from __future__ import annotations

import copy
from typing import Any, cast

import pytest

from kserve_nb.clusters.embedded.apimachinery.kinds import (
    CLUSTER_SERVING_RUNTIME,
    CLUSTER_STORAGE_CONTAINER,
    KNATIVE_SERVICE,
    REVISION,
    SERVING_RUNTIME,
)
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object, Objects, condition, is_true
from kserve_nb.clusters.embedded.control.framework.reconciler import Moment
from kserve_nb.clusters.embedded.control.kserve import inference_service
from kserve_nb.clusters.embedded.control.kserve.predictor_annotations import predictor_annotations
from kserve_nb.clusters.embedded.control.kserve.predictor_pod import build_pod_spec
from kserve_nb.clusters.embedded.control.kserve.predictor_service import make_service, service_name
from kserve_nb.clusters.embedded.control.kserve.serving_runtime import PredictorError, Runtime
from tests.unit.simulator import MODEL, MODEL_2, NAME, NS, Simulator, isvc, objects_of

INTERNAL = "internal.serving.kserve.io/"


def predictor(**spec: Any) -> Object:
    return {"metadata": {"name": NAME, "namespace": NS, "uid": "1"}, "apiVersion": "v1", "kind": "InferenceService",
            "spec": {"predictor": spec}}


def model(**fields: Any) -> Object:
    return predictor(model={"modelFormat": {"name": "sklearn"}, "storageUri": MODEL, **fields})


def runtime(name: str = "own", annotations: dict[str, str] | None = None, **spec: Any) -> Runtime:
    container = {"name": "kserve-container", "image": "kserve/sklearnserver:v0.20.0",
                 "args": ["--model_name={{.Name}}"]}
    body = {"metadata": {"name": name, "annotations": annotations or {}}, "spec": {"containers": [container], **spec}}
    return Runtime(SERVING_RUNTIME, body)


def pod(isvc: Object, runtime: Runtime | None = None) -> Object:
    return build_pod_spec(copy.deepcopy(isvc), runtime)


def internal(isvc: Object) -> dict[str, str]:
    """The annotations for KServe's pod webhook, without their prefix."""
    found = predictor_annotations(isvc, Simulator().store)
    return {key.removeprefix(INTERNAL): value for key, value in found.items() if key.startswith(INTERNAL)}


def values(container: Object) -> dict[str, str]:
    return {variable["name"]: variable.get("value", "") for variable in container["env"]}


# Runtimes


def own_runtime(namespace: str | None) -> Object:
    meta: Object = {"name": "own", **({"namespace": namespace} if namespace else {})}
    formats = [{"name": "sklearn", "version": "1"}]
    return {"metadata": meta, "spec": {"supportedModelFormats": formats, "protocolVersions": ["v1", "v2"],
                                       "containers": runtime().spec["containers"]}}


def with_runtime(namespace: str | None, name: str = NAME) -> Object:
    body = isvc(MODEL, name=name)
    body["spec"]["predictor"]["model"]["runtime"] = "own"
    return body


def revisions(cluster: Simulator) -> list[str]:
    return [revision["metadata"]["name"] for revision in objects_of(cluster, REVISION)]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "namespace"), [(SERVING_RUNTIME, NS), (CLUSTER_SERVING_RUNTIME, None)])
def test_an_edited_runtime_rolls_the_inference_services_that_use_it(kind: Any, namespace: str | None) -> None:
    cluster = Simulator()
    held = cluster.store.create(kind, own_runtime(namespace))
    cluster.apply(with_runtime(namespace))
    cluster.apply(isvc(MODEL, name="other"))
    cluster.settle(5)

    held["spec"]["containers"][0]["env"] = [{"name": "Z", "value": "1"}]
    held = cluster.store.update(kind, cluster.store.get(kind, namespace, "own") | {"spec": held["spec"]})
    cluster.settle(5)

    assert revisions(cluster) == ["other-predictor-00001", f"{NAME}-predictor-00001", f"{NAME}-predictor-00002"]
    assert cluster.brief() == "True c2 r2 L2 P1 r2:100"
    held["metadata"]["labels"] = {"a": "b"}
    cluster.store.update(kind, held)
    cluster.settle(5)
    assert len(revisions(cluster)) == 3


@pytest.mark.slow
def test_a_revision_of_an_edited_runtime_takes_the_canarys_percent() -> None:
    cluster = Simulator()
    held = cluster.store.create(SERVING_RUNTIME, own_runtime(NS))
    cluster.apply(with_runtime(NS))
    cluster.settle(5)
    body = with_runtime(NS)
    body["spec"]["predictor"] |= {"canaryTrafficPercent": 10}
    body["spec"]["predictor"]["model"]["storageUri"] = MODEL_2
    cluster.apply(body)
    cluster.settle(5)

    held["spec"]["containers"][0]["image"] += "-1"
    cluster.store.update(SERVING_RUNTIME, cluster.store.get(SERVING_RUNTIME, NS, "own") | {"spec": held["spec"]})
    cluster.settle(5)

    assert cluster.brief() == "True c3 r3 L1 P- r3:10 r1:90 prev"


@pytest.mark.slow
def test_a_deleted_runtime_changes_nothing_until_the_inference_service_changes() -> None:
    cluster = Simulator()
    cluster.store.create(SERVING_RUNTIME, own_runtime(NS))
    cluster.apply(with_runtime(NS))
    cluster.settle(5)

    cluster.store.delete(SERVING_RUNTIME, NS, "own")
    cluster.settle(5)
    assert cluster.isvc()["status"]["modelStatus"]["transitionStatus"] == "UpToDate"
    cluster.annotate(note="changed")
    cluster.settle(5)

    assert cluster.isvc()["status"]["modelStatus"]["lastFailureInfo"]["reason"] == "RuntimeNotRecognized"


@pytest.mark.slow
def test_updates_are_disabled_by_the_exact_value_only() -> None:
    cluster = Simulator()
    cluster.apply(isvc(MODEL, annotations={"serving.kserve.io/disable-auto-update": "True"}))
    cluster.settle(5)

    cluster.apply(isvc(MODEL_2))
    cluster.settle(5)

    assert len(revisions(cluster)) == 2


def test_a_pod_has_the_servers_of_runtime_and_predictor_in_kserves_order() -> None:
    spec = runtime(containers=[
        {"name": "sidecar", "image": "s"}, {"name": "transformer-container", "image": "t:1", "args": ["--a"]},
        *runtime().spec["containers"]])
    own = model() | {}
    own["spec"]["predictor"]["containers"] = [
        {"name": "mine", "image": "m"}, {"name": "transformer-container", "image": "t:2", "args": ["--b={{.Name}}"]}]

    built = pod(own, spec)["containers"]

    assert [c["name"] for c in built] == ["kserve-container", "transformer-container", "sidecar", "mine"]
    assert (built[1]["image"], built[1]["args"]) == ("t:2", ["--a", f"--b={NAME}"])
    assert all(values(c)["INFERENCE_SERVICE_NAME"] == NAME for c in built)


def test_pod_fields_of_the_predictor_are_merged_over_the_runtimes() -> None:
    spec = runtime(nodeSelector={"a": "1", "b": "1"}, volumes=[{"name": "x", "emptyDir": {}}], hostIPC=True)
    own = model()
    own["spec"]["predictor"] |= {"nodeSelector": {"b": "2"}, "volumes": [{"name": "y", "emptyDir": {}}],
                                 "hostNetwork": True, "minReplicas": 2, "serviceAccountName": "sa"}

    built = pod(own, spec)

    assert built["nodeSelector"] == {"a": "1", "b": "2"}
    assert {volume["name"] for volume in built["volumes"]} == {"x", "y"}
    assert (built["hostNetwork"], built["serviceAccountName"]) == (True, "sa")
    assert "minReplicas" not in built and "model" not in built and "hostIPC" not in built


def test_the_models_variables_come_before_the_runtimes_and_the_name_last() -> None:
    spec = runtime()
    spec.spec["containers"][0]["env"] = [{"name": "A", "value": "a"}, {"name": "B", "value": "b"}]

    server = pod(model(env=[{"name": "C", "value": "c"}, {"name": "B", "valueFrom": {"fieldRef": {}}}]), spec)[
        "containers"][0]

    assert [v["name"] for v in server["env"]] == ["C", "A", "B", "INFERENCE_SERVICE_NAME"]
    assert server["env"][2] == {"name": "B", "valueFrom": {"fieldRef": {}}}


@pytest.mark.parametrize(("server_type", "own", "env", "args", "labels"), [
    ("mlserver", {}, {"MLSERVER_MODEL_NAME": NAME, "MLSERVER_MODEL_URI": "/mnt/models"}, [],
     {"modelClass": "mlserver_sklearn.SKLearnModel"}),
    ("mlserver", {"storageUri": None}, {"MLSERVER_LOAD_MODELS_AT_STARTUP": "false"}, [],
     {"modelClass": "mlserver_sklearn.SKLearnModel"}),
    ("mlserver", {"env": [{"name": "MLSERVER_MODEL_NAME", "value": "mine"}]},
     {"MLSERVER_MODEL_NAME": "mine", "MLSERVER_MODEL_URI": "/mnt/models"}, [],
     {"modelClass": "mlserver_sklearn.SKLearnModel"}),
    ("tritonserver", {"storageUri": None}, {}, ["--model-control-mode=explicit"], {}),
    ("tritonserver", {}, {}, [], {}),
    ("torchserve", {"protocolVersion": "v2"}, {"PROTOCOL_VERSION": "v2"}, [], {"serviceEnvelope": "kservev2"}),
    ("torchserve", {}, {"PROTOCOL_VERSION": "v1"}, [], {"serviceEnvelope": "kserve"}),
])
def test_some_model_servers_get_defaults(server_type: str, own: Object, env: dict[str, str], args: list[str],
                                         labels: dict[str, str]) -> None:
    spec = runtime(annotations={"serving.kserve.io/server-type": server_type})

    service = make_service(model(**own), spec, {}, "", Simulator().store)

    server = service["spec"]["template"]["spec"]["containers"][0]
    assert values(server) == env | {"INFERENCE_SERVICE_NAME": NAME}
    assert server["args"][1:] == args
    assert labels.items() <= service["metadata"]["labels"].items()


@pytest.mark.parametrize(("image", "fields", "server_type", "expected"), [
    ("a/b:v1", {"runtimeVersion": "v2"}, "", "a/b:v2"),
    ("a/b", {"runtimeVersion": "v2"}, "", "a/b:v2"),
    ("a/b@sha256:1", {"runtimeVersion": "v2"}, "", "a/b@sha256:1"),
    ("a/b:v1", {"resources": {"limits": {"nvidia.com/gpu": "1"}}}, "huggingfaceserver", "a/b:v1-gpu"),
    ("a/b:v1-gpu", {"resources": {"limits": {"nvidia.com/gpu": "1"}}}, "torchserve", "a/b:v1-gpu"),
    ("a/b:v1", {"resources": {"limits": {"nvidia.com/mig-1g.5gb": "1"}}}, "tensorflow-serving", "a/b:v1-gpu"),
    ("a/b:v1", {"resources": {"limits": {"nvidia.com/gpu": "1"}}}, "sklearnserver", "a/b:v1"),
    ("vllm/vllm-openai:v1", {}, "vllmserver", "vllm/vllm-openai-cpu:v1"),
])
def test_the_image_is_that_of_the_version_or_of_the_hardware(image: str, fields: Object, server_type: str,
                                                             expected: str) -> None:
    spec = runtime(annotations={"serving.kserve.io/server-type": server_type})
    spec.spec["containers"][0]["image"] = image

    assert pod(model(**fields), spec)["containers"][0]["image"] == expected


def test_a_placeholder_that_kserve_cannot_replace_is_an_invalid_predictor() -> None:
    spec = runtime()
    spec.spec["containers"][0]["args"] = ["--x={{.Modelname}}"]

    with pytest.raises(PredictorError, match="failed to replace placeholders in serving runtime own") as error:
        pod(model(), spec)

    assert error.value.failure is not None and error.value.failure[0] == "InvalidPredictorSpec"


# Storage, logger, batcher


def test_logger_and_batcher_become_annotations() -> None:
    own = model()
    own["spec"]["predictor"] |= {
        "logger": {"mode": "request", "url": "http://sink", "metadataHeaders": ["a", "b"],
                   "metadataAnnotations": ["c"]},
        "batcher": {"maxBatchSize": 8, "maxLatency": 100}}

    assert internal(own) == {
        "storage-initializer-sourceuri": MODEL, "logger": "true", "logger-mode": "request",
        "logger-sink-url": "http://sink", "logger-metadata-headers": "a,b", "logger-metadata-annotations": "c",
        "batcher": "true", "batcher-max-batchsize": "8", "batcher-max-latency": "100"}


def test_a_storage_spec_becomes_annotations() -> None:
    own = model(storage={"key": "minio", "path": "/iris", "parameters": {"type": "s3"}})
    del own["spec"]["predictor"]["model"]["storageUri"]

    assert internal(own) == {
        "storage-spec": "true", "storage-spec-key": "minio", "storage-spec-param": '{"type":"s3"}',
        "storage-initializer-sourceuri": "<scheme-placeholder>://iris"}


def test_a_model_has_one_source() -> None:
    with pytest.raises(PredictorError, match=r"must provide only one of storageUri and storage\.path"):
        internal(model(storage={"path": "iris"}))


def test_storage_container_and_confidential_serving_become_annotations() -> None:
    own = model(confidential={"enabled": True, "resourceId": "kbs:///a/b/c"})
    own["spec"]["predictor"]["storageContainerName"] = "mine"

    assert internal(own) == {
        "storage-initializer-sourceuri": MODEL, "storage-container-name": "mine", "confidential-enabled": "true",
        "confidential-resource-id": "kbs:///a/b/c"}


@pytest.mark.parametrize(("env", "expected"), [
    ([{"name": "STORAGE_URI", "value": MODEL}], {"storage-initializer-sourceuri": MODEL}),
    ([], {}),
    ([{"name": "MULTI_MODEL_SERVER", "value": "true"}],
     {"agent": "true", "configVolumeName": f"modelconfig-{NAME}-0", "configMountPath": "/mnt/configs",
      "modelDir": "/mnt/models"}),
])
def test_environment_variables_of_a_custom_model_server_name_its_model(env: list[Object], expected: Object) -> None:
    own = predictor(containers=[{"name": "kserve-container", "image": "mine", "env": env}])

    assert internal(own) == expected
    assert pod(own)["containers"][0]["name"] == "kserve-container"


def test_several_sources_are_downloaded_by_one_init_container() -> None:
    own = model()
    del own["spec"]["predictor"]["model"]["storageUri"]
    own["spec"]["predictor"]["storageUris"] = [
        {"uri": MODEL, "mountPath": "/mnt/models/base"}, {"uri": MODEL_2, "mountPath": "/mnt/models/adapter"},
        {"uri": "pvc://shelf/x", "mountPath": "/mnt/shelf"}]

    spec = make_service(own, runtime(), {}, "", Simulator().store)["spec"]["template"]["spec"]

    (initializer,) = spec["initContainers"]
    assert initializer["args"] == [MODEL, "/mnt/models/base", MODEL_2, "/mnt/models/adapter"]
    assert spec["volumes"] == [{"name": "mnt-shelf", "persistentVolumeClaim": {"claimName": "shelf"}},
                               {"name": "mnt-models", "emptyDir": {}}]
    assert spec["containers"][0]["volumeMounts"] == [
        {"mountPath": "/mnt/shelf", "name": "mnt-shelf", "readOnly": True},
        {"mountPath": "/mnt/models", "name": "mnt-models", "readOnly": True}]


def test_a_storage_container_for_several_sources_must_exist() -> None:
    own = model()
    own["spec"]["predictor"] |= {"storageUris": [{"uri": MODEL}], "storageContainerName": "absent"}

    with pytest.raises(PredictorError, match='ClusterStorageContainer "absent" not found'):
        make_service(own, runtime(), {}, "", Simulator().store)


def test_a_users_storage_container_adds_a_scheme() -> None:
    cluster = Simulator()
    container = {"name": "storage-initializer", "image": "mine"}
    cluster.store.create(CLUSTER_STORAGE_CONTAINER, {"metadata": {"name": "hub"}, "spec": {
        "container": container, "supportedUriFormats": [{"prefix": "model-registry://"}],
        "workloadType": "initContainer"}})

    assert predictor_annotations(model(storageUri="model-registry://iris"), cluster.store)
    with pytest.raises(PredictorError, match="StorageURI not supported"):
        predictor_annotations(model(storageUri="elsewhere://iris"), cluster.store)


# Names


@pytest.mark.slow
@pytest.mark.parametrize(("name", "predictor_name", "service"), [
    (NAME, "blue", f"{NAME}-blue-predictor"),
    ("a" * 53, None, f"{'a' * 53}-predictor"),
    ("predictor-of-predictors", None, "predictor-of-predictors-predictor"),
])
def test_every_name_that_kserve_allows_gets_ready(name: str, predictor_name: str | None, service: str) -> None:
    cluster = Simulator("istio")
    body = isvc(MODEL, name=name)
    body["spec"]["predictor"] |= {"name": predictor_name} if predictor_name else {}

    cluster.apply(body)
    cluster.settle(5)

    assert is_true(cluster.isvc(name), "Ready")
    assert cluster.store.find(KNATIVE_SERVICE, NS, service) is not None
    assert service_name(cluster.isvc(name)) == service


class Written:
    """Takes the writes of a reconciler and keeps the last status."""

    status: Object

    def update(self, kind: Kind, body: Object) -> None:
        """Ignore the write."""

    def update_status(self, kind: Kind, body: Object) -> None:
        self.status = body


@pytest.mark.parametrize(("change", "names"), [
    ({"spec": {"transformer": {"containers": [{}]}}}, "spec.transformer"),
    ({"spec": {"transformer": {}, "explainer": {"containers": [{}]}}}, "spec.explainer"),
    ({"spec": {"canary": [{}]}}, "spec.canary"),
    ({"metadata": {"annotations": {"serving.kserve.io/deploymentMode": "Standard"}}}, "deployment mode Standard"),
])
def test_a_stored_object_that_is_not_run_has_a_condition_with_the_reason(change: Object, names: str) -> None:
    body, cluster, written = model(), Simulator(), Written()
    for part, fields in change.items():
        body[part] |= fields

    changes = inference_service.reconcile(body, cluster.store, Moment(cluster.now, cluster.settings))
    for write in changes.writes:
        write(cast(Objects, written))

    ready = condition(written.status, "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "ReconcileFailed")
    assert f"the embedded cluster does not run {names}, only predictors in Knative mode" in ready["message"]
    assert "kserve-nb up --cluster kind" in ready["message"]
    assert changes.events[0][2:4] == ("InternalError", ready["message"])
