"""Gradual rollouts: the calculation of their steps, and a Route that follows them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kserve_nb.clusters.embedded.apimachinery.kinds import INGRESS, ROUTE
from kserve_nb.clusters.embedded.apimachinery.objects import condition
from kserve_nb.clusters.embedded.control.knative import gradual_rollout
from kserve_nb.clusters.embedded.control.knative.gradual_rollout import NANO, Configuration, Share, Step
from kserve_nb.clusters.embedded.control.knative.traffic_targets import RevisionTarget, Traffic
from tests.unit.simulator import MODEL, MODEL_2, NAME, NS, Simulator, isvc

pytestmark = pytest.mark.slow

DURATION = {"serving.knative.dev/rollout-duration": "100s"}
NAMES = st.sampled_from(["r1", "r2", "r3", "r4"])


def of(*shares: tuple[str, int], step: Step | None = None) -> gradual_rollout.Rollout:
    """The rollout of one Configuration."""
    held = tuple(Share(*share) for share in shares)
    return (Configuration("c", "", sum(s.percent for s in held), held, step or Step()),)


def test_the_annotation_is_written_as_go_writes_it_and_read_back() -> None:
    going = of(("r1", 90), ("r2", 10), step=Step(5, 7, 2, 10))

    text = gradual_rollout.to_json(going)

    assert text == ('{"configurations":[{"configurationName":"c","percent":100,"revisions":[{"revisionName":"r1",'
                    '"percent":90},{"revisionName":"r2","percent":10}],"stepParams":{"starttime":5,"nextStepTime":7,'
                    '"stepDuration":2,"stepSize":10}}]}')
    assert gradual_rollout.from_json(text) == going
    assert gradual_rollout.to_json(()) == "{}"


@pytest.mark.parametrize("text", [
    "", "{", "[]", "null", '{"configurations":[{}]}',
    '{"configurations":[{"configurationName":"c","percent":100,"revisions":[{"revisionName":"r1","percent":9}]}]}'])
def test_an_annotation_that_does_not_add_up_counts_as_none(text: str) -> None:
    assert gradual_rollout.from_json(text) == ()


def test_a_new_revision_begins_with_one_percent_of_its_predecessor() -> None:
    going, due = gradual_rollout.advance(of(("r2", 100)), of(("r1", 100)), now=3 * NANO)

    assert going == of(("r1", 99), ("r2", 1), step=Step(start=3 * NANO))
    assert due == 0  # the steps are planned after the gateway serves the first one


def test_the_steps_fill_the_duration_once_the_gateway_is_ready() -> None:
    began = of(("r1", 99), ("r2", 1), step=Step(start=NANO))

    planned = gradual_rollout.observe_ready(began, now=3 * NANO, duration_s=100)

    # two seconds a step: what is left of the duration, in 49 steps of 2 %
    assert planned == of(("r1", 99), ("r2", 1), step=Step(NANO, 5 * NANO, 2 * NANO, 2))


def test_a_faster_cluster_takes_the_same_steps_in_less_time() -> None:
    began = of(("r1", 99), ("r2", 1), step=Step(start=NANO))

    planned = gradual_rollout.observe_ready(began, now=int(1.2 * NANO), duration_s=100, second=0.1)

    assert planned == of(("r1", 99), ("r2", 1), step=Step(NANO, int(1.4 * NANO), int(0.2 * NANO), 2))


def test_a_third_revision_joins_a_rollout_under_way() -> None:
    going, _ = gradual_rollout.advance(of(("r3", 100)), of(("r1", 60), ("r2", 40), step=Step(1, 2, 1, 10)), now=9)

    assert going == of(("r1", 60), ("r2", 39), ("r3", 1), step=Step(start=9))


@given(shares=st.lists(st.integers(1, 40), min_size=1, max_size=3), percent=st.integers(2, 100), new=st.booleans(),
       size=st.integers(0, 30), now=st.integers(0, 20))
def test_every_step_distributes_exactly_the_requested_percent(
        shares: list[int], percent: int, new: bool, size: int, now: int) -> None:
    before = of(*((f"r{i}", p) for i, p in enumerate(shares)), step=Step(1, 10, 5, size))
    latest = f"r{len(shares) - (0 if new else 1)}"

    going, _ = gradual_rollout.advance(of((latest, percent)), before, now)

    held = going[0].shares
    assert sum(share.percent for share in held) == percent
    assert all(share.percent > 0 for share in held)
    assert held[-1].revision == latest


@given(percent=st.integers(2, 100), duration_s=st.integers(1, 600), took_s=st.floats(0, 20))
def test_a_rollout_comes_to_an_end_in_about_its_duration(percent: int, duration_s: int, took_s: float) -> None:
    wanted, now = of(("r2", percent)), int(took_s * NANO)
    going, _ = gradual_rollout.advance(wanted, of(("r1", percent)), 1)
    going = gradual_rollout.observe_ready(going, now, duration_s)

    for _ in range(101):
        going, due = gradual_rollout.advance(wanted, going, now)
        now = max(now, due)

    assert going == wanted
    # a step is a whole percent, at least: rounded down it can take half as many again
    assert now <= (took_s + 2 * max(duration_s, took_s) + 2) * NANO


def test_groups_without_latest_revision_or_traffic_have_no_rollout() -> None:
    named = RevisionTarget("r1", "c", 100, latest=False, tag="prev")
    latest = RevisionTarget("r2", "c", 0, latest=True)
    traffic = Traffic((latest, named), {"": (latest, named), "prev": (named,)})

    assert gradual_rollout.current(traffic) == ()


def test_a_route_moves_traffic_step_by_step_and_is_unknown_meanwhile() -> None:
    cluster = Simulator()
    cluster.apply(isvc(MODEL, annotations=DURATION))
    cluster.settle(5)
    cluster.path()

    cluster.apply(isvc(MODEL_2, annotations=DURATION))
    cluster.settle(20)

    route = cluster.store.get(ROUTE, NS, f"{NAME}-predictor")
    assert condition(route, "Ready")["reason"] == "RolloutInProgress"
    assert [(t["revisionName"][-1], t["percent"], t["latestRevision"]) for t in route["status"]["traffic"]] == [
        ("1", 82, True), ("2", 18, True)]
    splits = cluster.store.get(INGRESS, NS, f"{NAME}-predictor")["spec"]["rules"][0]["http"]["paths"][0]["splits"]
    assert [(s["serviceName"][-1], s["percent"]) for s in splits] == [("1", 82), ("2", 18)]

    cluster.settle(120)

    assert cluster.brief() == "True c2 r2 L2 P1 r2:100"
    shares = [int(state.split("r2:")[1].split()[0]) for state in cluster.path() if "c2" in state and "r2:" in state]
    assert shares == sorted(shares)
