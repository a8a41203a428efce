"""EndpointSlices of a revision's Services, compared with a real cluster's, and how they follow the pods."""

from __future__ import annotations

import pytest

from kserve_nb.clusters.embedded.apimachinery.kinds import ENDPOINT_SLICE, POD, SERVICE
from kserve_nb.clusters.embedded.apimachinery.objects import Object
from tests.unit.revision_world import ONE, ready
from tests.unit.world import NS, World, recorded

TRIGGER = "endpoints.kubernetes.io/last-change-trigger-time"


def slice_of(service: str, slices: list[Object]) -> Object:
    (found,) = (s for s in slices if s["metadata"]["labels"]["kubernetes.io/service-name"] == service)
    return found


def slices(world: World) -> list[Object]:
    return world.objects.list(ENDPOINT_SLICE, NS)


def shape(found: Object) -> Object:
    """The parts of an EndpointSlice that are equal in every run."""
    meta = found["metadata"]
    (owner,) = meta["ownerReferences"]
    (endpoint,) = found["endpoints"]
    labels = meta["labels"]
    return {
        "type": found["addressType"], "name": meta["name"][:-5], "generateName": meta["generateName"],
        "owner": [owner["kind"], owner["name"]], "labels": sorted(labels),
        "manager": labels["endpointslice.kubernetes.io/managed-by"],
        "annotations": sorted(set(meta.get("annotations") or {}) - {TRIGGER}),
        "conditions": endpoint["conditions"],
        "ports": sorted(found["ports"], key=lambda port: port["name"])}


@pytest.mark.parametrize("service", [f"{ONE}-private", ONE])
def test_a_slice_is_as_a_real_one(service: str) -> None:
    world = ready(ONE)

    assert shape(slice_of(service, slices(world))) == shape(slice_of(service, recorded("endpointslices")))


def test_a_slice_has_no_endpoints_once_the_pods_are_gone() -> None:
    world = ready(ONE, routing="reserve", min_scale="0")
    world.pass_s(100)
    world.run_pods()

    private = slice_of(f"{ONE}-private", slices(world))

    assert world.objects.list(POD, NS) == []
    assert (private["endpoints"], private["ports"]) == (None, None)


def test_slices_go_with_their_service() -> None:
    world = ready(ONE)
    before = world.names(ENDPOINT_SLICE)
    world.objects.create(SERVICE, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": NS},
                                   "spec": {"selector": {"app": ONE}, "ports": [{"port": 80, "targetPort": 8080}]}})
    world.settle()
    assert slice_of("web", slices(world))["endpoints"][0]["conditions"]["ready"]

    world.objects.delete(SERVICE, NS, "web")
    world.settle()

    assert world.names(ENDPOINT_SLICE) == before
