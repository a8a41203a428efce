"""Deployments and ReplicaSets: pods of a template, rolling updates, and status."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kserve_nb.clusters.embedded.apimachinery.kinds import DEPLOYMENT, POD, REPLICA_SET
from kserve_nb.clusters.embedded.apimachinery.objects import Object, condition, is_true
from kserve_nb.clusters.embedded.control.kubernetes import deployment, garbage_collector, replica_set, scheduler
from kserve_nb.clusters.embedded.control.kubernetes.deployment import make_replica_set
from kserve_nb.clusters.embedded.control.kubernetes.replica_set import make_pod
from tests.unit.world import NS, World, recorded_one

MODULES = (deployment, replica_set, scheduler, garbage_collector)
TWO = "sklearn-iris-predictor-00002"
_GIVEN = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")


def make_world() -> World:
    return World((r for module in MODULES for r in module.RECONCILERS), cpu="64")


def deploy(world: World, image: str = "web:1", **spec: Any) -> Object:
    body: Object = {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": NS},
        "spec": {"selector": {"matchLabels": {"app": "web"}},
                 "template": {"metadata": {"labels": {"app": "web"}},
                              "spec": {"containers": [{"name": "web", "image": image}]}}, **spec}}
    held = world.objects.find(DEPLOYMENT, NS, "web")
    stored = (world.objects.create(DEPLOYMENT, body) if held is None
              else world.objects.update(DEPLOYMENT, {**held, "spec": body["spec"]}))
    world.settle()
    return stored


def status(world: World) -> Object:
    found: Object = world.objects.get(DEPLOYMENT, NS, "web")["status"]
    return found


def images(world: World) -> list[str]:
    return sorted(p["spec"]["containers"][0]["image"] for p in world.objects.list(POD, NS))


def roll_out(world: World) -> None:
    for _ in range(30):
        world.run_pods()


def test_a_replica_set_is_as_a_real_one_but_for_its_hash() -> None:
    wanted = recorded_one("replicasets", TWO)
    held = recorded_one("deployments", TWO)

    made = make_replica_set(held, 1, 1)

    ours, theirs = made["metadata"]["labels"]["pod-template-hash"], wanted["metadata"]["labels"]["pod-template-hash"]
    assert re.fullmatch("[bcdf4-9]{7,10}", ours)
    meta = {key: value for key, value in wanted["metadata"].items() if key not in _GIVEN}
    wanted = {**{key: value for key, value in wanted.items() if key != "status"}, "metadata": meta}
    assert repr(made).replace(ours, theirs) == repr_in_order(wanted, made).replace(ours, theirs)


def repr_in_order(obj: Any, like: Any) -> str:
    """As repr, with the keys of dicts in the order of another object's."""
    def ordered(one: Any, other: Any) -> Any:
        if isinstance(one, dict) and isinstance(other, dict):
            keys = [*(k for k in other if k in one), *(k for k in one if k not in other)]
            return {k: ordered(one[k], other.get(k)) for k in keys}
        if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
            return [ordered(a, b) for a, b in zip(one, other, strict=True)]
        return one

    return repr(ordered(obj, like))


def test_a_pod_has_the_metadata_of_a_real_one() -> None:
    wanted = recorded_one("pods", TWO)["metadata"]

    made = make_pod(recorded_one("replicasets", TWO), wanted["name"])["metadata"]

    of_the_webhook = {"serving.kserve.io/enable-metric-aggregation", "serving.kserve.io/enable-prometheus-scraping"}
    assert made["labels"] == wanted["labels"]
    assert made["annotations"] == {k: v for k, v in wanted["annotations"].items() if k not in of_the_webhook}
    assert made["ownerReferences"] == wanted["ownerReferences"]
    assert made["generateName"] == wanted["generateName"]


def test_pods_are_named_after_their_replica_set() -> None:
    world = make_world()
    deploy(world, replicas=3)

    (owner,) = world.names(REPLICA_SET)
    assert len(world.names(POD)) == 3
    assert all(re.fullmatch(rf"{owner}-[bcdfghjklmnpqrstvwxz2456789]{{5}}", name) for name in world.names(POD))


