"""The clients that learners use: the real kubectl, the official Python client, KServe's SDK, kr8s."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import kr8s.asyncio
import pytest
import yaml
from kserve import (
    KServeClient,
    V1beta1InferenceService,
    V1beta1InferenceServiceSpec,
    V1beta1ModelFormat,
    V1beta1ModelSpec,
    V1beta1PredictorSpec,
)
from kubernetes import client, config, dynamic, watch

from tests.api_server import KUBECTL, ApiServer, isvc

pytestmark = pytest.mark.slow

NAME = "sklearn-iris"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    served = ApiServer(tmp_path)
    yield served
    served.close()


def manifest(**predictor: object) -> str:
    body = isvc(NAME, **predictor)
    del body["metadata"]["namespace"]
    return yaml.safe_dump(body)


def make_ready(server: ApiServer, generation: int = 1) -> None:
    traffic = [{"latestRevision": True, "percent": 100, "revisionName": f"{NAME}-predictor-00001"}]
    status = {"observedGeneration": generation, "conditions": [{"type": "Ready", "status": "True"}], "url": "http://x",
              "components": {"predictor": {"traffic": traffic}}}
    path = f"/apis/serving.kserve.io/v1beta1/namespaces/demo/inferenceservices/{NAME}/status"
    server.request("PATCH", path, {"status": status},
                   headers={"Content-Type": "application/merge-patch+json"}).raise_for_status()


def test_kubectl_applies_shows_and_deletes(server: ApiServer) -> None:
    created = server.kubectl("apply", "-f", "-", stdin=manifest()).stdout
    same = server.kubectl("apply", "-f", "-", stdin=manifest()).stdout
    changed = server.kubectl("apply", "-f", "-", stdin=manifest(canaryTrafficPercent=10)).stdout
    make_ready(server, 2)
    table = server.kubectl("get", "isvc").stdout
    described = server.kubectl("describe", "isvc", NAME).stdout
    deleted = server.kubectl("delete", "-f", "-", stdin=manifest()).stdout

    full = f"inferenceservice.serving.kserve.io/{NAME}"
    assert [created, same, changed] == [f"{full} created\n", f"{full} unchanged\n", f"{full} configured\n"]
    assert table.split()[:8] == ["NAME", "URL", "READY", "PREV", "LATEST", "PREVROLLEDOUTREVISION",
                                 "LATESTREADYREVISION", "AGE"]
    assert table.splitlines()[1].split()[:4] == [NAME, "http://x", "True", "100"]
    assert "Canary Traffic Percent:  10" in described
    assert deleted == f'inferenceservice.serving.kserve.io "{NAME}" deleted from demo namespace\n'


def test_kubectl_changes_in_all_its_ways(server: ApiServer) -> None:
    server.kubectl("apply", "-f", "-", stdin=manifest())

    server.kubectl("label", "isvc", NAME, "a=b")
    server.kubectl("annotate", "isvc", NAME, "c=d")
    server.kubectl("patch", "isvc", NAME, "--type=merge", "-p", '{"spec":{"predictor":{"minReplicas":2}}}')
    server.kubectl("patch", "isvc", NAME, "--type=json", "-p",
                   '[{"op":"add","path":"/spec/predictor/maxReplicas","value":3}]')
    server.kubectl("edit", "isvc", NAME, KUBE_EDITOR="sed -i s/model$/model-2/")
    strategic = server.kubectl("patch", "isvc", NAME, "-p", "{}", check=False)
    stored = json.loads(server.kubectl("get", "isvc", NAME, "-o", "json").stdout)

    predictor = stored["spec"]["predictor"]
    assert (stored["metadata"]["labels"], stored["metadata"]["annotations"]["c"]) == ({"a": "b"}, "d")
    assert (predictor["minReplicas"], predictor["maxReplicas"]) == (2, 3)
    assert predictor["model"]["storageUri"].endswith("model-2")
    assert "application/strategic-merge-patch+json is not supported by serving.kserve.io/v1beta1" in strategic.stderr


def test_kubectl_diff_and_server_side_apply(server: ApiServer) -> None:
    server.kubectl("apply", "-f", "-", stdin=manifest())

    none = server.kubectl("diff", "-f", "-", stdin=manifest(), check=False)
    some = server.kubectl("diff", "-f", "-", stdin=manifest(canaryTrafficPercent=10), check=False)
    taken = server.kubectl("apply", "--server-side", "-f", "-", stdin=manifest(canaryTrafficPercent=10))
    bob = server.kubectl("apply", "--server-side", "--field-manager=bob", "-f", "-",
                         stdin=manifest(canaryTrafficPercent=20), check=False)

    assert (none.returncode, none.stdout) == (0, "")
    assert some.returncode == 1 and "+    canaryTrafficPercent: 10" in some.stdout
    assert taken.stdout == f"inferenceservice.serving.kserve.io/{NAME} serverside-applied\n"
    assert 'conflict with "kubectl": .spec.predictor.canaryTrafficPercent' in bob.stderr


def test_kubectl_waits(server: ApiServer) -> None:
    server.kubectl("apply", "-f", "-", stdin=manifest())
    waiting = ("wait", "--for=condition=Ready", f"isvc/{NAME}")

    early = server.kubectl(*waiting, "--timeout=1s", check=False)
    make_ready(server)
    late = server.kubectl(*waiting, "--timeout=10s")

    assert "timed out waiting for the condition" in early.stderr
    assert late.stdout == f"inferenceservice.serving.kserve.io/{NAME} condition met\n"


def test_kubectl_watches(server: ApiServer) -> None:
    server.kubectl("apply", "-f", "-", stdin=manifest())
    command = [KUBECTL, "get", "isvc", "-w"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=server.env) as watching:
        assert watching.stdout is not None
        head, first = watching.stdout.readline(), watching.stdout.readline()

        make_ready(server)
        second = watching.stdout.readline()
        watching.terminate()

    assert head.split()[0] == "NAME" and first.split()[0] == NAME
    assert second.split()[:4] == [NAME, "http://x", "True", "100"]


@pytest.mark.parametrize("args, expected", [
    (("get", "all"), "No resources found in demo namespace."),
    (("get", "isvc", "nope"), 'Error from server (NotFound): inferenceservices.serving.kserve.io "nope" not found'),
    (("get", "isvcs"), 'error: the server doesn\'t have a resource type "isvcs"'),
    (("--as=eve", "get", "isvc"), 'inferenceservices.serving.kserve.io is forbidden: User "eve" cannot list resource '
                                  '"inferenceservices" in API group "serving.kserve.io" in the namespace "demo"'),
    (("auth", "can-i", "create", "isvc"), "yes"),
    (("auth", "can-i", "create", "isvc", "--as=jane"), "no"),
    (("create", "namespace", "demo"), 'Error from server (AlreadyExists): namespaces "demo" already exists'),
    (("create", "configmap", "c", "--from-literal=a=b"), "configmap/c created"),
    (("create", "role", "r", "--verb=get", "--resource=pods"), "nothing would act on the Role 'r'. Use a kind"),
    (("create", "quota", "q", "--hard=pods=2"), "nothing would act on the ResourceQuota 'q'. Use a kind cluster"),
    (("api-resources", "--api-group=serving.kserve.io", "-o", "name"), "inferenceservices.serving.kserve.io"),
    (("explain", "isvc.spec.predictor.canaryTrafficPercent"), "FIELD: canaryTrafficPercent <integer>"),
    (("version",), "Server Version: v1.35.4"),
])
def test_kubectl_prints(server: ApiServer, args: tuple[str, ...], expected: str) -> None:
    done = server.kubectl(*args, check=False)

    assert expected in done.stdout + done.stderr


# Rows of `kubectl api-resources` on a real cluster that are not here, and those that are here alone: Istio, and `top`.
NOT_HERE = {"bindings", "componentstatuses", "events.k8s.io/v1", "localsubjectaccessreviews"}
HERE_ALONE = {"metrics.k8s.io/v1beta1", "virtualservices"}


def test_kubectl_finds_the_kinds_of_a_real_cluster(server: ApiServer) -> None:
    recorded = (Path(__file__).parents[1] / "data" / "api" / "api-resources.txt").read_text()

    shown = server.kubectl("api-resources").stdout

    seen = {tuple(line.split()) for line in shown.splitlines() if not HERE_ALONE & set(line.split())}
    assert seen == {tuple(line.split()) for line in recorded.splitlines() if not NOT_HERE & set(line.split())}


@pytest.mark.parametrize("plural", ["jobs", "statefulsets", "ingress", "hpa", "pv", "rolebindings"])
def test_kinds_without_a_controller_have_no_objects(server: ApiServer, plural: str) -> None:
    done = server.kubectl("get", plural)

    assert "No resources found" in done.stderr


def test_the_official_client(server: ApiServer) -> None:
    config.load_kube_config(str(server.kubeconfig))
    objects, core = client.CustomObjectsApi(), client.CoreV1Api()
    place = ("serving.kserve.io", "v1beta1", "demo", "inferenceservices")

    made = objects.create_namespaced_custom_object(*place, isvc(NAME))
    seen = [(event["type"], event["object"]["metadata"]["name"]) for event in watch.Watch().stream(
        objects.list_namespaced_custom_object, *place, timeout_seconds=1)]
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name="other")))
    dynamic_client = dynamic.DynamicClient(client.ApiClient())
    found = dynamic_client.resources.get(api_version="serving.kserve.io/v1beta1", kind="InferenceService").get(
        name=NAME, namespace="demo")
    with pytest.raises(client.ApiException) as missing:
        objects.get_namespaced_custom_object(*place, "nope")

    assert seen == [("ADDED", NAME)]
    assert found.metadata.uid == made["metadata"]["uid"]
    assert core.read_namespace("other").status.phase == "Active"
    assert missing.value.status == 404


def test_the_sdk_of_kserve(server: ApiServer) -> None:
    kserve_client = KServeClient(config_file=str(server.kubeconfig))
    model = V1beta1ModelSpec(model_format=V1beta1ModelFormat(name="sklearn"), storage_uri="gs://bucket/model")
    body = V1beta1InferenceService(
        api_version="serving.kserve.io/v1beta1", kind="InferenceService",
        metadata=client.V1ObjectMeta(name=NAME, namespace="demo"),
        spec=V1beta1InferenceServiceSpec(predictor=V1beta1PredictorSpec(model=model)))

    kserve_client.create(body, namespace="demo")
    make_ready(server)
    kserve_client.wait_isvc_ready(NAME, namespace="demo", timeout_seconds=10, polling_interval=1)
    ready = kserve_client.is_isvc_ready(NAME, namespace="demo")
    body.spec.predictor.canary_traffic_percent = 10
    changed = kserve_client.patch(NAME, body, namespace="demo")
    body.spec.predictor.canary_traffic_percent = 20
    kserve_client.replace(NAME, body, namespace="demo")
    stored = kserve_client.get(NAME, namespace="demo")
    kserve_client.delete(NAME, namespace="demo")

    assert ready
    assert changed["spec"]["predictor"]["canaryTrafficPercent"] == 10
    assert stored["spec"]["predictor"]["canaryTrafficPercent"] == 20


def test_a_third_party_client(server: ApiServer) -> None:
    async def scenario() -> list[str]:
        api = await kr8s.asyncio.api(kubeconfig=str(server.kubeconfig), namespace="demo")
        kind = kr8s.asyncio.objects.new_class("InferenceService", "serving.kserve.io/v1beta1", namespaced=True)
        made = await kind(isvc(NAME), api=api)
        await made.create()
        await made.label({"a": "b"})
        names = [found.name async for found in api.get(kind, namespace="demo", label_selector="a=b")]
        namespaces = [namespace.name async for namespace in api.get("namespaces")]
        await made.delete()
        assert not await made.exists()
        return names + sorted(namespaces)

    assert asyncio.run(asyncio.wait_for(scenario(), 30)) == [NAME, "default", "demo"]
