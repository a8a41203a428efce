"""KServe's webhooks for ServingRuntimes and ClusterServingRuntimes."""

from __future__ import annotations

from typing import Any

import pytest

from kserve_nb.clusters.embedded.apimachinery.kinds import CLUSTER_SERVING_RUNTIME, SERVING_RUNTIME
from kserve_nb.clusters.embedded.apimachinery.objects import Object, StatusError
from tests.unit.api_lab import new_store

DENIED = 'admission webhook "servingruntime.kserve-webhook-server.validator" denied the request: '
FORMAT: Object = {"name": "iris", "version": "1", "autoSelect": True, "priority": 1}
WORKER = {"name": "worker-container", "image": "app"}


def runtime(name: str = "own", *, container: Object | None = None, formats: list[Object] | None = None,
            **spec: Any) -> Object:
    server = {"name": "kserve-container", "image": "app"} | (container or {})
    return {"metadata": {"name": name, "namespace": "kserve-test"}, "spec": {
        "containers": [server], "supportedModelFormats": [FORMAT] if formats is None else formats,
        "protocolVersions": ["v1"]} | spec}


def refusal_of(body: Object, *others: Object) -> str:
    store = new_store("kserve-test")
    for other in others:
        store.create(SERVING_RUNTIME, other)
    with pytest.raises(StatusError) as refused:
        store.create(SERVING_RUNTIME, body)
    return refused.value.message


def test_two_runtimes_cannot_be_selected_with_the_same_priority() -> None:
    assert refusal_of(runtime(), runtime("other")) == (
        f"{DENIED}same priority assigned for the model format iris in the servingruntimes other and own in namespace "
        "kserve-test")


@pytest.mark.parametrize("change", [
    {"disabled": True}, {"protocolVersions": ["v2"]}, {"multiModel": True},
    {"formats": [FORMAT | {"priority": 2}]}, {"formats": [FORMAT | {"autoSelect": False}]},
    {"formats": [FORMAT | {"version": "2"}]}])
def test_runtimes_that_differ_are_no_rivals(change: dict[str, Any]) -> None:
    store = new_store("kserve-test")
    store.create(SERVING_RUNTIME, runtime("other"))

    store.create(SERVING_RUNTIME, runtime(**change))


def test_a_runtime_is_no_rival_of_itself() -> None:
    store = new_store("kserve-test")
    stored = store.create(SERVING_RUNTIME, runtime())
    stored["spec"]["containers"][0]["image"] = "app:2"

    store.update(SERVING_RUNTIME, stored)


def test_a_format_has_one_priority() -> None:
    formats = [FORMAT, FORMAT | {"version": "2", "priority": 2}]

    assert refusal_of(runtime(formats=formats), runtime("other", formats=[])) == (
        f"{DENIED}different priorities assigned for the model format iris under the servingruntime own")


def test_cluster_runtimes_are_compared_across_the_cluster() -> None:
    body = runtime(formats=[{"name": "sklearn", "version": "1", "autoSelect": True, "priority": 1}])
    del body["metadata"]["namespace"]

    with pytest.raises(StatusError) as refused:
        new_store().create(CLUSTER_SERVING_RUNTIME, body)

    assert refused.value.message == (
        'admission webhook "clusterservingruntime.kserve-webhook-server.validator" denied the request: same priority '
        "assigned for the model format sklearn in the clusterservingruntimes kserve-sklearnserver and own")


@pytest.mark.parametrize(("body", "words"), [
    (runtime(container={"env": [{"name": "PYTHONPATH", "value": "/"}]}),
     'the ServingRuntime "own" is invalid: setting PYTHONPATH in container "kserve-container" is not allowed for '
     "security reasons"),
    (runtime(workerSpec={"containers": [WORKER, WORKER | {"name": "b"}]}),
     "the ServingRuntime own is invalid: setting multiple containers in workerSpec is not allowed"),
    (runtime(workerSpec={"containers": [WORKER]}, container={"env": [{"name": "TENSOR_PARALLEL_SIZE", "value": "1"}]}),
     "the ServingRuntime own is invalid: setting TENSOR_PARALLEL_SIZE in environment variables is not allowed"),
    (runtime(workerSpec={"containers": [WORKER | {"resources": {"limits": {"example.com/gpu": "1"}}}]}),
     "the ServingRuntime own is invalid: unknown GPU resource type in a container(worker-container)"),
    (runtime(workerSpec={"containers": [WORKER]}, container={"resources": {"limits": {"example.com/gpu": "1"}}}),
     "the ServingRuntime own is invalid: unknown GPU resource type in a container(kserve-container)"),
    (runtime(workerSpec={"containers": [WORKER], "pipelineParallelSize": 0}),
     "the ServingRuntime own is invalid: the WorkerSpec.PipelineParallelSize cannot be less than 1(0)"),
])
def test_other_rules(body: Object, words: str) -> None:
    assert refusal_of(body) == DENIED + words


def test_a_worker_cannot_be_removed() -> None:
    store = new_store("kserve-test")
    stored = store.create(SERVING_RUNTIME, runtime(workerSpec={"containers": [WORKER]}))
    del stored["spec"]["workerSpec"]

    with pytest.raises(StatusError) as refused:
        store.update(SERVING_RUNTIME, stored)

    assert refused.value.message == (
        f"{DENIED}the ServingRuntime own is invalid: removing workerSpec where it already exists is not allowed")
