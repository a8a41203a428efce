"""KServe's rules for `spec.canary`, as recorded on a real cluster with KServe 0.20."""

from __future__ import annotations

from typing import Any

import pytest

from kserve_nb.clusters.embedded.apimachinery.objects import Object
from tests.unit.test_admission_kserve import DENIED, MODE, isvc, refusal_of

MODEL: Object = {"modelFormat": {"name": "sklearn"}, "storageUri": "gs://b/m-2"}
STABLE: Object = {"model": {"modelFormat": {"name": "sklearn"}, "storageUri": "gs://b/m"}}
EXACTLY_ONE = (
    'canary "v2" predictor: exactly one of [Name, SKLearn, XGBoost, Tensorflow, PyTorch, Triton, ONNX, HuggingFace, '
    "PMML, LightGBM, Paddle, Model, StorageUris, StorageContainerName, WorkerSpec, PodSpec] must be specified in "
    "PredictorSpec")
BY_THE_SCHEMA = 'InferenceService.serving.kserve.io "iris" is invalid: '


def canary(percent: Any = 10, **predictor: Any) -> Object:
    body = {"predictor": {"name": "v2", "model": MODEL} | predictor}
    return body if percent is None else body | {"trafficPercent": percent}


def message(*canaries: Object, stable: Object = STABLE, mode: str | None = "Standard") -> str:
    annotations = {} if mode is None else {MODE: mode}
    return refusal_of(isvc({"predictor": stable, "canary": list(canaries)}, **annotations)).message


@pytest.mark.parametrize(("canaries", "words"), [
    ([canary(autoScaling={"metrics": []})], 'canary "v2" must not set autoScaling (canary uses fixed replicas)'),
    ([canary(), canary()], 'canary predictor.name "v2" is duplicated'),
    ([canary(maxReplicas=3)], 'canary "v2" must not set maxReplicas (canary uses fixed replicas)'),
    ([canary(minReplicas=2)], 'canary "v2" minReplicas (2) must not exceed stable predictor minReplicas (1)'),
    ([canary(minReplicas=-1)], "canary \"v2\" predictor: 'MinReplicas' cannot be less than 0"),
    ([{"trafficPercent": 10, "predictor": {"model": MODEL}}], "canary[0] predictor.name is required"),
    ([{"trafficPercent": 10, "predictor": {"name": "v2"}}], EXACTLY_ONE),
    ([canary(sklearn={"storageUri": "gs://b/m-2"})], EXACTLY_ONE),
    ([{"trafficPercent": 10}], "canary[0] predictor.name is required"),
    ([canary(scaleMetric="rps")], 'canary "v2" must not set scaleMetric (canary uses fixed replicas)'),
    ([canary(scaleTarget=3)], 'canary "v2" must not set scaleTarget (canary uses fixed replicas)'),
    ([canary(60), canary(41, name="v3")], "sum of canary trafficPercent values (101) must be <= 100"),
    ([canary(workerSpec={})],
     'canary "v2" must not set workerSpec (multi-node is not yet supported for canary)'),
])
@pytest.mark.slow
def test_documents_that_the_validating_webhook_refuses(canaries: list[Object], words: str) -> None:
    assert message(*canaries) == DENIED + words


@pytest.mark.parametrize(("predictor", "words"), [
    ({"onnx": {"storageUri": "gs://b/m.pt"}}, "expected storageUri file extension: '.onnx' but got '.pt'"),
    ({"tensorflow": {"runtimeVersion": "2.6.2", "resources": {"limits": {"nvidia.com/gpu": "1"}}}},
     "Tensorflow RuntimeVersion is not GPU enabled but GPU resources are requested"),
    ({"pytorch": {"runtimeVersion": "0.9.0-gpu"}},
     "PyTorch RuntimeVersion is GPU enabled but GPU resources are not requested. "),
    ({"pmml": {"storageUri": "gs://b/m", "storage": {"key": "a"}}},
     "storageUri, must be one of: [s3://, hdfs://, webhdfs://] or match"),
    ({"huggingface": {"storage": {"parameters": {"type": "gs"}}}},
     "storage.spec.type, must be one of: [s3://, hdfs://, webhdfs://]. storage.spec.type [gs] is not supported"),
])
def test_frameworks_of_a_canary_have_rules(predictor: Object, words: str) -> None:
    refused = message({"trafficPercent": 10, "predictor": {"name": "v2"} | predictor})

    assert refused.startswith(f'{DENIED}canary "v2" predictor: {words}')


