"""Revisions: their Deployments and their status, compared with a real cluster's."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest

from kserve_nb.clusters.embedded.apimachinery.kinds import (
    DEPLOYMENT,
    POD,
    POD_AUTOSCALER,
    REPLICA_SET,
    REVISION,
    SERVERLESS_SERVICE,
)
from kserve_nb.clusters.embedded.apimachinery.objects import Object, condition
from kserve_nb.clusters.embedded.control.framework.child_names import child_name
from kserve_nb.clusters.embedded.control.framework.reconciler import Moment
from kserve_nb.clusters.embedded.control.knative import revision
from kserve_nb.clusters.embedded.control.knative.autoscaling.autoscaling_options import Options
from kserve_nb.clusters.embedded.control.knative.revision_deployment import make_deployment, make_pod_autoscaler
from tests.unit.revision_world import ONE, TWO, make_world, start
from tests.unit.world import DATA, NS, World, conditions_of, recorded, recorded_one

KINDS = (REVISION, POD_AUTOSCALER, DEPLOYMENT, REPLICA_SET, SERVERLESS_SERVICE)


def stage(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DATA / "stages.json").read_text())[name]
    return found


def compare_statuses(world: World, wanted: dict[str, Any], name: str = TWO) -> None:
    for kind in KINDS:
        ours, theirs = world.find(kind, name)["status"], wanted[kind.kind]
        assert conditions_of(_with_one_hash(ours, name)) == conditions_of(_with_one_hash(theirs, name)), kind.kind
        assert _counts(ours) == _counts(theirs), kind.kind


def _counts(status: Object) -> Object:
    left = ("conditions", "observedGeneration")  # on a real cluster, the number of writes of a spec depends on a race
    return {key: value for key, value in status.items() if key not in left}


def _with_one_hash(status: Object, name: str) -> Object:
    """The value with the same pod-template-hash in all messages."""
    if "conditions" not in status:
        return status
    pattern = rf"({name}-deployment)-\w+"
    return {**status, "conditions": [{**c, "message": re.sub(pattern, r"\1-HASH", c.get("message", ""))}
                                     for c in status["conditions"]]}


def bare(obj: Object) -> Object:
    """The object without its status and without metadata that a server sets."""
    given = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")
    meta = {key: value for key, value in obj["metadata"].items() if key not in given}
    return {**{k: v for k, v in obj.items() if k != "status"}, "metadata": meta}


@pytest.mark.parametrize("name", [ONE, TWO])
def test_a_revision_is_deployed_as_a_real_one(name: str) -> None:
    wanted = bare(recorded_one("deployments", name))
    del wanted["metadata"]["annotations"]["deployment.kubernetes.io/revision"]  # the Deployment's controller adds it

    revision = recorded_one("revisions", name)
    made = make_deployment(revision, Options(revision["metadata"]["annotations"], {}))

    assert made == wanted


@pytest.mark.parametrize("name", [ONE, TWO])
def test_a_revision_is_scaled_by_the_same_autoscaler_as_a_real_one(name: str) -> None:
    made = make_pod_autoscaler(recorded_one("revisions", name), recorded_one("deployments", name))

    assert made == bare(recorded_one("podautoscalers", name))


def test_a_ready_revision_and_its_objects_have_the_recorded_status() -> None:
    world = make_world()
    start(world)

    world.run_pods()

    compare_statuses(world, stage("ready"))


def test_a_starting_revision_is_reported_as_starting() -> None:
    world = make_world()

    start(world)
    world.run_pods(ready=False)

    compare_statuses(world, stage("starting"))


def test_a_first_pass_only_resolves_digests() -> None:
    world = make_world()
    created = world.adopt(REVISION, recorded_one("revisions", TWO))

    changes = revision.reconcile(created, world.objects, Moment(world.now, world.settings))
    for write in changes.writes:
        write(world.objects)

    found = conditions_of(world.find(REVISION, TWO)["status"])
    assert found["Ready"][:2] == ("Unknown", "ResolvingDigests")
    assert found["ContainerHealthy"][:2] == ("Unknown", "")
    assert world.names(DEPLOYMENT) == []


def test_a_revision_that_never_starts_fails_at_its_deadline_and_loses_its_pod_at_the_next_change_after() -> None:
    world = make_world()
    start(world)
    world.run_pods(ready=False)
    waiting = [{"name": n, "state": {"waiting": {"reason": "PodInitializing"}}, "lastState": {}}
               for n in ("kserve-container", "queue-proxy")]
    world.set_pod(world.objects.list(POD, NS)[0], ready=False, containers=waiting)

    world.pass_s(599)
    assert condition(world.find(REVISION, TWO), "Ready")["status"] == "Unknown"

    world.pass_s(3)
    compare_statuses(world, stage("after the deadline"))

    world.pass_s(40)
    world.set_pod(world.objects.list(POD, NS)[0], ready=False, containers=[
        {**c, "restartCount": 1} for c in waiting])  # the next back-off
    world.settle()
    world.run_pods()
    compare_statuses(world, stage("given up"))
    assert world.names(POD) == []


def test_a_pod_that_fits_nowhere_fails_its_revision_at_once() -> None:
    world = make_world(cpu="100m")
    start(world)

    compare = stage("unschedulable")
    found = conditions_of(world.find(REVISION, TWO)["status"])
    assert found["Ready"][:2] == ("False", "Unschedulable")
    assert found["Ready"][2].startswith("0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate")
    assert set(found) == {c["type"] for c in compare["Revision"]["conditions"]}
    assert world.find(POD_AUTOSCALER, TWO)["spec"]["reachability"] == "Unreachable"


def test_a_crash_fails_a_revision_at_once() -> None:
    world = make_world()
    start(world)
    world.run_pods(ready=False)

    world.set_pod(world.objects.list(POD, NS)[0], ready=False, containers=[
        {"name": "kserve-container", "state": {"waiting": {"reason": "CrashLoopBackOff"}},
         "lastState": {"terminated": {"exitCode": 3, "message": "no such model"}}}])
    world.settle()

    ready = condition(world.find(REVISION, TWO), "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "ExitCode3")
    assert ready["message"] == "Container failed with: no such model"


def test_a_crashed_revision_recovers_when_its_pod_does() -> None:
    world = make_world()
    start(world)
    world.run_pods(ready=False)
    pod = world.objects.list(POD, NS)[0]
    world.set_pod(pod, ready=False, containers=[
        {"name": "kserve-container", "state": {}, "lastState": {"terminated": {"exitCode": 1, "message": "oops"}}}])
    world.settle()

    world.set_pod(pod, ready=True)
    world.settle()

    assert condition(world.find(REVISION, TWO), "Ready")["status"] == "True"


def test_becoming_ready_is_reported_once() -> None:
    world = make_world()
    start(world)
    world.run_pods()
    world.pass_s(200)

    told = [e for e in world.events if e[2] == "RevisionReady"]
    assert told == [("Revision", "Normal", "RevisionReady", "Revision becomes ready upon all resources being ready",
                     "revision-controller")]


def test_a_settled_revision_does_not_change_and_schedules_nothing() -> None:
    world = make_world()
    start(world)
    world.run_pods()
    world.pass_s(120)
    version = world.objects.store.version

    world.pass_s(3600)

    assert world.objects.store.version == version
    assert not world.is_waiting()


def test_a_deployment_that_is_deleted_comes_back() -> None:
    world = make_world()
    start(world)
    world.run_pods()

    world.objects.delete(DEPLOYMENT, NS, f"{TWO}-deployment")
    world.pass_s(1)
    world.run_pods()
    world.settle()

    assert len(world.names(REPLICA_SET)) == len(world.names(POD)) == 1
    assert world.names(DEPLOYMENT) == [f"{TWO}-deployment"]


def test_an_initial_scale_and_a_progress_deadline_are_taken_from_annotations() -> None:
    body = copy.deepcopy(recorded_one("revisions", TWO))
    body["metadata"]["annotations"] |= {"autoscaling.knative.dev/initial-scale": "3",
                                        "serving.knative.dev/progress-deadline": "90s"}

    spec = make_deployment(body, Options(body["metadata"].get("annotations", {}), {}))["spec"]

    assert (spec["replicas"], spec["progressDeadlineSeconds"]) == (3, 90)


def test_long_names_are_cut_as_knative_cuts_them() -> None:
    # from the expectations of knative.dev/pkg kmeta/names_test.go
    assert child_name("asdf", "-deployment") == "asdf-deployment"
    assert child_name("f" * 63, "-deployment") == "ffffffffffffffffffff105d7597f637e83cc711605ac3ea4957-deployment"
    assert len(child_name("f" * 63, "-deploymentdeploymentdeploymentdeployment")) <= 63


def test_recordings_hold_two_revisions() -> None:
    assert [r["metadata"]["name"] for r in recorded("revisions")] == [ONE, TWO]
