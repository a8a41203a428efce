"""Knative's Services, Configurations, Routes and their labels, on a store without reconcilers of pods."""

from __future__ import annotations

import copy
from datetime import UTC, datetime

import pytest

from kserve_nb.clusters.embedded.api.admission.chain import admit
from kserve_nb.clusters.embedded.api.store.store import Store
from kserve_nb.clusters.embedded.apimachinery.kinds import (
    CONFIGURATION,
    INGRESS,
    KNATIVE_SERVICE,
    NAMESPACE,
    REVISION,
    ROUTE,
    SERVICE,
)
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object, Settings, StatusError, condition, utc
from kserve_nb.clusters.embedded.control.framework.reconciler import Changes, Moment, Reconciler
from kserve_nb.clusters.embedded.control.knative import configuration, knative_service, labeler, revision_gc, route
from kserve_nb.clusters.embedded.control.knative.traffic_targets import BadTargetError, resolve

NS, NAME = "test", "iris"
NOW = 1_800_000_000.0
PASSES = (knative_service, configuration, labeler, route)


class Knative:
    """A store, and reconcilers that a test runs pass by pass."""

    def __init__(self) -> None:
        self.store = Store(None, admission=admit)
        self.store.create(NAMESPACE, {"metadata": {"name": NS}})
        self.settings = Settings(gateway="kourier")
        self.now = NOW

    def serve(self, image: str = "a", traffic: list[Object] | None = None,
              labels: dict[str, str] | None = None) -> None:
        """Create the Service or change it, as a user does."""
        spec: Object = {"template": {"spec": {"containers": [{"image": f"app/{image}"}]}}}
        if traffic is not None:
            spec["traffic"] = traffic
        existing = self.store.find(KNATIVE_SERVICE, NS, NAME)
        if existing is None:
            self.store.create(KNATIVE_SERVICE, {"metadata": {"name": NAME, "namespace": NS, "labels": labels or {}},
                                                "spec": spec})
        else:
            self.store.update(KNATIVE_SERVICE, {**existing, "spec": spec})

    def run(self, *modules: object) -> Changes:
        """One pass of each module's reconcilers over every object of their kinds."""
        changes = Changes()
        for module in modules:
            for reconciler in module.RECONCILERS:  # type: ignore[attr-defined]
                changes = self._run(reconciler)
        return changes

    def _run(self, reconciler: Reconciler) -> Changes:
        changes = Changes()
        for obj in self.store.list(reconciler.kind, NS):
            before = copy.deepcopy(obj)
            changes = reconciler.reconcile(obj, self.store, Moment(self.now, self.settings))
            assert obj == before, "a reconciler changed its arguments"
            for write in changes.writes:
                write(self.store)
        return changes

    def rest(self) -> None:
        """Run passes until nothing changes, with a gateway that programs every route at once."""
        version = -1
        while version != self.store.version:
            version = self.store.version
            self.run(*PASSES)
            for ingress in self.store.list(INGRESS, NS):
                ready = {"type": "Ready", "status": "True", "lastTransitionTime": utc(NOW)}
                gateway = {"ingress": [{"domainInternal": "kourier-internal.kourier-system.svc.cluster.local"}]}
                self.store.update_status(INGRESS, {**ingress, "status": {
                    "conditions": [ready], "observedGeneration": ingress["metadata"]["generation"],
                    "privateLoadBalancer": gateway}})

    def mark(self, number: int, status: str, message: str = "") -> None:
        """Mark a revision as ready or failed."""
        revision = self.get(REVISION, f"{NAME}-{number:05d}")
        said = {"type": "Ready", "status": status, "lastTransitionTime": utc(NOW), "message": message}
        self.store.update_status(REVISION, {**revision, "status": {
            "conditions": [said], "observedGeneration": revision["metadata"]["generation"]}})

    def get(self, kind: Kind, name: str = NAME) -> Object:
        return self.store.get(kind, NS, name)

    def reason(self, kind: Kind, type_: str = "Ready") -> str:
        found = condition(self.get(kind), type_)
        return f"{found['status']} {found.get('reason', '')}".strip()


@pytest.fixture
def knative() -> Knative:
    """A Service whose first revision serves."""
    made = Knative()
    made.serve()
    made.rest()
    made.mark(1, "True")
    made.rest()
    return made


def split(number: int, percent: int, tag: str = "prev") -> Object:
    return {"revisionName": f"{NAME}-{number:05d}", "percent": percent, "tag": tag, "latestRevision": False}


