"""The scheduler: which pods fit the only node, and the messages for the others."""

from __future__ import annotations

from typing import Any

import pytest

from kserve_nb.clusters.embedded.api.initial_objects import initial_objects
from kserve_nb.clusters.embedded.apimachinery.kinds import NODE, PERSISTENT_VOLUME_CLAIM, POD
from kserve_nb.clusters.embedded.apimachinery.objects import Object, Settings, condition, key_of
from kserve_nb.clusters.embedded.control.kubernetes import scheduler, volume_binder
from tests.unit.world import NS, World

NO_VICTIMS = ("no new claims to deallocate, preemption: 0/1 nodes are available: "
              "1 No preemption victims found for incoming pod.")
NO_HELP = ("no new claims to deallocate, preemption: 0/1 nodes are available: "
           "1 Preemption is not helpful for scheduling.")


def make_world() -> World:
    return World((*volume_binder.RECONCILERS, *scheduler.RECONCILERS), cpu="1")


def run(world: World, name: str, cpu: str = "100m", memory: str = "64Mi", **spec: Any) -> Object:
    container = {"name": "c", "image": "web:1", "resources": {"requests": {"cpu": cpu, "memory": memory}}}
    world.objects.create(POD, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": NS},
                               "spec": {"containers": [container], **spec}})
    world.settle()
    return world.objects.get(POD, NS, name)


def test_a_pod_that_fits_is_assigned_to_the_node() -> None:
    world = make_world()

    pod = run(world, "a")

    assert pod["spec"]["nodeName"] == "lab"
    assert condition(pod, "PodScheduled")["status"] == "True"
    assert world.events == [
        ("Pod", "Normal", "Scheduled", f"Successfully assigned {NS}/a to lab", "default-scheduler")]


@pytest.mark.parametrize(("cpu", "memory", "why"), [
    ("600m", "1Mi", f"0/1 nodes are available: 1 Insufficient cpu. {NO_VICTIMS}"),
    ("1m", "3900Mi", f"0/1 nodes are available: 1 Insufficient memory. {NO_VICTIMS}"),
    ("600m", "3900Mi", f"0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory. {NO_VICTIMS}"),
    ("8", "1Mi", f"0/1 nodes are available: 1 Insufficient cpu. {NO_HELP}"),
])
def test_the_status_of_a_pod_that_does_not_fit_names_what_is_missing(cpu: str, memory: str, why: str) -> None:
    world = make_world()
    run(world, "first", cpu="500m", memory="512Mi")

    pod = run(world, "second", cpu=cpu, memory=memory)

    scheduled = condition(pod, "PodScheduled")
    assert (scheduled["status"], scheduled["reason"], scheduled["message"]) == ("False", "Unschedulable", why)
    assert world.events[-1] == ("Pod", "Warning", "FailedScheduling", why, "default-scheduler")
    assert "nodeName" not in pod["spec"]


def test_a_pod_that_waits_is_assigned_when_another_has_gone() -> None:
    world = make_world()
    first = run(world, "first", cpu="800m")
    run(world, "second", cpu="800m")

    world.objects.delete(POD, *key_of(first), grace_period_s=0)
    world.settle()

    assert world.objects.get(POD, NS, "second")["spec"]["nodeName"] == "lab"


def test_a_terminating_pod_still_takes_its_room() -> None:
    world = make_world()
    first = run(world, "first", cpu="800m")
    run(world, "second", cpu="800m")

    world.objects.delete(POD, *key_of(first))
    world.settle()

    assert "nodeName" not in world.objects.get(POD, NS, "second")["spec"]


def test_an_init_container_can_determine_the_pods_request() -> None:
    world = make_world()
    big = {"name": "i", "image": "web:1", "resources": {"requests": {"cpu": "1500m"}}}

    pod = run(world, "a", initContainers=[big])

    assert condition(pod, "PodScheduled")["reason"] == "Unschedulable"


