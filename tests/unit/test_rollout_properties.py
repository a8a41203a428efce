"""Properties that hold during and after any sequence of actions of users and machines."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kserve_nb.clusters.embedded.apimachinery.kinds import (
    EVENT,
    INFERENCE_SERVICE,
    INGRESS,
    KINDS,
    NODE,
    POD,
    REVISION,
    ROUTE,
)
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object, condition, is_true
from kserve_nb.clusters.embedded.control.knative.configuration import is_ready
from tests.unit.simulator import BROKEN, MODEL, MODEL_2, NAME, NS, Simulator, isvc

pytestmark = pytest.mark.slow

TAG = "serving.kserve.io/enable-tag-routing"
Action = Callable[[Simulator], object]


def apply(uri: str, percent: int | None, tagged: bool, wait_s: float) -> Action:
    def act(cluster: Simulator) -> None:
        cluster.apply(isvc(uri, percent, {TAG: "true" if tagged else ""}))
        cluster.settle(wait_s)
    return act


def lose_a_pod(cluster: Simulator) -> None:
    for pod in cluster.store.list(POD, NS)[:1]:
        cluster.store.delete(POD, NS, pod["metadata"]["name"], grace_period_s=0)
    cluster.settle(1)


def restart(cluster: Simulator) -> None:
    cluster.restart()
    cluster.settle(0.2)


URIS = st.sampled_from([MODEL, MODEL_2, "gs://a/third", BROKEN])
PERCENTS = st.sampled_from([None, 0, 10, 50, 100, 101, -1])
WAITS_S = st.sampled_from([0.0, 0.15, 0.6, 5.0, 100.0])
ACTIONS = st.one_of(st.builds(apply, URIS, PERCENTS, st.booleans(), WAITS_S), st.just(lose_a_pod), st.just(restart))


class Watcher:
    """Checks every version of every object as it is stored."""

    def __init__(self, cluster: Simulator):
        self._cluster = cluster
        cluster.on_change = self.check

    def check(self, kind: Kind, obj: Object) -> None:
        if kind is INGRESS:
            for rule in obj["spec"]["rules"]:
                splits = rule["http"]["paths"][0]["splits"]
                self._check_split([(s["serviceName"], s["percent"]) for s in splits])
        if kind in (ROUTE, INFERENCE_SERVICE):
            status = obj.get("status") or {}
            part = (status.get("components") or {}).get("predictor") or status
            self._check_split([(t["revisionName"], t["percent"]) for t in part.get("traffic") or []])

    def _check_split(self, split: list[tuple[str, int]]) -> None:
        assert not split or sum(percent for _, percent in split) == 100, split
        for name, _ in split:
            revision = self._cluster.store.find(REVISION, NS, name)
            assert revision is not None and is_ready(revision), f"{name} gets traffic and is not ready"


def stored(cluster: Simulator) -> dict[str, Object]:
    """All objects by name, without Events and the node's heartbeat.

    An InferenceService reports the number of ready pods only when something else causes a reconciliation.
    """
    found: dict[str, Object] = {}
    for kind in KINDS:
        for obj in cluster.store.list(kind) if kind not in (EVENT, NODE) else ():
            del obj["metadata"]["resourceVersion"]
            if kind is INFERENCE_SERVICE:
                obj["status"]["modelStatus"]["copies"].pop("totalCopies", None)
            found[f"{kind.kind}/{obj['metadata']['name']}"] = obj
    return found


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(actions=st.lists(ACTIONS, min_size=1, max_size=6))
def test_traffic_sums_to_100_and_goes_to_ready_revisions(actions: list[Action]) -> None:
    cluster = Simulator()
    Watcher(cluster)
    cluster.apply(isvc(MODEL))
    cluster.settle(3)

    for action in actions:
        action(cluster)
    cluster.settle(1400)  # beyond the progress deadline of a revision that is broken, and what follows it

    route = cluster.store.get(ROUTE, NS, f"{NAME}-predictor")
    assert is_true(route, "Ready"), route["status"]
    assert condition(cluster.isvc(), "Ready")["status"] in ("True", "False")

    before = stored(cluster)
    cluster.restart()
    cluster.settle(1)

    assert stored(cluster) == before
