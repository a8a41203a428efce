"""Defaults and rules of Kubernetes' own kinds, against objects of a real cluster."""

from __future__ import annotations

import copy
import ipaddress
from typing import Any

import pytest

from kserve_nb.clusters.embedded.api.admission.chain import admit
from kserve_nb.clusters.embedded.api.admission.kubernetes.core_kinds import SERVICE_NETWORK
from kserve_nb.clusters.embedded.apimachinery.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    KINDS,
    NAMESPACE,
    PERSISTENT_VOLUME_CLAIM,
    SECRET,
    SERVICE,
)
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object, StatusError
from kserve_nb.clusters.embedded.apimachinery.quantity import canonical
from tests.unit.api_lab import items, new_store


def deployment(**spec: Any) -> Object:
    template = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}
    return {"metadata": {"name": "x", "namespace": "kserve-test"},
            "spec": {"selector": {"matchLabels": {"app": "x"}}, "template": template} | spec}


def service(**spec: Any) -> Object:
    return {"metadata": {"name": "x", "namespace": "kserve-test"}, "spec": spec}


@pytest.mark.parametrize("name", ["ksvc", "configurations", "revisions", "routes", "kingress", "podautoscalers",
                                  "serverlessservices", "svc", "deploy", "rs", "pods", "isvc"])
def test_objects_of_a_real_cluster_are_admitted_unchanged(name: str) -> None:
    store = new_store("kserve-test")
    for real in items(name):
        kind = next(k for k in KINDS if (k.api_version, k.kind) == (real["apiVersion"], real["kind"]))

        assert admit("UPDATE", kind, copy.deepcopy(real), copy.deepcopy(real), store) == real


@pytest.mark.parametrize("number", [0, 1])
def test_removed_defaults_of_a_deployment_are_restored(number: int) -> None:
    real = items("deploy")[number]
    bare = copy.deepcopy(real["spec"])
    for field in ("dnsPolicy", "restartPolicy", "schedulerName", "securityContext"):
        del bare["template"]["spec"][field]
    for container in bare["template"]["spec"]["containers"]:
        for field in ("imagePullPolicy", "terminationMessagePath"):
            del container[field]
        for port in container["ports"]:
            del port["protocol"]
    bare["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"] = "1000m"
    bare["template"]["spec"]["containers"][1]["readinessProbe"].pop("periodSeconds")

    stored = new_store("kserve-test").create(
        DEPLOYMENT, {"metadata": {"name": "x", "namespace": "kserve-test"}, "spec": bare})

    assert stored["spec"] == real["spec"]


def test_services_get_addresses_of_their_own() -> None:
    store = new_store("kserve-test")
    first = store.create(SERVICE, service(ports=[{"port": 80}]))["spec"]
    second = store.create(SERVICE, {**service(ports=[{"port": 80}]), "metadata": {"name": "y", "namespace": "default"}})

    assert ipaddress.ip_address(first["clusterIP"]) in SERVICE_NETWORK
    assert first["clusterIP"] != second["spec"]["clusterIP"]
    assert first == {
        "clusterIP": first["clusterIP"], "clusterIPs": [first["clusterIP"]], "internalTrafficPolicy": "Cluster",
        "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "sessionAffinity": "None", "type": "ClusterIP",
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}]}


def test_an_address_is_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    store, drawn = new_store("kserve-test"), iter([7, 7, 8])
    monkeypatch.setattr("secrets.randbelow", lambda _: next(drawn))

    addresses = [store.create(SERVICE, service(ports=[{"port": 80}]) | {
        "metadata": {"name": name, "namespace": "kserve-test"}})["spec"]["clusterIP"] for name in ("a", "b")]

    assert addresses == ["198.19.1.7", "198.19.1.8"]


def test_an_external_name_has_no_address() -> None:
    stored = new_store("kserve-test").create(SERVICE, service(type="ExternalName", externalName="a.example.com"))

    assert stored["spec"] == {"externalName": "a.example.com", "sessionAffinity": "None", "type": "ExternalName"}


def test_a_namespace_is_active_and_carries_its_name() -> None:
    stored = new_store().create(NAMESPACE, {"metadata": {"name": "a"}})

    assert stored["metadata"]["labels"] == {"kubernetes.io/metadata.name": "a"}
    assert (stored["spec"], stored["status"]) == ({"finalizers": ["kubernetes"]}, {"phase": "Active"})


def test_a_new_claim_is_pending() -> None:
    body = {"metadata": {"name": "models", "namespace": "kserve-test"}, "spec": {"accessModes": ["ReadWriteOnce"]}}

    stored = new_store("kserve-test").create(PERSISTENT_VOLUME_CLAIM, body)

    assert stored["status"] == {"phase": "Pending"}


