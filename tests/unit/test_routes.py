"""Envoy's configuration, computed from ingress objects of a real cluster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kserve_nb.clusters.embedded.apimachinery.objects import Settings
from kserve_nb.clusters.embedded.gateway import ingress_status
from kserve_nb.clusters.embedded.gateway.envoy_routes import (
    EnvoyConfig,
    RevisionBackend,
    clusters_document,
    clusters_of,
    envoy_config,
    routes_document,
)

DATA = Path(__file__).parents[1] / "data" / "ingress"
NS, ONE, TWO = "kserve-test", "sklearn-iris-predictor-00001", "sklearn-iris-predictor-00002"
ACTIVATOR = "127.0.0.1:9"


def recorded(name: str) -> dict[str, Any]:
    items: list[dict[str, Any]] = json.loads((DATA / f"{name}.json").read_text())["items"]
    return items[0]


def routed(
    name: str, *services: dict[str, Any], backends: dict[tuple[str, str], RevisionBackend] | None = None
) -> EnvoyConfig:
    return envoy_config([recorded(name)], services, backends or {}, ACTIVATOR)


def host(wanted: EnvoyConfig, domain: str) -> dict[str, Any]:
    (found,) = [h for h in wanted.virtual_hosts if domain in h["domains"]]
    return found


def shares(virtual_host: dict[str, Any]) -> dict[str, int]:
    (route,) = virtual_host["routes"]
    return {c["name"]: c["weight"] for c in route["route"]["weighted_clusters"]["clusters"]}


def tiers(cluster: dict[str, Any]) -> list[list[int]]:
    return [[e["endpoint"]["address"]["socket_address"]["port_value"] for e in tier["lb_endpoints"]]
            for tier in cluster["load_assignment"]["endpoints"]]


def domains(wanted: EnvoyConfig) -> set[str]:
    return {domain for virtual_host in wanted.virtual_hosts for domain in virtual_host["domains"]}


def test_the_external_host_of_a_service_is_split_by_percent() -> None:
    wanted = routed("canary-10")

    assert shares(host(wanted, "sklearn-iris-predictor.kserve-test.example.com")) == {
        f"{NS}/{TWO}": 10, f"{NS}/{ONE}": 90}


def test_kourier_serves_the_hosts_of_knative_and_no_shorter_ones() -> None:
    assert domains(routed("tag")) == {
        f"{tag}sklearn-iris-predictor.kserve-test.example.com" for tag in ("", "prev-", "latest-")}


def test_istio_serves_the_host_of_the_inference_service_as_well() -> None:
    assert domains(routed("istio-canary-10", recorded("istio-virtual-service"))) == {
        f"{name}.kserve-istio.example.com"
        for name in ("sklearn-iris", "sklearn-iris-predictor", "prev-sklearn-iris-predictor")}


def test_a_cluster_local_service_has_no_host_at_the_outer_gateway() -> None:
    ingress, service = recorded("istio-canary-10"), recorded("istio-virtual-service")
    ingress["spec"]["rules"] = [rule for rule in ingress["spec"]["rules"] if rule["visibility"] == "ClusterLocal"]
    (http,) = service["spec"]["http"]
    http["match"] = [match for match in http["match"] if "mesh" in match["gateways"]]

    assert domains(envoy_config([ingress], [service], {}, ACTIVATOR)) == set()


def test_tag_hosts_lead_only_to_their_revision() -> None:
    wanted = routed("tag")

    assert shares(host(wanted, "prev-sklearn-iris-predictor.kserve-test.example.com")) == {f"{NS}/{ONE}": 100}
    assert shares(host(wanted, "latest-sklearn-iris-predictor.kserve-test.example.com")) == {
        f"{NS}/sklearn-iris-predictor-00003": 100}


def test_a_virtual_service_routes_its_hosts_to_the_rewritten_host() -> None:
    wanted = routed("istio-canary-10", recorded("istio-virtual-service"))

    short = host(wanted, "sklearn-iris.kserve-istio.example.com")
    assert shares(short) == shares(host(wanted, "sklearn-iris-predictor.kserve-istio.example.com"))
    assert {h["header"]["key"] for h in short["request_headers_to_add"]} == {
        "KServe-Isvc-Name", "KServe-Isvc-Namespace"}


def test_each_split_adds_its_revision_to_the_request_only() -> None:
    virtual_host = host(routed("canary-10"), "sklearn-iris-predictor.kserve-test.example.com")

    (route,) = virtual_host["routes"]
    for split in route["route"]["weighted_clusters"]["clusters"]:
        added = {h["header"]["key"]: h["header"]["value"] for h in split["request_headers_to_add"]}
        assert f"{added['Knative-Serving-Namespace']}/{added['Knative-Serving-Revision']}" == split["name"]
    assert "response_headers_to_add" not in json.dumps(virtual_host)


def test_a_domain_is_routed_to_one_ingress_even_if_two_claim_it() -> None:
    first, second = recorded("create"), recorded("create")
    second["metadata"] |= {"name": "other", "creationTimestamp": "2027-01-01T00:00:00Z"}

    wanted = envoy_config([second, first], [], {}, ACTIVATOR)

    routed_domains = [d for h in wanted.virtual_hosts for d in h["domains"]]
    assert len(routed_domains) == len(set(routed_domains))
    assert host(wanted, "sklearn-iris-predictor.kserve-test.example.com")["name"].startswith(
        "kserve-test/sklearn-iris-predictor/")


def test_a_revision_without_ready_pods_is_held_by_the_activator() -> None:
    wanted = routed("canary-10", backends={(NS, ONE): RevisionBackend(("127.0.0.1:1", "127.0.0.1:2"))})

    assert tiers(wanted.clusters[f"{NS}/{ONE}"]) == [[1, 2], [9]]
    assert tiers(wanted.clusters[f"{NS}/{TWO}"]) == [[9]]


def test_a_revision_keeps_its_cluster_while_it_has_pods() -> None:
    backends = {(NS, "old"): RevisionBackend(("127.0.0.1:1",)), (NS, "older"): RevisionBackend()}

    wanted = routed("create", backends=backends)

    assert set(wanted.clusters) == {f"{NS}/{ONE}", f"{NS}/old"}


def test_container_concurrency_limits_each_pod_and_its_queue() -> None:
    wanted = routed("create", backends={(NS, ONE): RevisionBackend(("127.0.0.1:1",), concurrency=2, timeout_s=10)})

    breakers = wanted.clusters[f"{NS}/{ONE}"]["circuit_breakers"]
    assert breakers["per_host_thresholds"] == [{"max_connections": 2}]
    assert breakers["thresholds"][0]["max_pending_requests"] == 20
    assert wanted.virtual_hosts[0]["routes"][0]["route"]["timeout"] == "11s"


def test_the_version_of_a_document_is_its_content() -> None:
    one, again, other = routed("create"), routed("create"), routed("canary-10")

    assert routes_document(one.virtual_hosts) == routes_document(again.virtual_hosts)
    assert routes_document(one.virtual_hosts)["version_info"] != routes_document(other.virtual_hosts)["version_info"]
    assert clusters_document(one.clusters)["version_info"] != clusters_document(other.clusters)["version_info"]
    assert clusters_of(routes_document(other.virtual_hosts)) == {f"{NS}/{ONE}", f"{NS}/{TWO}"}


def test_the_programmed_status_is_the_recorded_one() -> None:
    ingress = recorded("canary-10")
    seen = ingress["status"]
    ingress["status"] = ingress_status.waiting(ingress | {"status": seen}, 0)
    assert [c.get("reason") for c in ingress["status"]["conditions"]] == ["Uninitialized", None, "Uninitialized"]

    written = ingress_status.programmed(ingress, 1795425326, Settings(gateway="kourier"))

    assert written == seen
    assert ingress_status.is_programmed(ingress | {"status": written})
    assert not ingress_status.is_programmed(ingress)