def test_a_service_waits_for_its_first_revision() -> None:
    made = Knative()

    made.serve()
    made.rest()

    assert made.reason(KNATIVE_SERVICE) == "Unknown RevisionMissing"
    assert condition(made.get(ROUTE), "Ready")["message"] == \
        'Configuration "iris" is waiting for a Revision to become ready.'
    assert made.store.list(INGRESS, NS) == []


def test_a_first_revision_that_fails_fails_the_service() -> None:
    made = Knative()
    made.serve()
    made.rest()

    made.mark(1, "False", "it broke")
    made.rest()

    assert made.reason(CONFIGURATION) == "False RevisionFailed"
    assert condition(made.get(CONFIGURATION), "Ready")["message"] == \
        'Revision "iris-00001" failed with message: it broke.'
    assert condition(made.get(ROUTE), "Ready")["message"] == 'Configuration "iris" does not have any ready Revision.'
    assert made.reason(KNATIVE_SERVICE) == "False RevisionMissing"


def test_a_ready_revision_gets_the_traffic(knative: Knative) -> None:
    assert made_ready(knative)
    assert knative.get(KNATIVE_SERVICE)["status"]["traffic"] == [
        {"latestRevision": True, "percent": 100, "revisionName": "iris-00001"}]
    assert knative.get(KNATIVE_SERVICE)["status"]["url"] == "http://iris.test.example.com"


def made_ready(knative: Knative) -> bool:
    return knative.reason(KNATIVE_SERVICE) == "True"


def test_a_new_template_is_not_routed_before_it_is_ready(knative: Knative) -> None:
    knative.serve("b")
    knative.rest()

    assert knative.get(CONFIGURATION)["status"]["latestCreatedRevisionName"] == "iris-00002"
    assert knative.get(ROUTE)["status"]["traffic"][0]["revisionName"] == "iris-00001"
    assert knative.reason(KNATIVE_SERVICE) == "Unknown"

    knative.mark(2, "True")
    knative.rest()

    assert knative.get(ROUTE)["status"]["traffic"][0]["revisionName"] == "iris-00002"
    assert made_ready(knative)


def test_a_failed_new_revision_leaves_the_traffic_where_it_was(knative: Knative) -> None:
    knative.serve("b")
    knative.rest()

    knative.mark(2, "False", "no")
    knative.rest()

    assert knative.reason(ROUTE) == "True"
    assert knative.reason(KNATIVE_SERVICE) == "False RevisionFailed"


def test_a_ready_configuration_with_a_late_route_is_reported(knative: Knative) -> None:
    knative.serve("b")
    knative.rest()
    knative.mark(2, "True")

    knative.run(configuration, knative_service)

    assert knative.reason(KNATIVE_SERVICE) == "Unknown TrafficNotMigrated"


def test_the_split_is_reported_after_its_revision(knative: Knative) -> None:
    """If a Route is faster than its Configuration, its split is not reported yet: it would look like a rollback."""
    knative.serve("b", [{"latestRevision": True, "percent": 10}, split(1, 90)])
    knative.run(knative_service)

    knative.run(route, knative_service)

    status = knative.get(KNATIVE_SERVICE)["status"]
    assert len(knative.get(ROUTE)["status"]["traffic"]) == 2
    assert (status["latestCreatedRevisionName"], len(status["traffic"])) == ("iris-00001", 1)

    knative.run(configuration, knative_service)

    status = knative.get(KNATIVE_SERVICE)["status"]
    assert (status["latestCreatedRevisionName"], len(status["traffic"])) == ("iris-00002", 2)


def test_one_revision_in_two_targets_is_split_in_the_status_and_whole_at_the_gateway(knative: Knative) -> None:
    knative.serve("a", [{"latestRevision": True, "percent": 10}, split(1, 90)])

    knative.rest()

    assert [(t["revisionName"], t["percent"]) for t in knative.get(ROUTE)["status"]["traffic"]] == [
        ("iris-00001", 10), ("iris-00001", 90)]
    assert splits(knative) == {"iris.test.example.com": [("iris-00001", 100)],
                               "prev-iris.test.example.com": [("iris-00001", 100)]}


def splits(knative: Knative) -> dict[str, list[tuple[str, int]]]:
    """The revisions and percents of each public host."""
    return {rule["hosts"][0]: [(s["serviceName"], s["percent"]) for s in rule["http"]["paths"][0]["splits"]]
            for rule in knative.get(INGRESS)["spec"]["rules"] if rule["visibility"] == "ExternalIP"}


