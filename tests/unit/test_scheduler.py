"""The scheduler: what fits the one node, and the words for what does not."""

from __future__ import annotations

from typing import Any

import pytest

from kserve_nb.clusters.embedded.control.kubernetes import scheduler
from kserve_nb.clusters.embedded.kinds import NODE, POD
from kserve_nb.clusters.embedded.objects import Object, condition, key_of
from tests.unit.world import NS, World

NO_VICTIMS = ("no new claims to deallocate, preemption: 0/1 nodes are available: "
              "1 No preemption victims found for incoming pod.")
NO_HELP = ("no new claims to deallocate, preemption: 0/1 nodes are available: "
           "1 Preemption is not helpful for scheduling.")


def make_world() -> World:
    return World(scheduler.RECONCILERS, cpu="1")


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
def test_a_pod_that_does_not_fit_says_what_is_missing(cpu: str, memory: str, why: str) -> None:
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


def test_an_init_container_may_be_what_needs_most() -> None:
    world = make_world()
    big = {"name": "i", "image": "web:1", "resources": {"requests": {"cpu": "1500m"}}}

    pod = run(world, "a", initContainers=[big])

    assert condition(pod, "PodScheduled")["reason"] == "Unschedulable"


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
