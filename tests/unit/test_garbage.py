"""Garbage collection: which objects are deleted with which others."""

from __future__ import annotations

from typing import Any

from kserve_nb.clusters.embedded.apimachinery.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    ENDPOINTS,
    KINDS,
    NAMESPACE,
    POD,
    REPLICA_SET,
    REVISION,
    SANDBOX,
    SERVICE,
    SERVICE_ACCOUNT,
)
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object, owner_reference
from kserve_nb.clusters.embedded.control.kubernetes import (
    deployment,
    endpoints,
    garbage_collector,
    replica_set,
    scheduler,
)
from tests.unit.revision_world import TWO, pods, ready
from tests.unit.test_replica_set import deploy, roll_out
from tests.unit.world import NS, World

MODULES = (deployment, replica_set, scheduler, endpoints, garbage_collector)


def make_world() -> World:
    world = World((r for module in MODULES for r in module.RECONCILERS), cpu="64")
    world.settle()
    return world


def config(world: World, name: str, *owners: Object, **metadata: Any) -> Object:
    references = [owner_reference(owner) | {"controller": False} for owner in owners]
    return world.objects.create(CONFIG_MAP, {
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": NS, "ownerReferences": references, **metadata}})


def hold(world: World, kind: Kind, name: str, finalizer: str) -> None:
    """Mark an object as the API server does for a deletion in the foreground, or one that leaves orphans."""
    held = world.objects.get(kind, NS, name)
    held["metadata"]["finalizers"] = [*held["metadata"].get("finalizers", []), finalizer]
    world.objects.update(kind, held)
    world.objects.delete(kind, NS, name)


def test_a_namespace_gets_its_default_objects() -> None:
    world = make_world()

    assert world.names(SERVICE_ACCOUNT) == ["default"]
    assert world.names(CONFIG_MAP) == ["kube-root-ca.crt"]


def test_deleted_default_objects_are_created_again() -> None:
    world = make_world()

    world.objects.delete(SERVICE_ACCOUNT, NS, "default")
    world.settle()

    assert world.names(SERVICE_ACCOUNT) == ["default"]


def test_children_go_with_their_owner() -> None:
    world = make_world()
    deploy(world, replicas=2)
    roll_out(world)

    world.objects.delete(DEPLOYMENT, NS, "web")
    roll_out(world)

    assert world.names(REPLICA_SET) == world.names(POD) == []


def test_an_object_with_another_living_owner_stays() -> None:
    world = make_world()
    deploy(world)
    one = world.objects.get(DEPLOYMENT, NS, "web")
    other = world.objects.get(REPLICA_SET, NS, world.names(REPLICA_SET)[0])
    config(world, "mine", other)
    config(world, "ours", one, world.objects.get(SERVICE_ACCOUNT, NS, "default"))

    world.objects.delete(DEPLOYMENT, NS, "web")
    roll_out(world)

    assert world.names(CONFIG_MAP) == ["kube-root-ca.crt", "ours"]


def test_an_owner_of_the_same_name_is_another_owner() -> None:
    world = make_world()
    deploy(world)
    config(world, "mine", world.objects.get(DEPLOYMENT, NS, "web"))

    world.objects.delete(DEPLOYMENT, NS, "web")
    deploy(world)
    world.pass_s(1)

    assert world.names(CONFIG_MAP) == ["kube-root-ca.crt"]
    assert world.names(DEPLOYMENT) == ["web"]
    assert len(world.names(REPLICA_SET)) == 1


def test_an_owner_of_an_unknown_kind_counts_as_existing() -> None:
    world = make_world()
    stranger = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "x", "uid": "1"}}

    config(world, "mine", stranger)
    deploy(world)
    world.objects.delete(DEPLOYMENT, NS, "web")
    world.settle()

    assert "mine" in world.names(CONFIG_MAP)