@pytest.mark.parametrize(("target", "status", "message"), [
    ({"revisionName": "iris-00007", "percent": 100}, "False RevisionMissing",
     'Revision "iris-00007" referenced in traffic not found.'),
    ({"revisionName": "iris-00002", "percent": 100}, "Unknown RevisionMissing",
     'Revision "iris-00002" is not yet ready.'),
])
def test_a_target_that_cannot_serve_stops_the_route_but_not_the_gateway(
        knative: Knative, target: Object, status: str, message: str) -> None:
    before = knative.get(INGRESS)["spec"]
    knative.serve("b")
    knative.rest()

    knative.serve("b", [target])
    knative.rest()

    assert knative.reason(ROUTE, "AllTrafficAssigned") == status
    assert condition(knative.get(ROUTE), "AllTrafficAssigned")["message"] == message
    assert knative.get(INGRESS)["spec"] == before


def test_a_revision_of_another_service_is_refused(knative: Knative) -> None:
    found = knative.get(REVISION, "iris-00001")
    found["metadata"]["labels"]["serving.knative.dev/service"] = "other"
    knative.store.update(REVISION, found)
    asked = {**knative.get(ROUTE), "spec": {"traffic": [split(1, 100)]}}

    with pytest.raises(BadTargetError, match='"iris-00001" belongs to Service "other", not Service "iris"'):
        resolve(asked, knative.store)


def test_placeholder_services_follow_the_tags(knative: Knative) -> None:
    knative.serve("a", [{"latestRevision": True, "percent": 100, "tag": "latest"}])
    knative.rest()

    assert [s["metadata"]["name"] for s in knative.store.list(SERVICE, NS)] == ["iris", "latest-iris"]
    assert knative.get(SERVICE, "latest-iris")["spec"]["externalName"] == \
        "kourier-internal.kourier-system.svc.cluster.local"

    knative.serve("a", [{"latestRevision": True, "percent": 100}])
    knative.rest()

    assert [s["metadata"]["name"] for s in knative.store.list(SERVICE, NS)] == ["iris"]


def test_a_name_in_use_by_another_owner_is_reported() -> None:
    made = Knative()
    made.store.create(SERVICE, {"metadata": {"name": NAME, "namespace": NS},
                                "spec": {"ports": [{"port": 80}]}})
    made.serve()
    made.rest()

    made.mark(1, "True")
    made.rest()

    assert made.reason(ROUTE) == "False NotOwned"
    assert condition(made.get(ROUTE), "IngressReady")["message"] == \
        'There is an existing placeholder Service "iris" that we do not own.'


def test_a_cluster_local_service_has_no_host_outside() -> None:
    made = Knative()
    made.serve(labels={"networking.knative.dev/visibility": "cluster-local"})
    made.rest()
    made.mark(1, "True")
    made.rest()

    assert made.get(ROUTE)["status"]["url"] == "http://iris.test.svc.cluster.local"
    assert {rule["visibility"] for rule in made.get(INGRESS)["spec"]["rules"]} == {"ClusterLocal"}


def test_a_tag_that_makes_the_host_too_long_is_refused(knative: Knative) -> None:
    knative.serve("a", [{"latestRevision": True, "percent": 100, "tag": "t" * 60}])
    knative.rest()

    assert knative.reason(ROUTE) == "False ErrorConfig"


def test_a_revision_is_active_while_it_is_named_at_any_percent_and_reserve_later(knative: Knative) -> None:
    knative.serve("b", [{"latestRevision": True, "percent": 0}, split(1, 100)])
    knative.rest()
    assert states(knative) == {"iris-00001": "active", "iris-00002": "active"}

    knative.mark(2, "True")
    knative.rest()
    assert states(knative) == {"iris-00001": "active", "iris-00002": "active"}

    knative.serve("b", [{"latestRevision": True, "percent": 100}])
    knative.now += 10
    knative.rest()
    assert states(knative) == {"iris-00001": "reserve", "iris-00002": "active"}
    annotations = knative.get(REVISION, "iris-00001")["metadata"]["annotations"]
    assert annotations["serving.knative.dev/routingStateModified"] == utc(NOW + 10)
    assert "serving.knative.dev/routes" not in annotations