@pytest.mark.parametrize(("body", "words"), [
    (deployment(selector=None), "spec.selector: Required value"),
    (deployment(replicas=-1), "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
    (deployment(selector={"matchLabels": {"app": "y"}}), "`selector` does not match template `labels`"),
])
def test_impossible_deployments_are_invalid(body: Object, words: str) -> None:
    with pytest.raises(StatusError, match=r'Deployment\.apps "x" is invalid') as refused:
        new_store("kserve-test").create(DEPLOYMENT, body)

    assert words in refused.value.message


def test_a_selector_cannot_change() -> None:
    store = new_store("kserve-test")
    stored = store.create(DEPLOYMENT, deployment())
    stored["spec"]["selector"]["matchLabels"]["b"] = "c"

    with pytest.raises(StatusError, match="field is immutable"):
        store.update(DEPLOYMENT, stored)


def test_a_service_without_ports_is_invalid() -> None:
    with pytest.raises(StatusError, match=r"spec\.ports: Required value"):
        new_store("kserve-test").create(SERVICE, service())


def test_every_port_of_a_load_balancer_gets_a_node_port() -> None:
    stored = new_store("kserve-test").create(SERVICE, service(type="LoadBalancer", ports=[
        {"name": "a", "port": 80}, {"name": "b", "port": 81}]))

    assert len({port["nodePort"] for port in stored["spec"]["ports"]} & set(range(30000, 32768))) == 2


@pytest.mark.parametrize("change", [{"clusterIP": "198.19.9.9"}, {"clusterIP": "None"}])
def test_a_cluster_ip_cannot_change(change: Object) -> None:
    store = new_store("kserve-test")
    stored = store.create(SERVICE, service(ports=[{"port": 80}]))

    with pytest.raises(StatusError) as refused:
        store.update(SERVICE, stored | {"spec": stored["spec"] | change})

    address = change["clusterIP"]
    assert (refused.value.code, refused.value.message) == (422, (
        f'Service "x" is invalid: spec.clusterIPs[0]: Invalid value: ["{address}"]: may not change once set'))


@pytest.mark.parametrize("change", [{"clusterIP": ""}, {"type": "ExternalName", "externalName": "a.example.com"}])
def test_a_cluster_ip_stays_and_an_external_name_has_none(change: Object) -> None:
    store = new_store("kserve-test")
    stored = store.create(SERVICE, service(ports=[{"port": 80}]))

    changed = store.update(SERVICE, stored | {"spec": stored["spec"] | change})

    expected = None if "type" in change else stored["spec"]["clusterIP"]
    assert changed["spec"].get("clusterIP") == expected


@pytest.mark.parametrize(("kind", "field", "text", "where"), [
    (CONFIG_MAP, "data", "x", "[]"), (CONFIG_MAP, "data", "ü", "[]"), (CONFIG_MAP, "binaryData", "AAAA", "[]"),
    (SECRET, "data", "AAAA", "data")])
def test_a_config_map_or_secret_holds_a_mebibyte(kind: Kind, field: str, text: str, where: str) -> None:
    store, mebibyte = new_store("kserve-test"), 2**20
    bytes_each = 3 if text == "AAAA" else len(text.encode())
    fits, too_long = text * (mebibyte // bytes_each), text * (mebibyte // bytes_each + 1)

    store.create(kind, {"metadata": {"name": "a", "namespace": "kserve-test"}, field: {"k": fits}})
    with pytest.raises(StatusError) as refused:
        store.create(kind, {"metadata": {"name": "b", "namespace": "kserve-test"}, field: {"k": too_long}})

    assert (refused.value.code, refused.value.message) == (
        422, f'{kind.kind} "b" is invalid: {where}: Too long: may not be more than {mebibyte} bytes')


def test_the_data_of_a_secret_is_base64() -> None:
    with pytest.raises(StatusError) as refused:
        new_store("kserve-test").create(
            SECRET, {"metadata": {"name": "a", "namespace": "kserve-test"}, "data": {"k": "ab c"}})

    assert (refused.value.code, refused.value.message) == (
        400, 'Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte 2')


def secret(**fields: Any) -> Object:
    return {"metadata": {"name": "x", "namespace": "kserve-test"}, **fields}


def test_a_secret_is_stored_with_its_texts_as_data() -> None:
    made = admit("CREATE", SECRET, secret(data={"k1": "djE=", "k2": ""}, stringData={"k2": "v2"}), None, new_store())

    assert (made["type"], made["data"]) == ("Opaque", {"k1": "djE=", "k2": "djI="})
    assert "stringData" not in made


def test_line_breaks_in_base64_are_ignored() -> None:
    assert admit("CREATE", SECRET, secret(data={"k": "djEy\r\nMw==\n"}), None, new_store())["data"] == {"k": "djEyMw=="}


@pytest.mark.parametrize(("kind", "old", "new", "message"), [
    (SECRET, {}, {"type": "kubernetes.io/tls"}, '"x" is invalid: [data[tls.crt]: Required value, data[tls.key]: '
     'Required value, type: Invalid value: "kubernetes.io/tls": field is immutable]'),
    (SECRET, {"immutable": True}, {"immutable": True, "stringData": {"a": "b"}},
     "data: Forbidden: field is immutable when `immutable` is set"),
    (CONFIG_MAP, {"immutable": True}, {}, "immutable: Forbidden: field is immutable when `immutable` is set"),
    (CONFIG_MAP, {}, {"data": {"a b": ""}}, 'data[a b]: Invalid value: "a b": a valid config key must consist of'),
])  # fmt: skip
def test_changes_of_data_that_a_real_api_server_refuses(kind: Kind, old: Object, new: Object, message: str) -> None:
    before = admit("CREATE", kind, secret(**old), None, new_store())

    with pytest.raises(StatusError) as refused:
        admit("UPDATE", kind, secret(**new), before, new_store())

    assert refused.value.code == 422 and message in refused.value.message


@pytest.mark.parametrize(("written", "stored"), [
    ("1000m", "1"), ("0.5", "500m"), (1, "1"), ("1024Mi", "1Gi"), ("1.5Gi", "1536Mi"), ("512Mi", "512Mi"),
    ("0.1m", "100u"), ("1000k", "1M"), ("1e3", "1e3"), ("0", "0"), ("2048", "2048"), ("12E", "12E"), ("many", "many"),
    ("1e999999999", "1e999999999"),
])
def test_quantities_are_stored_in_their_canonical_form(written: object, stored: str) -> None:
    assert canonical(written) == stored
