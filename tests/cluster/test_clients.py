"""KServe's SDK, the official Kubernetes client and a third-party client work as on any other cluster."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

import kr8s.asyncio
import pytest
from kserve import (
    KServeClient,
    V1beta1InferenceService,
    V1beta1InferenceServiceSpec,
    V1beta1ModelFormat,
    V1beta1ModelSpec,
    V1beta1PredictorSpec,
)
from kubernetes import client, config, dynamic, watch

from kserve_nb.values import manifest
from tests.cluster.conftest import Target

NAME, OF = "sklearn-iris", "serving.kserve.io/inferenceservice"
PLACE = ("serving.kserve.io", "v1beta1")
PLURAL = "inferenceservices"
SETTLES_S = 120


@pytest.fixture
def api(target: Target) -> client.ApiClient:
    return config.new_client_from_config(target.kubeconfig)


@pytest.fixture
def sdk(target: Target) -> KServeClient:
    return KServeClient(config_file=target.kubeconfig)


def isvc(target: Target, storage_uri: str, percent: int | None = None) -> V1beta1InferenceService:
    """The tutorial's InferenceService in the SDK's own classes."""
    model = V1beta1ModelSpec(model_format=V1beta1ModelFormat(name="sklearn"), storage_uri=storage_uri)
    return V1beta1InferenceService(
        api_version="serving.kserve.io/v1beta1", kind="InferenceService",
        metadata=client.V1ObjectMeta(name=NAME, namespace=target.namespace),
        spec=V1beta1InferenceServiceSpec(
            predictor=V1beta1PredictorSpec(model=model, canary_traffic_percent=percent)))


def is_ready(found: Mapping[str, Any]) -> bool:
    """Whether the condition Ready of an object is True."""
    conditions = (found.get("status") or {}).get("conditions") or []
    return any((row["type"], row["status"]) == ("Ready", "True") for row in conditions)


def wait(sdk: KServeClient, target: Target, generation: int) -> dict[str, Any]:
    """The InferenceService once it is ready in that generation."""
    sdk.wait_isvc_ready(NAME, namespace=target.namespace, expected_generation=generation, timeout_seconds=SETTLES_S,
                        polling_interval=0.5)
    found: dict[str, Any] = sdk.get(NAME, namespace=target.namespace)
    return found


def test_the_canary_rollout_of_kserves_own_end_to_end_test(sdk: KServeClient, target: Target) -> None:
    """The steps of kserve test/e2e/predictor/test_canary.py `test_canary_rollout_runtime`."""
    sdk.create(isvc(target, manifest.MODEL))
    sdk.wait_isvc_ready(NAME, namespace=target.namespace, timeout_seconds=SETTLES_S, polling_interval=0.5)

    patched = sdk.patch(NAME, isvc(target, manifest.MODEL_2, percent=10), namespace=target.namespace)
    ready = wait(sdk, target, patched["metadata"]["generation"])

    latest = [row for row in ready["status"]["components"]["predictor"]["traffic"] if row["latestRevision"]]
    assert latest and [row["percent"] for row in latest] == [10] * len(latest)
    sdk.delete(NAME, namespace=target.namespace)
    target.kubectl("wait", f"isvc/{NAME}", "--for=delete", "--timeout=60s")  # its finalizer takes a moment
    with pytest.raises(RuntimeError, match="404"):
        sdk.get(NAME, namespace=target.namespace)


def test_the_sdk_replaces_and_watches(sdk: KServeClient, target: Target, capsys: pytest.CaptureFixture[str]) -> None:
    sdk.create(isvc(target, manifest.MODEL), watch=True, timeout_seconds=SETTLES_S)
    table = capsys.readouterr().out
    replaced = sdk.replace(NAME, isvc(target, manifest.MODEL_2), namespace=target.namespace)
    ready = wait(sdk, target, replaced["metadata"]["generation"])
    sdk.get(NAME, namespace=target.namespace, watch=True, timeout_seconds=SETTLES_S)
    settled = capsys.readouterr().out

    assert re.search(r"NAME +READY +PREV +LATEST +URL", table)
    assert re.search(rf"{NAME} +True +0 +100 +http://{NAME}", table)
    assert f"{NAME}" in settled and "True" in settled
    assert replaced["metadata"]["generation"] == 2
    assert ready["spec"]["predictor"]["model"]["storageUri"] == manifest.MODEL_2
    assert [item["metadata"]["name"] for item in sdk.get(namespace=target.namespace)["items"]] == [NAME]
    stale = isvc(target, manifest.MODEL)
    stale.metadata.resource_version = "1"
    with pytest.raises(RuntimeError, match="409"):
        sdk.replace(NAME, stale, namespace=target.namespace)


def test_the_official_client_watches_from_where_a_list_ended(api: client.ApiClient, target: Target) -> None:
    objects, place = client.CustomObjectsApi(api), (*PLACE, target.namespace, PLURAL)
    version = objects.list_namespaced_custom_object(*place)["metadata"]["resourceVersion"]

    body = manifest.inference_service(NAME, manifest.MODEL)
    objects.create_namespaced_custom_object(*place, body)
    seen, following = [], watch.Watch()
    for event in following.stream(objects.list_namespaced_custom_object, *place, resource_version=version,
                                  timeout_seconds=SETTLES_S):
        seen.append(event)
        if is_ready(event["object"]):
            following.stop()
    again = [event["object"]["metadata"]["resourceVersion"] for event in watch.Watch().stream(
        objects.list_namespaced_custom_object, *place, timeout_seconds=1,
        resource_version=seen[0]["object"]["metadata"]["resourceVersion"])]

    assert [event["type"] for event in seen] == ["ADDED"] + ["MODIFIED"] * (len(seen) - 1)
    versions = [event["object"]["metadata"]["resourceVersion"] for event in seen]
    assert len(set(versions)) == len(versions)
    assert again[:len(versions) - 1] == versions[1:]
    with pytest.raises(client.ApiException) as too_old:
        list(watch.Watch().stream(objects.list_namespaced_custom_object, *place, resource_version="1",
                                  timeout_seconds=2))
    assert too_old.value.status == 410


def test_the_official_client_reads_pods_logs_and_scales(api: client.ApiClient, target: Target) -> None:
    body = manifest.inference_service(NAME, manifest.MODEL)
    dynamic_client = dynamic.DynamicClient(api)
    services = dynamic_client.resources.get(api_version="serving.kserve.io/v1beta1", kind="InferenceService")
    services.create(body=body, namespace=target.namespace)
    for event in services.watch(namespace=target.namespace, name=NAME, timeout=SETTLES_S):
        if is_ready(event["raw_object"]):
            break
    core, apps = client.CoreV1Api(api), client.AppsV1Api(api)

    (pod,) = core.list_namespaced_pod(target.namespace, label_selector=f"{OF}={NAME}").items
    (deployment,) = apps.list_namespaced_deployment(target.namespace, label_selector=f"{OF}={NAME}").items
    log = core.read_namespaced_pod_log(pod.metadata.name, target.namespace, container="kserve-container", tail_lines=50)
    patched = services.patch(body={"spec": {"predictor": {"canaryTrafficPercent": 100}}}, name=NAME,
                             namespace=target.namespace, content_type="application/merge-patch+json")
    applied = services.server_side_apply(
        body=manifest.inference_service(NAME, manifest.MODEL), namespace=target.namespace, field_manager="a-test",
        force_conflicts=True)

    assert [status.ready for status in pod.status.container_statuses] == [True, True]
    assert deployment.status.ready_replicas == 1
    assert "Uvicorn running on" in log
    assert patched.spec.predictor.canaryTrafficPercent == 100
    assert "a-test" in [row["manager"] for row in applied.to_dict()["metadata"]["managedFields"]]
    with pytest.raises(client.ApiException) as missing:
        core.read_namespaced_pod("nobody", target.namespace)
    assert (missing.value.status, missing.value.reason) == (404, "Not Found")


def test_a_third_party_client_is_a_witness(target: Target) -> None:
    asyncio.run(asyncio.wait_for(_witness(target), SETTLES_S))


async def _witness(target: Target) -> None:
    api = await kr8s.asyncio.api(kubeconfig=target.kubeconfig, namespace=target.namespace)
    kind = kr8s.asyncio.objects.new_class("InferenceService", "serving.kserve.io/v1beta1", namespaced=True)
    made = await kind(manifest.inference_service(NAME, manifest.MODEL), api=api, namespace=target.namespace)

    await made.create()
    async for _, seen in api.watch(kind, namespace=target.namespace):
        if is_ready(seen.raw):
            break
    pods = [pod async for pod in api.get("pods", namespace=target.namespace, label_selector={OF: NAME})]
    lines = [line async for line in pods[0].logs(container="kserve-container", tail_lines=50)]
    async with pods[0].portforward(8080) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /v1/models/sklearn-iris HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
    await made.patch({"spec": {"predictor": {"canaryTrafficPercent": 100}}})
    await made.refresh()
    names = [(found.kind, found.name) async for found in api.get("inferenceservices.serving.kserve.io")]
    await made.delete()
    await made.wait("delete", timeout=SETTLES_S)

    assert [await pod.ready() for pod in pods] == [True]
    assert any("Uvicorn running on" in line for line in lines)
    assert answer.startswith(b"HTTP/1.1 200") and b'"ready":true' in answer.lower()
    assert made.spec.predictor.canaryTrafficPercent == 100
    assert names == [("InferenceService", NAME)]
