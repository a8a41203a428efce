"""KServe's webhooks for InferenceServices, compared with a real KServe's answers and with the rules of its source."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from kserve_nb.clusters.embedded.api.schema.structural_schemas import validate
from kserve_nb.clusters.embedded.api.store.store import Store
from kserve_nb.clusters.embedded.apimachinery.kinds import CONFIG_MAP, INFERENCE_SERVICE
from kserve_nb.clusters.embedded.apimachinery.objects import Object, StatusError
from tests.unit.api_lab import DATA, items, new_store

CASES: list[dict[str, Any]] = json.loads((DATA / "create-cases.json").read_text())
PANICS = [case for case in CASES if "panic" in case.get("status", {}).get("message", "")]
# A real KServe accepts these; the embedded cluster refuses them: see test_admission_unsupported.
STANDARD = [case for case in CASES if "Standard" in case["case"] or "RawDeployment" in case["case"]]
ACCEPTED = [case for case in CASES if case["code"] == 201 and case not in STANDARD]
REFUSED = [case for case in CASES if case["code"] != 201 and case not in PANICS]
DENIED = 'admission webhook "inferenceservice.kserve-webhook-server.validator" denied the request: '
MODEL: Object = {"modelFormat": {"name": "sklearn"}, "storageUri": "gs://b/m"}
MODE = "serving.kserve.io/deploymentMode"


def create(manifest: Object, mode: str = "Strict", store: Store | None = None,
           warnings: list[str] | None = None) -> Object:
    body, _ = validate(INFERENCE_SERVICE, copy.deepcopy(manifest), mode)  # type: ignore[arg-type]
    return (store or new_store("kserve-bad")).create(INFERENCE_SERVICE, body, warnings=warnings)


def isvc(spec: Object, **annotations: str) -> Object:
    return {"metadata": {"name": "iris", "namespace": "kserve-bad", "annotations": annotations}, "spec": spec}


def predictor(**fields: object) -> Object:
    return isvc({"predictor": fields})


def refusal_of(body: Object) -> StatusError:
    with pytest.raises(StatusError) as refused:
        create(body)
    return refused.value


def configured(**sections: Object) -> Store:
    """A store in which sections of KServe's ConfigMap have been replaced."""
    store = new_store("kserve-bad")
    config = store.get(CONFIG_MAP, "kserve", "inferenceservice-config")
    config["data"] |= {key: json.dumps(value) for key, value in sections.items()}
    store.update(CONFIG_MAP, config)
    return store


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case["case"])
@pytest.mark.slow
def test_an_accepted_document_is_stored_as_by_a_real_kserve(case: dict[str, Any]) -> None:
    mode = next((mode for mode in ("Warn", "Ignore") if mode in case["case"]), "Strict")

    stored = create(case["manifest"], mode)

    assert stored["spec"] == case["spec"]
    assert stored["metadata"].get("annotations", {}) == case["annotations"]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case["case"])
@pytest.mark.slow
def test_an_invalid_document_is_refused_with_kserves_message(case: dict[str, Any]) -> None:
    error, real = refusal_of(case["manifest"]), case["status"]

    assert (error.code, error.reason, error.message) == (case["code"], real.get("reason", ""), real["message"])
    assert {key: value for key, value in error.details.items() if value} == real.get("details", {})


@pytest.mark.parametrize("case", PANICS, ids=lambda case: case["case"])
def test_an_empty_predictor_is_refused_with_the_missing_field(case: dict[str, Any]) -> None:
    error = refusal_of(case["manifest"])

    assert error.code == 400
    assert "spec.predictor names no model: give it `model`" in error.message


def test_the_old_schema_becomes_a_model() -> None:
    stored = create(predictor(sklearn={"storageUri": "gs://b/m", "resources": {"requests": {"cpu": "0.1"}}}))

    assert stored["spec"]["predictor"] == {"model": {
        "modelFormat": {"name": "sklearn"}, "name": "", "resources": {"requests": {"cpu": "100m"}},
        "storageUri": "gs://b/m"}}
    assert stored["metadata"]["annotations"] == {"modelFormat": "sklearn"}


