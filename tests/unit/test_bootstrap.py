"""The objects of a new cluster, and those that are updated in a resumed one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kserve_nb.clusters.embedded.api.admission.chain import admit
from kserve_nb.clusters.embedded.api.initial_objects import populate
from kserve_nb.clusters.embedded.api.schema.structural_schemas import validate
from kserve_nb.clusters.embedded.api.store.store import Store
from kserve_nb.clusters.embedded.apimachinery.kinds import (
    CLUSTER_SERVING_RUNTIME,
    CONFIG_MAP,
    CUSTOM_RESOURCE_DEFINITION,
    DEPLOYMENT,
    KINDS,
    NAMESPACE,
    NODE,
    SERVICE,
)
from kserve_nb.clusters.embedded.apimachinery.objects import Object, Settings, is_true


def started(settings: Settings) -> Store:
    store = Store(None, admission=admit)
    populate(store, settings)
    return store


def names(objects: list[Object]) -> list[str]:
    return [obj["metadata"]["name"] for obj in objects]


@pytest.mark.parametrize(("gateway", "namespace", "name"), [
    ("istio", "istio-system", "istio-ingressgateway"), ("kourier", "kourier-system", "kourier")])
def test_the_gateways_service_determines_the_ingress_address(gateway: str, namespace: str, name: str) -> None:
    store = started(Settings(gateway=gateway, ingress_host="127.0.0.1", ingress_port=31234))  # type: ignore[arg-type]

    service = store.get(SERVICE, namespace, name)

    assert service["status"]["loadBalancer"]["ingress"][0]["ip"] == "127.0.0.1"
    assert [port["port"] for port in service["spec"]["ports"] if port["name"] == "http2"] == [31234]


@pytest.mark.parametrize(("gateway", "namespace", "name"), [
    ("istio", "istio-system", "istio-ingressgateway"), ("kourier", "kourier-system", "kourier")])
def test_the_gateways_service_leads_to_its_pods_by_port_80_too(gateway: str, namespace: str, name: str) -> None:
    settings = Settings(gateway=gateway, ingress_port=31234)  # type: ignore[arg-type]
    store = started(settings)

    service = store.get(SERVICE, namespace, name)

    (template,) = (deployment["spec"]["template"] for deployment in store.list(DEPLOYMENT, namespace))
    assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    (container,) = template["spec"]["containers"]
    targets = {port["targetPort"] for port in service["spec"]["ports"]}
    assert targets == {port["containerPort"] for port in container["ports"]}
    assert [port["nodePort"] for port in service["spec"]["ports"]] == 2 * [settings.ingress_port]


def test_the_istio_gateway_is_found_by_the_tutorials_labels() -> None:
    store = started(Settings())

    assert names(store.list(SERVICE, labels={"app": "istio-ingressgateway"})) == ["istio-ingressgateway"]


def test_a_resumed_cluster_learns_its_new_port_and_forgets_nothing() -> None:
    store = started(Settings(ingress_port=31234))
    config = store.get(CONFIG_MAP, "knative-serving", "config-domain")
    store.update(CONFIG_MAP, config | {"data": {"my.example.org": ""}})
    before = store.get(SERVICE, "istio-system", "istio-ingressgateway")

    populate(store, Settings(ingress_port=31235))

    service = store.get(SERVICE, "istio-system", "istio-ingressgateway")
    assert service["spec"]["ports"][0]["port"] == 31235
    assert service["spec"]["clusterIP"] == before["spec"]["clusterIP"]
    assert store.get(CONFIG_MAP, "knative-serving", "config-domain")["data"] == {"my.example.org": ""}


def test_namespaces_are_those_of_an_installed_kserve() -> None:
    assert names(started(Settings(gateway="kourier")).list(NAMESPACE)) == [
        "default", "knative-serving", "kourier-system", "kserve", "kube-node-lease", "kube-public", "kube-system"]


def test_the_sklearn_runtime_is_that_of_kserve_0_20() -> None:
    runtime = started(Settings()).get(CLUSTER_SERVING_RUNTIME, None, "kserve-sklearnserver")["spec"]

    assert runtime["supportedModelFormats"] == [{"autoSelect": True, "name": "sklearn", "priority": 1, "version": "1"}]
    assert runtime["protocolVersions"] == ["v1", "v2"]
    (container,) = runtime["containers"]
    assert container["args"] == ["--model_name={{.Name}}", "--model_dir=/mnt/models", "--http_port=8080"]
    assert container["resources"]["requests"] == {"cpu": "1", "memory": "2Gi"}


def test_custom_kinds_are_established() -> None:
    definitions = started(Settings(gateway="kourier")).list(CUSTOM_RESOURCE_DEFINITION)

    assert len(definitions) == 18
    assert "inferenceservices.serving.kserve.io" in names(definitions)
    assert all(is_true(definition, "Established") for definition in definitions)


def test_the_node_is_ready() -> None:
    node = started(Settings(node="lab")).get(NODE, None, "lab")

    assert is_true(node, "Ready")
    assert node["status"]["nodeInfo"]["kubeletVersion"] == "v1.35.4"


def test_kserves_configuration_follows_the_gateway() -> None:
    for gateway, disabled in (("istio", False), ("kourier", True)):
        store = started(Settings(gateway=gateway, domain="lab.example"))  # type: ignore[arg-type]
        ingress = json.loads(store.get(CONFIG_MAP, "kserve", "inferenceservice-config")["data"]["ingress"])

        assert (ingress["disableIstioVirtualHost"], ingress["ingressDomain"]) == (disabled, "lab.example")


def test_all_initial_objects_have_known_fields_only() -> None:
    store = started(Settings())

    for kind in KINDS:
        for obj in store.list(kind):
            assert validate(kind, obj, "Strict")[1] == []


def test_a_full_disk_does_not_keep_a_cluster_from_serving(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(tmp_path / "store.db", admission=admit)
    pages = store._database._connection.execute("PRAGMA page_count").fetchone()[0]
    store._database._connection.execute(f"PRAGMA max_page_count = {pages + 2}")

    populate(store, Settings())

    assert store.find(NAMESPACE, None, "default") is not None
    assert "database or disk is full" in caplog.text
