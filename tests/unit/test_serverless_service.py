"""The Services of a revision and their endpoints, compared with a real cluster's."""

from __future__ import annotations

import pytest

from kserve_nb.clusters.embedded.apimachinery.kinds import ENDPOINTS, POD, SERVERLESS_SERVICE, SERVICE
from kserve_nb.clusters.embedded.apimachinery.objects import Object, condition
from kserve_nb.clusters.embedded.control.knative.autoscaling.pod_autoscaler import make_serverless_service
from kserve_nb.clusters.embedded.control.knative.serverless_service import make_private_service, make_public_service
from tests.unit.revision_world import ONE, TWO, ready
from tests.unit.world import NS, recorded, recorded_one

_GIVEN = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")
_OF_THE_SERVER = ("clusterIP", "clusterIPs", "internalTrafficPolicy", "ipFamilies", "ipFamilyPolicy")


def bare(obj: Object) -> Object:
    meta = {key: value for key, value in obj["metadata"].items() if key not in _GIVEN}
    spec = {key: value for key, value in obj["spec"].items() if key not in _OF_THE_SERVER}
    return {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": meta, "spec": spec}


def service(name: str) -> Object:
    return next(s for s in recorded("services") if s["metadata"]["name"] == name)


@pytest.mark.parametrize("name", [ONE, TWO])
def test_a_serverless_service_is_as_a_real_one(name: str) -> None:
    made = make_serverless_service(recorded_one("podautoscalers", name), "Proxy", 4)

    assert made == bare(recorded_one("serverlessservices", name))


@pytest.mark.parametrize("name", [ONE, TWO])
def test_both_services_are_as_real_ones(name: str) -> None:
    sks = recorded_one("serverlessservices", name)

    assert make_public_service(sks) == bare(service(name))
    assert make_private_service(sks, recorded_one("deployments", name)) == bare(service(f"{name}-private"))


def test_a_service_that_was_changed_is_brought_back() -> None:
    world = ready()
    held = world.objects.get(SERVICE, NS, f"{TWO}-private")
    held["spec"]["ports"] = held["spec"]["ports"][:1]

    world.objects.update(SERVICE, held)
    world.settle()

    assert len(world.objects.get(SERVICE, NS, f"{TWO}-private")["spec"]["ports"]) == 5


def test_the_private_endpoints_are_the_pods() -> None:
    world = ready()

    (subset,) = world.objects.get(ENDPOINTS, NS, f"{TWO}-private")["subsets"]

    assert subset["addresses"][0]["targetRef"]["name"] == world.names(POD)[0]
    assert {p["name"]: p["port"] for p in subset["ports"]} == {
        "http": 8012, "https": 8112, "http-autometric": 9090, "http-usermetric": 9091, "http-istio": 8012}


def test_a_revision_without_pods_has_no_healthy_backend() -> None:
    world = ready(min_scale="0")
    world.pass_s(100)
    world.run_pods()

    populated = condition(world.find(SERVERLESS_SERVICE, TWO), "EndpointsPopulated")

    assert (populated["status"], populated["reason"]) == ("Unknown", "NoHealthyBackends")
    assert not world.objects.get(ENDPOINTS, NS, f"{TWO}-private").get("subsets")