@pytest.mark.parametrize("mode", [None, "Knative", "Serverless", "ModelMesh", "Foo"])
def test_a_canary_belongs_to_standard_mode(mode: str | None) -> None:
    assert message(canary(), mode=mode) == f"{DENIED}canary is only supported in Standard deployment mode"


def test_a_canary_has_another_name_than_the_stable_predictor() -> None:
    assert message(canary(), stable=STABLE | {"name": "v2"}) == (
        f'{DENIED}canary predictor.name "v2" conflicts with stable predictor name')


def test_a_canary_needs_a_model_to_compare_with() -> None:
    assert message(canary(), stable={"containers": [{"image": "app"}]}) == (
        f"{DENIED}canary requires a stable predictor with a model (multi-model serving is not supported with canary)")


@pytest.mark.parametrize(("change", "words"), [
    ({"name": "2"}, "spec.canary[0].predictor.name: Invalid value: \"2\": spec.canary[0].predictor.name in body should "
                    "match '^[a-z]([-a-z0-9]*[a-z0-9])?$'"),
    ({"name": ""}, "spec.canary[0].predictor.name: Invalid value: \"\": spec.canary[0].predictor.name in body should "
                   "match '^[a-z]([-a-z0-9]*[a-z0-9])?$'"),
    ({"scaleMetric": "foo"}, 'spec.canary[0].predictor.scaleMetric: Unsupported value: "foo": supported values: "cpu", '
                             '"memory", "concurrency", "rps"'),
    ({"percent": 101}, "spec.canary[0].trafficPercent: Invalid value: 101: spec.canary[0].trafficPercent in body "
                       "should be less than or equal to 100"),
    ({"percent": -1}, "spec.canary[0].trafficPercent: Invalid value: -1: spec.canary[0].trafficPercent in body "
                      "should be greater than or equal to 0"),
])
def test_documents_that_the_schema_refuses(change: dict[str, Any], words: str) -> None:
    assert message(canary(**change)) == BY_THE_SCHEMA + words


@pytest.mark.parametrize(("percent", "words"), [(10.5, "number 10.5"), ("ten", "string")])
def test_a_percent_is_a_whole_number(percent: object, words: str) -> None:
    assert message(canary(percent)) == (
        'admission webhook "inferenceservice.kserve-webhook-server.defaulter" denied the request: json: cannot '
        f"unmarshal {words} into Go struct field CanarySpec.spec.canary.trafficPercent of type int32")


@pytest.mark.parametrize("canaries", [
    [canary()], [canary(0)], [canary(100)], [canary(None)], [canary(50), canary(50, name="v3")],
    [canary(minReplicas=0)], [canary(minReplicas=1)], [canary(name="a" * 80)],
    [{"trafficPercent": 10, "predictor": {"name": "v2", "sklearn": {"storageUri": "gs://b/m-2"}}}]])
def test_a_kind_that_nothing_routes_to_is_refused(canaries: list[Object]) -> None:
    refused = message(*canaries)

    assert 'admission webhook "embedded-cluster.kserve-nb.dev" denied the request' in refused
    assert "KServe 0.20.0 starts their pods but routes no traffic to them (weights came after 0.20)" in refused
    assert "set spec.predictor.canaryTrafficPercent, or use a kind cluster: kserve-nb up --cluster kind" in refused