@pytest.mark.parametrize("fields", [
    {"triton": {"storageUri": "gs://b/m"}}, {"onnx": {"storageUri": "gs://b/m"}},
    {"huggingface": {"storageUri": "gs://b/m"}}, {"model": {"modelFormat": {"name": "triton"}}},
    {"model": {"modelFormat": {"name": "vLLM"}}}])
def test_some_formats_use_protocol_v2(fields: Object) -> None:
    assert create(predictor(**fields))["spec"]["predictor"]["model"]["protocolVersion"] == "v2"


def test_a_model_format_that_was_annotated_stays() -> None:
    stored = create(isvc({"predictor": {"model": MODEL}}, modelFormat="mine"))

    assert stored["metadata"]["annotations"] == {"modelFormat": "mine"}


def test_a_custom_container_gets_a_name_and_the_clusters_resources() -> None:
    stored = create(predictor(containers=[{"image": "app", "resources": {"limits": {"cpu": "2"}}}]))

    assert stored["spec"]["predictor"]["containers"] == [{
        "image": "app", "name": "kserve-container", "resources": {
            "limits": {"cpu": "2", "memory": "2Gi"}, "requests": {"cpu": "1", "memory": "2Gi"}}}]


def test_the_clusters_settings_are_defaults() -> None:
    store = configured(security={"autoMountServiceAccountToken": False})

    stored = create(predictor(model=MODEL), store=store)

    assert stored["spec"]["predictor"]["automountServiceAccountToken"] is False


def test_a_setting_of_no_mode_fails_the_webhook() -> None:
    store = configured(deploy={"defaultDeploymentMode": "Fast"})

    with pytest.raises(StatusError, match="invalid deployment mode"):
        create(predictor(model=MODEL), store=store)


def test_storage_uris_get_the_default_path() -> None:
    stored = create(predictor(model={"modelFormat": {"name": "sklearn"}}, storageUris=[{"uri": "gs://b/m"}]))

    assert stored["spec"]["predictor"]["storageUris"] == [{"mountPath": "/mnt/models", "uri": "gs://b/m"}]


@pytest.mark.parametrize(("fields", "words"), [
    ({"scaleMetric": "cpu"}, "[cpu] is not a supported metric"),
    ({"scaleMetric": "rps", "scaleTarget": 0}, "the target for rps should be greater than 1"),
    ({"deploymentStrategy": {}}, "customizing deploymentStrategy is only supported for raw deployment mode"),
    ({"model": {"name": "x"}}, "the 'name' field is not allowed in standard predictor"),
    ({"model": MODEL | {"env": [{"name": "PYTHONPATH", "value": "/"}]}},
     'the InferenceService "iris" is invalid: setting PYTHONPATH in container "" is not allowed for security reasons'),
    ({"initContainers": [{"name": "i", "image": "a", "env": [{"name": "PYTHONPATH"}]}]},
     'the InferenceService "iris" is invalid: setting PYTHONPATH in container "i" is not allowed for security reasons'),
    ({"containers": [{"name": "kserve-container", "image": "a"}, {
        "name": "transformer-container", "image": "a", "env": [{"name": "STORAGE_URI", "value": "x"}]}]},
     "storage uri should not be specified in transformer container"),
    ({"model": MODEL, "storageUris": [{"uri": "gs://b/n"}]},
     "Setting both StorageURI and StorageURIs is not supported."),
    ({"model": {}, "storageUris": [{"uri": "gs://b/n", "mountPath": "/a/../b"}]},
     "storage path cannot contain '..' for security reasons: /a/../b"),
    ({"model": {}, "storageUris": [{"uri": "gs://b/n", "mountPath": "/"}]}, "storage path cannot be empty"),
    ({"model": {}, "storageUris": [{"uri": "gs://b/n", "mountPath": "/a"}, {"uri": "gs://b/m", "mountPath": "/b"}]},
     "storage paths must have a common parent directory. Current paths: [/a /b] have no common parent beyond root"),
    ({"model": {}, "storageUris": [{"uri": f"{scheme}://b", "mountPath": f"/m/{path}"} for scheme, path in (
        ("gs", "a"), ("gs", "b"), ("pvc", "c"), ("pvc", "c"))]}, "PVC storage paths must be unique"),
    ({"model": {"confidential": {"enabled": True}}}, "confidential model serving requires storageUri to be set"),
    ({"model": MODEL | {"confidential": {"enabled": True, "resourceId": "kbs:/a"}}},
     'spec.predictor.confidential.resourceId: Invalid value: "kbs:/a": must be in the format kbs:///<repo>/<type>/<tag>'),
    ({"logger": {}}, "invalid logger type"),
    ({"logger": {"mode": "all", "storage": {"path": "/logs"}}}, "invalid logger storage configuration"),
    ({"containers": [{"image": "a", "env": [{"name": "PROTOCOL", "value": "v3"}]}]},
     "invalid protocol v1, v2. Must be one of [v3]"),
    ({"model": MODEL, "containers": [{"name": "kserve-container", "image": "a"}]}, "exactly one of [Name, SKLearn, "),
])
def test_rules_of_the_validating_webhook(fields: Object, words: str) -> None:
    model = {} if "containers" in fields else {"model": {"modelFormat": {"name": "sklearn"}}}

    assert refusal_of(predictor(**model | fields)).message.startswith(DENIED + words)