def claim(world: World, name: str, **spec: Any) -> Object:
    resources = {"requests": {"storage": "1Gi"}}
    return world.objects.create(PERSISTENT_VOLUME_CLAIM, {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name, "namespace": NS},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": resources, **spec}})


MODELS = [{"name": "models", "persistentVolumeClaim": {"claimName": "models"}}]


def test_a_pod_waits_for_a_claim_that_does_not_exist() -> None:
    world = make_world()

    pod = run(world, "a", volumes=MODELS)

    why = '0/1 nodes are available: persistentvolumeclaim "models" not found. not found'
    assert condition(pod, "PodScheduled")["message"] == why
    assert world.events[-1] == ("Pod", "Warning", "FailedScheduling", why, "default-scheduler")
    claim(world, "models")
    world.settle()
    assert world.objects.get(POD, NS, "a")["spec"]["nodeName"] == "lab"


@pytest.mark.parametrize(("spec", "event"), [
    ({"storageClassName": "fast"},
     ("Warning", "ProvisioningFailed", 'storageclass.storage.k8s.io "fast" not found')),
    ({"storageClassName": ""},
     ("Normal", "FailedBinding", "no persistent volumes available for this claim and no storage class is set")),
    ({"volumeName": "mine"}, None),
])
def test_a_pod_waits_for_a_claim_that_is_not_bound(spec: Object, event: tuple[str, str, str] | None) -> None:
    world = make_world()
    claim(world, "models", **spec)
    world.settle()
    told = [e[1:4] for e in world.events if e[0] == "PersistentVolumeClaim"]

    pod = run(world, "a", volumes=MODELS)

    assert condition(pod, "PodScheduled")["message"] == (
        "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found")
    assert world.objects.get(PERSISTENT_VOLUME_CLAIM, NS, "models")["status"]["phase"] == "Pending"
    assert told == ([event] if event else [])


def test_a_claim_of_the_default_class_is_bound_to_a_folder_that_its_event_names() -> None:
    world = make_world()
    uid = claim(world, "models")["metadata"]["uid"]
    world.settle()

    bound = world.objects.get(PERSISTENT_VOLUME_CLAIM, NS, "models")

    assert bound["status"] == {"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}}
    assert (bound["spec"]["storageClassName"], bound["spec"]["volumeName"]) == ("standard", f"pvc-{uid}")
    assert "folder volumes/kserve-test/models next to the cluster's kubeconfig" in world.events[-1][3]


def test_a_pod_waits_while_its_claim_is_being_deleted() -> None:
    world = make_world()
    held = claim(world, "models")
    world.objects.update(PERSISTENT_VOLUME_CLAIM, {
        **held, "metadata": {**held["metadata"], "finalizers": ["kubernetes.io/pvc-protection"]}})
    world.settle()
    world.objects.delete(PERSISTENT_VOLUME_CLAIM, NS, "models")

    assert condition(run(world, "a", volumes=MODELS), "PodScheduled")["message"] == (
        '0/1 nodes are available: persistentvolumeclaim "models" is being deleted. not found')


def test_a_resource_that_the_node_lacks_is_named() -> None:
    gpu = {"name": "c", "image": "web:1", "resources": {"limits": {"nvidia.com/gpu": "1"}}}

    pod = run(make_world(), "a", containers=[gpu])

    assert condition(pod, "PodScheduled")["message"] == (
        f"0/1 nodes are available: 1 Insufficient nvidia.com/gpu. {NO_HELP}")


def test_the_node_takes_no_more_pods_than_it_advertises() -> None:
    world = make_world()
    for number in range(110):
        run(world, f"p{number}", cpu="1m", memory="1Ki")

    pod = run(world, "last", cpu="1m", memory="1Ki")

    assert condition(pod, "PodScheduled")["message"] == f"0/1 nodes are available: 1 Too many pods. {NO_VICTIMS}"


@pytest.mark.parametrize(("operator", "values", "fits"), [
    ("In", ["lab"], True), ("In", ["other"], False), ("NotIn", ["lab"], False), ("Exists", None, True),
    ("DoesNotExist", None, False),
])
def test_a_required_node_affinity_must_match(operator: str, values: list[str] | None, fits: bool) -> None:
    world = make_world()
    node = world.objects.get(NODE, None, "lab")
    node["metadata"]["labels"] = {"kubernetes.io/hostname": "lab"}
    world.objects.update(NODE, node)
    expression = {"key": "kubernetes.io/hostname", "operator": operator, **({"values": values} if values else {})}
    term = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}

    pod = run(world, "a", affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": term}})

    assert ("nodeName" in pod["spec"]) == fits
    assert fits or condition(pod, "PodScheduled")["message"] == (
        f"0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. {NO_HELP}")


def test_the_node_of_a_new_cluster_holds_forty_pods_of_the_default_runtime() -> None:
    lab = Settings(node="lab")
    (allocatable,) = (body["status"]["allocatable"] for kind, body in initial_objects(lab) if kind == NODE)
    world = make_world()
    node = world.objects.get(NODE, None, "lab")
    world.objects.update_status(NODE, {**node, "status": {"allocatable": allocatable}})

    pods = [run(world, f"p{number}", cpu="1025m", memory="2Gi") for number in range(40)]

    assert all(pod["spec"].get("nodeName") == "lab" for pod in pods)
    too_big = run(world, "too-big", cpu="1000")
    assert condition(too_big, "PodScheduled")["message"] == f"0/1 nodes are available: 1 Insufficient cpu. {NO_HELP}"


def test_a_node_selector_that_matches_nothing_is_named() -> None:
    world = make_world()

    pod = run(world, "a", nodeSelector={"disk": "ssd"})

    assert condition(pod, "PodScheduled")["message"] == (
        f"0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. {NO_HELP}")


def test_a_pod_is_assigned_when_the_node_is_made_schedulable_again() -> None:
    world = make_world()
    node = world.objects.get(NODE, None, "lab")
    node["spec"]["unschedulable"] = True
    world.objects.update(NODE, node)
    run(world, "a")

    node = world.objects.get(NODE, None, "lab")
    del node["spec"]["unschedulable"]
    world.objects.update(NODE, node)
    world.settle()

    assert world.objects.get(POD, NS, "a")["spec"]["nodeName"] == "lab"