def test_a_rollout_reports_its_progress() -> None:
    world = make_world()
    deploy(world)
    found = status(world)
    assert found["unavailableReplicas"] == 1
    assert condition({"status": found}, "Available")["reason"] == "MinimumReplicasUnavailable"
    assert condition({"status": found}, "Progressing")["reason"] == "ReplicaSetUpdated"

    roll_out(world)

    found = status(world)
    assert {k: found[k] for k in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")} == {
        "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}
    assert found["observedGeneration"] == world.find(DEPLOYMENT, "web")["metadata"]["generation"]
    assert condition({"status": found}, "Progressing")["reason"] == "NewReplicaSetAvailable"


def test_a_new_template_replaces_the_pods_without_too_few_of_them() -> None:
    world = make_world()
    deploy(world, replicas=4)
    roll_out(world)
    deploy(world, image="web:2", replicas=4)

    for _ in range(30):
        ready = sum(is_true(p, "Ready") for p in world.objects.list(POD, NS))
        assert ready >= 3
        assert len([p for p in world.objects.list(POD, NS) if "deletionTimestamp" not in p["metadata"]]) <= 5
        world.run_pods()

    assert images(world) == ["web:2"] * 4
    assert len(world.names(REPLICA_SET)) == 2
    assert world.find(DEPLOYMENT, "web")["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"


def test_a_template_that_comes_back_uses_its_replica_set_again() -> None:
    world = make_world()
    for image in ("web:1", "web:2", "web:1"):
        deploy(world, image=image)
        roll_out(world)

    assert images(world) == ["web:1"]
    assert len(world.names(REPLICA_SET)) == 2
    assert world.find(DEPLOYMENT, "web")["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"


def test_recreate_ends_the_old_pods_first() -> None:
    world = make_world()
    deploy(world, replicas=2, strategy={"type": "Recreate"})
    roll_out(world)
    deploy(world, image="web:2", replicas=2, strategy={"type": "Recreate"})

    assert all("deletionTimestamp" in p["metadata"] for p in world.objects.list(POD, NS)
               if p["spec"]["containers"][0]["image"] == "web:1")
    roll_out(world)
    assert images(world) == ["web:2"] * 2


def test_a_rollout_that_takes_too_long_is_reported_and_recovers() -> None:
    world = make_world()
    deploy(world, progressDeadlineSeconds=60)
    world.pass_s(59)
    assert condition({"status": status(world)}, "Progressing")["status"] == "True"

    world.pass_s(3)

    progressing = condition({"status": status(world)}, "Progressing")
    assert (progressing["status"], progressing["reason"]) == ("False", "ProgressDeadlineExceeded")
    assert progressing["message"].endswith("has timed out progressing.")
    roll_out(world)
    assert condition({"status": status(world)}, "Progressing")["reason"] == "NewReplicaSetAvailable"


def test_a_deleted_pod_comes_back_under_another_name() -> None:
    world = make_world()
    deploy(world)
    roll_out(world)
    (name,) = world.names(POD)
    world.pass_s(1)

    world.objects.delete(POD, NS, name)
    roll_out(world)

    (other,) = world.names(POD)
    assert other != name


def test_scaling_up_and_down_records_events() -> None:
    world = make_world()
    deploy(world, replicas=1)
    roll_out(world)
    deploy(world, replicas=3)
    roll_out(world)
    deploy(world, replicas=0)
    roll_out(world)

    (name,) = world.names(REPLICA_SET)
    told = [e[3] for e in world.events if e[2] == "ScalingReplicaSet"]
    assert told == [f"Scaled up replica set {name} from 0 to 1", f"Scaled up replica set {name} from 1 to 3",
                    f"Scaled down replica set {name} from 3 to 0"]
    assert sum(e[2] == "SuccessfulCreate" for e in world.events) == 3
    assert sum(e[2] == "SuccessfulDelete" for e in world.events) == 3
    assert world.names(POD) == []


def test_a_terminating_pod_is_counted_as_such() -> None:
    world = make_world()
    deploy(world)
    roll_out(world)

    deploy(world, replicas=0)

    found = status(world)
    assert found["terminatingReplicas"] == 1
    assert "replicas" not in found
    assert world.objects.get(REPLICA_SET, NS, world.names(REPLICA_SET)[0])["status"]["replicas"] == 0


def test_a_refused_pod_is_reported_as_a_failed_create() -> None:
    world = make_world()
    deploy(world)
    roll_out(world)
    held = world.objects.get(REPLICA_SET, NS, world.names(REPLICA_SET)[0])
    held["spec"]["template"]["metadata"]["labels"]["bad"] = "not a label value!"
    world.objects.update(REPLICA_SET, held)

    deploy(world, replicas=2)

    for kind, name in ((REPLICA_SET, world.names(REPLICA_SET)[0]), (DEPLOYMENT, "web")):
        failure = condition(world.objects.get(kind, NS, name), "ReplicaFailure")
        assert (failure["status"], failure["reason"]) == ("True", "FailedCreate")
    assert next(e for e in world.events if e[2] == "FailedCreate")[3].startswith("Error creating: Pod ")


def test_a_paused_deployment_does_not_roll() -> None:
    world = make_world()
    deploy(world)
    roll_out(world)

    deploy(world, image="web:2", paused=True)
    roll_out(world)

    assert images(world) == ["web:1"]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["web:1", "web:2", "web:3"]), st.integers(0, 4), st.integers(0, 3)),
                min_size=1, max_size=5))
def test_any_sequence_of_templates_and_sizes_ends_with_the_last(steps: list[tuple[str, int, int]]) -> None:
    world = make_world()
    for image, size, runs in steps:
        deploy(world, image=image, replicas=size)
        for _ in range(runs):
            world.run_pods()

    roll_out(world)

    assert images(world) == [steps[-1][0]] * steps[-1][1]
    version = world.objects.store.version
    world.pass_s(700)
    assert world.objects.store.version == version
    assert not world.is_waiting()