def states(knative: Knative) -> dict[str, str]:
    return {r["metadata"]["name"]: r["metadata"]["labels"]["serving.knative.dev/routingState"]
            for r in knative.store.list(REVISION, NS)}


def test_a_deleted_route_lets_its_revisions_go(knative: Knative) -> None:
    knative.store.delete(ROUTE, NS, NAME)

    knative.run(labeler)

    assert knative.store.find(ROUTE, NS, NAME) is None
    assert states(knative) == {"iris-00001": "reserve"}


def test_a_lost_latest_ready_revision_gives_way_to_the_one_before(knative: Knative) -> None:
    knative.serve("b")
    knative.rest()
    knative.mark(2, "True")
    knative.rest()

    knative.store.delete(REVISION, NS, "iris-00002")
    knative.run(configuration)

    status = knative.get(CONFIGURATION)["status"]
    assert (status["latestCreatedRevisionName"], status["latestReadyRevisionName"]) == ("iris-00002", "iris-00001")


def test_old_revisions_in_reserve_are_collected_down_to_twenty(knative: Knative) -> None:
    first = knative.get(REVISION, "iris-00001")
    for number in range(2, 27):
        meta = {**first["metadata"], "name": f"iris-{number:05d}", "labels": {
            **first["metadata"]["labels"], "serving.knative.dev/routingState": "reserve"}, "annotations": {
            "serving.knative.dev/routingStateModified": utc(NOW + number)}}
        meta.pop("resourceVersion")
        knative.store.create(REVISION, {"metadata": meta, "spec": first["spec"]})

    knative.run(revision_gc)
    assert len(knative.store.list(REVISION, NS)) == 26  # none of them has been idle for a long time

    # the revisions have times of the wall clock, and were put in reserve at times of the test's clock
    knative.now = max(NOW + 100, datetime.now(UTC).timestamp()) + 49 * 3600
    changes = knative.run(revision_gc)

    left = [r["metadata"]["name"] for r in knative.store.list(REVISION, NS)]
    assert left == ["iris-00001", *(f"iris-{number:05d}" for number in range(7, 27))]
    assert changes.requeue_after_s is not None


def named(knative: Knative, name: str | None, image: str) -> None:
    """Create or change the Service, with a name for its revision."""
    template: Object = {"spec": {"containers": [{"image": image}]}, **({"metadata": {"name": name}} if name else {})}
    existing = knative.store.find(KNATIVE_SERVICE, NS, NAME)
    if existing is None:
        knative.store.create(KNATIVE_SERVICE, {
            "metadata": {"name": NAME, "namespace": NS}, "spec": {"template": template}})
    else:
        knative.store.update(KNATIVE_SERVICE, {**existing, "spec": {"template": template}})
    knative.rest()


def test_a_template_may_name_its_revision() -> None:
    knative = Knative()
    named(knative, f"{NAME}-blue", "example.com/web:a")
    named(knative, None, "example.com/web:b")
    named(knative, f"{NAME}-green", "example.com/web:c")

    assert [r["metadata"]["name"] for r in knative.store.list(REVISION, NS)] == [
        f"{NAME}-00002", f"{NAME}-blue", f"{NAME}-green"]
    status = knative.store.get(CONFIGURATION, NS, NAME)["status"]
    assert status["latestCreatedRevisionName"] == f"{NAME}-green"


@pytest.mark.parametrize(("name", "words"), [
    (f"{NAME}-blue", "Saw the following changes without a name change"),
    ("other", f'"other" must have prefix "{NAME}-": spec.template.metadata.name'),
    (f"{NAME}-UP", "not a DNS 1035 label"),
])
def test_a_name_of_a_revision_that_cannot_be_used_is_refused(name: str, words: str) -> None:
    knative = Knative()
    named(knative, f"{NAME}-blue", "example.com/web:a")

    with pytest.raises(StatusError, match=words):
        named(knative, name, "example.com/web:b")


def test_a_name_that_another_revision_has_fails_the_configuration() -> None:
    knative = Knative()
    named(knative, f"{NAME}-blue", "example.com/web:a")
    named(knative, f"{NAME}-green", "example.com/web:b")
    named(knative, f"{NAME}-blue", "example.com/web:c")

    ready = condition(knative.store.get(CONFIGURATION, NS, NAME), "Ready")
    assert (ready["status"], ready["message"]) == (
        "False", f'Revision creation failed with message: revisions.serving.knative.dev "{NAME}-blue" already exists.')