@pytest.mark.parametrize("containers", [
    [{"name": "kserve-container", "image": "a", "env": [{"name": "STORAGE_URI", "value": "gs://b/m"}]}],
    [{"name": "other", "image": "a", "env": [{"name": "STORAGE_URI", "value": "gs://b/m"}]}]])
def test_other_containers_than_a_transformer_may_name_a_storage_uri(containers: list[Object]) -> None:
    create(predictor(containers=containers))


@pytest.mark.parametrize(("class_", "words"), [
    ("vpa", "[vpa] is not a supported autoscaler class type"), ("hpa", None), ("keda", None), ("external", None),
    ("none", None)])
def test_autoscaler_classes_have_names(class_: str, words: str | None) -> None:
    body = isvc({"predictor": {"model": MODEL}}, **{"serving.kserve.io/autoscalerClass": class_})

    if words is None:
        create(body)
    else:
        assert refusal_of(body).message == DENIED + words


HPA = {"autoscaling.knative.dev/class": "hpa.autoscaling.knative.dev"}
STANDARD_HPA = {MODE: "Standard", "serving.kserve.io/autoscalerClass": "hpa"}
KEDA = {MODE: "Standard", "serving.kserve.io/autoscalerClass": "keda"}


def metric(type_: str, **fields: Object) -> Object:
    return {"autoScaling": {"metrics": [{"type": type_, **fields}]}}


