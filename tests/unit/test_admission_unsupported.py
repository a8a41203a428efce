"""Objects that only a real cluster can run are refused at apply; stored ones can be deleted."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from kserve_nb.clusters.embedded.api.store.store import Store
from kserve_nb.clusters.embedded.apimachinery.kinds import (
    CONFIGURATION,
    INFERENCE_SERVICE,
    KNATIVE_SERVICE,
    SERVING_RUNTIME,
)
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object, StatusError
from tests.unit.api_lab import new_store
from tests.unit.test_admission_knative import service
from tests.unit.test_admission_kserve import MODE, MODEL, STANDARD, configured, create, isvc, predictor

DENIED = 'admission webhook "embedded-cluster.kserve-nb.dev" denied the request: the embedded cluster does not run '
KIND = "or use a kind cluster: kserve-nb up --cluster kind"
H2C = [{"name": "h2c", "containerPort": 9000}]
WORKER = {"model": MODEL | {"storageUri": "pvc://c/m"}, "workerSpec": {}}


@pytest.mark.parametrize(("body", "reason", "alternative"), [
    (isvc({"predictor": {"model": MODEL}}, **{MODE: "RawDeployment"}),
     "the deployment mode Standard (RawDeployment): nothing would create the pods of the InferenceService 'iris'",
     f"Remove the annotation {MODE} (the default is Knative)"),
    (isvc({"predictor": {"model": MODEL}}, **{MODE: "ModelMesh"}),
     "the deployment mode ModelMesh: nothing would create the pods of the InferenceService 'iris'",
     f"Remove the annotation {MODE} (the default is Knative)"),
    (isvc({"predictor": {"model": MODEL}, "transformer": {"containers": [{"image": "app"}]}}),
     "transformers: spec.transformer of the InferenceService 'iris' would never start", "Remove spec.transformer"),
    (isvc({"predictor": {"model": MODEL}, "explainer": {"art": {"type": "SquareAttack"}}}),
     "explainers: spec.explainer of the InferenceService 'iris' would never start", "Remove spec.explainer"),
    (isvc({"predictor": WORKER}, **{"serving.kserve.io/autoscalerClass": "none"}),
     "models on several nodes: the workers of the InferenceService 'iris' would never start",
     "Remove spec.predictor.workerSpec"),
    (predictor(model=MODEL | {"ports": H2C}),
     "gRPC: requests to the port h2c of the InferenceService 'iris' would get 404",
     "Remove the port and send requests to the REST API (v1 or v2)"),
    (predictor(containers=[{"image": "app", "ports": H2C}]),
     "gRPC: requests to the port h2c of the InferenceService 'iris' would get 404",
     "Remove the port and send requests to the REST API (v1 or v2)"),
    (predictor(model=MODEL | {"protocolVersion": "grpc-v2"}),
     "gRPC: requests to the InferenceService 'iris' in protocol grpc-v2 would get 404",
     "Set protocolVersion to v1 or v2 (REST)"),
])
def test_an_inference_service_that_would_never_run_is_refused(body: Object, reason: str, alternative: str) -> None:
    with pytest.raises(StatusError) as refused:
        create(body)

    assert (refused.value.code, refused.value.message) == (403, f"{DENIED}{reason}. {alternative}, {KIND}")


@pytest.mark.parametrize("case", STANDARD, ids=lambda case: case["case"])
def test_standard_mode_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(StatusError, match=r"does not run the deployment mode Standard \(RawDeployment\)"):
        create(case["manifest"])


def test_a_default_of_standard_mode_is_refused_with_the_place_to_change_it() -> None:
    store = configured(deploy={"defaultDeploymentMode": "RawDeployment"})

    with pytest.raises(StatusError) as refused:
        create(predictor(model=MODEL), store=store)

    assert "Set defaultDeploymentMode to Knative in ConfigMap kserve/inferenceservice-config" in refused.value.message


@pytest.mark.parametrize(("kind", "body", "subject"), [
    (KNATIVE_SERVICE, service(containers=[{"image": "app", "ports": H2C}]), "the Service 'iris'"),
    (CONFIGURATION, service(containers=[{"image": "app", "ports": H2C}]), "the Configuration 'iris'"),
    (SERVING_RUNTIME, {"metadata": {"name": "iris", "namespace": "kserve-test"}, "spec": {"containers": [
        {"name": "kserve-container", "image": "app", "ports": H2C}]}}, "models of the ServingRuntime 'iris'"),
])
def test_grpc_is_refused_wherever_it_can_be_named(kind: Kind, body: Object, subject: str) -> None:
    with pytest.raises(StatusError, match=f"does not run gRPC: requests to the port h2c of {subject} would get 404"):
        new_store("kserve-test").create(kind, copy.deepcopy(body))


def test_a_real_refusal_comes_first() -> None:
    with pytest.raises(StatusError, match=r"validator\" denied the request: \[vpa\] is not a supported autoscaler"):
        create(isvc({"predictor": {"model": MODEL}},
                    **{MODE: "Standard", "serving.kserve.io/autoscalerClass": "vpa"}))


def admitted_by_an_older_version(kind: Kind, body: Object) -> Store:
    """A store with an object that today's admission refuses, about to be deleted."""
    store = new_store("kserve-bad", "kserve-test")
    store._admission, admission = None, store._admission
    stored = store.create(kind, copy.deepcopy(body) | {"metadata": body["metadata"] | {"finalizers": ["a/b"]}})
    store._admission = admission
    store.delete(kind, stored["metadata"]["namespace"], stored["metadata"]["name"])
    return store


@pytest.mark.parametrize(("kind", "body"), [
    (INFERENCE_SERVICE, isvc({"predictor": {"model": MODEL}}, **{MODE: "Standard"})),
    (INFERENCE_SERVICE, isvc({"predictor": {"model": MODEL}, "transformer": {}})),
    (INFERENCE_SERVICE, isvc({"predictor": {}})),
    (KNATIVE_SERVICE, service(containers=[{"image": "app", "ports": H2C}, {}])),
])
def test_finalizers_of_whatever_is_stored_can_be_removed(kind: Kind, body: Object) -> None:
    store = admitted_by_an_older_version(kind, body)
    namespace, name = body["metadata"]["namespace"], body["metadata"]["name"]
    dying = store.get(kind, namespace, name)

    dying["metadata"]["finalizers"] = []
    store.update(kind, dying)

    assert store.find(kind, namespace, name) is None