def test_deletion_in_the_foreground_waits_for_the_children() -> None:
    world = make_world()
    deploy(world)
    roll_out(world)

    hold(world, DEPLOYMENT, "web", "foregroundDeletion")
    world.settle()

    assert "deletionTimestamp" in world.objects.get(DEPLOYMENT, NS, "web")["metadata"]
    assert "deletionTimestamp" in world.find(POD, "web-")["metadata"]
    roll_out(world)
    assert world.names(DEPLOYMENT) == world.names(REPLICA_SET) == world.names(POD) == []


def test_orphans_stay() -> None:
    world = make_world()
    deploy(world)
    roll_out(world)

    hold(world, DEPLOYMENT, "web", "orphan")
    roll_out(world)

    assert world.names(DEPLOYMENT) == []
    (name,) = world.names(REPLICA_SET)
    assert world.objects.get(REPLICA_SET, NS, name)["metadata"].get("ownerReferences", []) == []
    assert len(world.names(POD)) == 1


def test_a_namespace_is_removed_after_its_last_object() -> None:
    world = make_world()
    deploy(world, replicas=2)
    roll_out(world)

    world.objects.delete(NAMESPACE, None, NS)
    world.settle()

    assert world.objects.get(NAMESPACE, None, NS)["status"]["phase"] == "Terminating"
    assert all("deletionTimestamp" in p["metadata"] for p in world.objects.list(POD, NS))
    assert world.names(DEPLOYMENT) == world.names(CONFIG_MAP) == []
    roll_out(world)
    assert world.objects.find(NAMESPACE, None, NS) is None


def test_a_namespace_waits_for_a_finalizer() -> None:
    world = make_world()
    config(world, "held", finalizers=["example.com/hold"])

    world.objects.delete(NAMESPACE, None, NS)
    world.settle()
    assert world.objects.find(NAMESPACE, None, NS) is not None

    held = world.objects.get(CONFIG_MAP, NS, "held")
    held["metadata"]["finalizers"] = []
    world.objects.update(CONFIG_MAP, held)
    world.settle()
    assert world.objects.find(NAMESPACE, None, NS) is None


def test_the_objects_of_a_revision_are_deleted_with_it() -> None:
    world = ready()
    assert pods(world)

    world.objects.delete(REVISION, NS, TWO)
    for _ in range(5):
        world.run_pods()

    left = {kind.kind: world.names(kind) for kind in KINDS if kind.namespaced and world.names(kind)}
    assert set(left) <= {"ServiceAccount", "ConfigMap", "Configuration"}  # the last one owns the revision


def test_a_sandbox_is_removed_with_its_pod() -> None:
    world = make_world()
    deploy(world)
    pod = world.objects.list(POD, NS)[0]
    world.objects.create(SANDBOX, {
        "apiVersion": SANDBOX.api_version, "kind": SANDBOX.kind, "spec": {"podUID": pod["metadata"]["uid"]},
        "metadata": {"name": pod["metadata"]["name"], "namespace": NS, "ownerReferences": [owner_reference(pod)]}})

    world.pass_s(1)
    world.objects.delete(POD, NS, pod["metadata"]["name"])
    roll_out(world)

    assert world.names(SANDBOX) == []


def test_endpoints_go_with_their_service() -> None:
    world = make_world()
    world.objects.create(SERVICE, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": NS},
                                   "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}})
    world.settle()
    assert world.names(ENDPOINTS) == ["web"]

    world.objects.delete(SERVICE, NS, "web")
    world.settle()

    assert world.names(ENDPOINTS) == []


def test_endpoints_name_ready_and_other_pods() -> None:
    world = make_world()
    world.objects.create(SERVICE, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": NS},
                                   "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}})
    deploy(world, replicas=2)
    world.run_pods(ready=False)
    world.set_pod(world.objects.list(POD, NS)[0], ready=True)
    world.settle()

    (subset,) = world.objects.get(ENDPOINTS, NS, "web")["subsets"]

    assert len(subset["addresses"]) == len(subset["notReadyAddresses"]) == 1
    assert subset["ports"] == [{"port": 8080, "protocol": "TCP"}]