@pytest.mark.parametrize(("annotations", "fields", "words"), [
    (HPA, {"scaleMetric": "rps"}, "[rps] is not a supported metric"),
    (STANDARD_HPA, {"scaleMetric": "concurrency"}, "[concurrency] is not a supported metric"),
    (STANDARD_HPA, {"scaleTarget": 0}, "the target utilization percentage should be a [1-100] integer"),
    (STANDARD_HPA, {"scaleMetric": "memory", "scaleTarget": 0}, "the target memory should be greater than 1 MiB"),
    (STANDARD_HPA, metric("Resource"), "metricSpec.Resource is not set for resource metric source type"),
    (STANDARD_HPA, metric("External", external={"metric": {"backend": "prometheus"}, "target": {"type": "Value"}}),
     "invalid HPA metric source type with value [External],valid metric source types are Resource"),
    (KEDA, {"scaleMetric": "cpu"}, "ScaleMetric is not supported for KEDA"),
    (KEDA, metric("Resource"), "metricSpec.Resource is not set for resource metric source type"),
    (KEDA, metric("Resource", resource={"name": "cpu", "target": {"type": "Value"}}),
     "the cpu target value type should be Utilization"),
    (KEDA, metric("Resource", resource={"name": "cpu", "target": {"type": "Utilization"}}),
     "the AverageUtilization type should be set"),
    (KEDA, metric("Resource", resource={"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 101}}),
     "the target utilization percentage should be a [1-100] integer"),
    (KEDA, metric("Resource", resource={"name": "memory", "target": {"type": "Value"}}),
     "the memory target value type should be AverageValue or Utilization"),
    (KEDA, metric("Resource", resource={"name": "memory", "target": {"type": "AverageValue", "averageValue": "1k"}}),
     "the memory target value should be greater than 1 MiB"),
    (KEDA, metric("External", external={"metric": {"backend": "prometheus"}, "target": {"type": "Value"}}),
     "the query should not be empty"),
    (KEDA, metric("External", external={"metric": {"backend": "prometheus", "query": "q"},
                                        "target": {"type": "Value"}}),
     "the target threshold value should not be empty"),
    (KEDA, metric("PodMetric"), "metricSpec.PodMetric is not set for pod metric source type"),
])
def test_each_autoscaler_has_rules(annotations: dict[str, str], fields: Object, words: str) -> None:
    assert refusal_of(isvc({"predictor": {"model": MODEL} | fields}, **annotations)).message == DENIED + words


WORKER: Object = {"containers": [{"name": "worker-container", "image": "a"}]}
INVALID = 'the InferenceService "iris" is invalid: '


@pytest.mark.parametrize(("model", "worker", "words"), [
    ({}, {"containers": [{"name": "a", "image": "a"}, {"name": "b", "image": "a"}]},
     "setting multiple containers in workerSpec is not allowed"),
    ({"env": [{"name": "PIPELINE_PARALLEL_SIZE", "value": "2"}]}, WORKER,
     "setting PIPELINE_PARALLEL_SIZE in environment variables is not allowed"),
    ({"env": [{"name": "TENSOR_PARALLEL_SIZE", "value": "2"}]}, WORKER,
     "setting TENSOR_PARALLEL_SIZE in environment variables is not allowed"),
    ({"resources": {"limits": {"example.com/gpu": "1"}}}, WORKER, "Unknown GPU resource type. Set "
     "'serving.kserve.io/gpu-resource-types' annotation to use custom gpu resource type"),
    ({"storageUri": None}, WORKER, "StorageURI must be set for multinode enabled"),
    ({}, WORKER, "Multinode only supports 'pvc' and 'oci' Storage Protocol(gs)"),
    ({"storageUri": "pvc://c/m"}, WORKER, "Multinode only supports 'none' autoscaler()"),
])
def test_models_on_several_nodes_have_rules(model: Object, worker: Object, words: str) -> None:
    merged = {key: value for key, value in (MODEL | model).items() if value is not None}

    assert refusal_of(predictor(model=merged, workerSpec=worker)).message == DENIED + INVALID + words


@pytest.mark.parametrize(("fields", "words"), [
    ({"pipelineParallelSize": 0}, f"{INVALID}WorkerSpec.PipelineParallelSize cannot be less than 1(0)"),
    ({"tensorParallelSize": 0}, f"{INVALID}WorkerSpec.TensorParallelSize cannot be less than 1(0)")])
def test_sizes_of_several_nodes_are_positive(fields: Object, words: str) -> None:
    body = isvc({"predictor": {"model": MODEL | {"storageUri": "pvc://c/m"}, "workerSpec": WORKER | fields}},
                **{"serving.kserve.io/autoscalerClass": "none"})

    assert refusal_of(body).message == DENIED + words


def test_a_list_of_gpus_is_a_list() -> None:
    body = isvc({"predictor": {"model": MODEL, "workerSpec": WORKER}}, **{
        "serving.kserve.io/gpu-resource-types": "[1]"})

    assert refusal_of(body).message == (
        f"{DENIED}invalid GPU format([1]) for serving.kserve.io/gpu-resource-types annotation: must be a valid JSON "
        "array")


def test_confidential_models_that_are_not_downloaded_are_warned_about() -> None:
    warnings: list[str] = []

    create(predictor(model=MODEL | {"storageUri": "oci://r/i", "confidential": {"enabled": True}}), warnings=warnings)

    assert warnings == ["confidential has no effect with OCI URIs; OCI image decryption is handled by the container "
                        "runtime via runtimeClassName"]


@pytest.mark.parametrize(("fields", "words"), [
    ({"scaleMetric": "luck"}, 'spec.predictor.scaleMetric: Unsupported value: "luck": '
                              'supported values: "cpu", "memory", "concurrency", "rps"'),
    ({"name": "V2"}, 'spec.predictor.name: Invalid value: "V2": spec.predictor.name in body should match '
                     "'^[a-z]([-a-z0-9]*[a-z0-9])?$'"),
    ({"storageUris": []}, "spec.predictor.storageUris: Invalid value: 0: spec.predictor.storageUris in body should "
                          "have at least 1 items"),
    ({"storageUris": [{"uri": "gs://b/m", "mountPath": "a"}]},
     'spec.predictor.storageUris[0].mountPath: Invalid value: "a": spec.predictor.storageUris[0].mountPath in body '
     "should match '^/.*'"),
    ({"storageUris": [{"uri": ""}]}, 'spec.predictor.storageUris[0].uri: Invalid value: "": '
                                     "spec.predictor.storageUris[0].uri in body should be at least 1 chars long"),
])
def test_values_that_no_schema_allows_are_refused_by_the_schema(fields: Object, words: str) -> None:
    error = refusal_of(predictor(model={"modelFormat": {"name": "sklearn"}}, **fields))

    assert (error.code, error.reason) == (422, "Invalid")
    assert error.message == f'InferenceService.serving.kserve.io "iris" is invalid: {words}'


def running(store: Store, **fields: Object) -> Object:
    """An InferenceService after the controller has reconciled it."""
    stored = store.create(INFERENCE_SERVICE, predictor(model=MODEL, **fields))
    store.update_status(INFERENCE_SERVICE, stored | {"status": {"deploymentMode": "Knative"}})
    return store.get(INFERENCE_SERVICE, "kserve-bad", "iris")


@pytest.mark.parametrize(("mode", "shown"), [("RawDeployment", "Standard"), ("Standard", "Standard"), ("Foo", "Foo")])
def test_a_running_service_cannot_change_its_deployment_mode(mode: str, shown: str) -> None:
    store = new_store("kserve-bad")
    changed = running(store)
    changed["metadata"]["annotations"][MODE] = mode

    with pytest.raises(StatusError) as refused:
        store.update(INFERENCE_SERVICE, changed)

    assert refused.value.message == (
        f"{DENIED}update rejected: deploymentMode cannot be changed from 'Knative' to '{shown}'")


def test_a_predictor_gets_another_name_only_with_another_model() -> None:
    store = new_store("kserve-bad")
    changed = running(store)
    changed["spec"]["predictor"]["name"] = "green"

    with pytest.raises(StatusError) as refused:
        store.update(INFERENCE_SERVICE, changed)
    changed["spec"]["predictor"]["model"]["storageUri"] = "gs://b/other"
    renamed = store.update(INFERENCE_SERVICE, changed)

    assert refused.value.message == f"{DENIED}predictor.name change requires a model change (e.g. storageUri)"
    assert renamed["spec"]["predictor"]["name"] == "green"


def test_stored_objects_are_admitted_unchanged() -> None:
    store = new_store("kserve-test")
    service = items("isvc")[0]
    for field in ("uid", "resourceVersion", "generation", "creationTimestamp"):
        service["metadata"].pop(field)

    stored = store.create(INFERENCE_SERVICE, copy.deepcopy(service))

    assert stored["spec"] == service["spec"]
    assert stored["metadata"]["annotations"] == service["metadata"]["annotations"]
