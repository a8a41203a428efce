"""A world with the reconcilers of Knative's revisions and of the objects that a revision owns."""

from __future__ import annotations

import copy

from kserve_nb.clusters.embedded.apimachinery.kinds import CONFIGURATION, POD, REVISION
from kserve_nb.clusters.embedded.apimachinery.objects import Object, owner_reference
from kserve_nb.clusters.embedded.control.knative import revision, serverless_service
from kserve_nb.clusters.embedded.control.knative.autoscaling import pod_autoscaler
from kserve_nb.clusters.embedded.control.kubernetes import (
    deployment,
    endpoint_slices,
    endpoints,
    garbage_collector,
    replica_set,
    scheduler,
)
from tests.unit.world import NS, World, recorded_one

MODULES = (revision, pod_autoscaler, serverless_service, deployment, replica_set, scheduler, endpoints, endpoint_slices,
           garbage_collector)
ONE, TWO = "sklearn-iris-predictor-00001", "sklearn-iris-predictor-00002"


def make_world(cpu: str = "2") -> World:
    """Return an empty world."""
    return World((r for module in MODULES for r in module.RECONCILERS), cpu=cpu)


def start(world: World, name: str = TWO, routing: str = "active", **annotations: str) -> Object:
    """Create a recorded revision, with more annotations of its autoscaler (min_scale="0")."""
    body = copy.deepcopy(recorded_one("revisions", name))
    body["metadata"]["labels"]["serving.knative.dev/routingState"] = routing
    body["metadata"]["annotations"] |= {f"autoscaling.knative.dev/{k.replace('_', '-')}": v
                                        for k, v in annotations.items()}
    body["metadata"]["ownerReferences"] = [owner_reference(_configuration_of(world, body))]
    created = world.adopt(REVISION, body)
    world.settle()
    return created


def _configuration_of(world: World, revision_: Object) -> Object:
    """The Configuration that owns a revision. No reconciler of this world changes it."""
    name = revision_["metadata"]["labels"]["serving.knative.dev/configuration"]
    found = world.objects.find(CONFIGURATION, NS, name)
    return found or world.objects.create(CONFIGURATION, {
        "metadata": {"name": name, "namespace": NS}, "spec": {"template": {"spec": copy.deepcopy(revision_["spec"])}}})


def ready(name: str = TWO, routing: str = "active", **annotations: str) -> World:
    """A world with one revision whose pod is ready, long enough for it to have settled."""
    world = make_world()
    start(world, name, routing, **annotations)
    world.run_pods()
    return world


def route(world: World, name: str, state: str) -> None:
    """Give a revision another routing state, as Knative's labeler does."""
    held = world.find(REVISION, name)
    held["metadata"]["labels"]["serving.knative.dev/routingState"] = state
    world.objects.update(REVISION, held)
    world.settle()


def pods(world: World) -> list[Object]:
    """The pods that are not terminating."""
    return [pod for pod in world.objects.list(POD, NS) if "deletionTimestamp" not in pod["metadata"]]
