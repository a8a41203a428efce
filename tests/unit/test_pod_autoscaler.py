"""PodAutoscalers: scaling to zero and from zero, bounds, windows, and more pods under load."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kserve_nb.clusters.embedded.apimachinery.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    POD,
    POD_AUTOSCALER,
    REVISION,
    SERVERLESS_SERVICE,
)
from kserve_nb.clusters.embedded.apimachinery.objects import Settings, condition
from kserve_nb.clusters.embedded.control.knative.autoscaling.autoscaler import (
    Memory,
    Sample,
    Scaling,
    activators,
    decide,
    observe,
    scaling_of,
)
from kserve_nb.clusters.embedded.control.knative.autoscaling.autoscaling_options import Options
from kserve_nb.clusters.embedded.control.knative.autoscaling.scaler import Bounds
from tests.unit.revision_world import MODULES, TWO, make_world, pods, ready, route, start
from tests.unit.world import DATA, NS, World, conditions_of


def terminating(world: World) -> list[str]:
    return [p["metadata"]["name"] for p in world.objects.list(POD, NS) if "deletionTimestamp" in p["metadata"]]


def seconds_until_terminating(world: World, most_s: float = 200) -> float:
    for step in range(int(most_s * 2)):
        if terminating(world):
            return step / 2
        world.pass_s(0.5)
    raise AssertionError("no pod was ended")


def replicas(world: World) -> int:
    return int(world.find(DEPLOYMENT, TWO)["spec"]["replicas"])


def test_a_revision_that_may_have_none_loses_its_pod_a_stable_window_after_it_got_ready() -> None:
    world = ready(min_scale="0")

    assert 60 <= seconds_until_terminating(world) <= 61
    assert condition(world.find(REVISION, TWO), "Ready")["status"] == "True"
    assert condition(world.find(REVISION, TWO), "Active")["reason"] == "NoTraffic"


@pytest.mark.slow
def test_a_revision_loses_its_last_pod_a_stable_window_after_its_last_request() -> None:
    world = ready(min_scale="0")
    for count in range(1, 50):
        world.traffic(TWO, requests=count, rps=0.5, concurrency=0.0)
        world.pass_s(2)
    assert not terminating(world)
    world.traffic(TWO, rps=0.0)

    assert 58 <= seconds_until_terminating(world) <= 64


def test_a_long_request_keeps_its_pod() -> None:
    world = ready(min_scale="0")

    world.traffic(TWO, requests=1, concurrency=1.0)
    world.pass_s(290)

    assert not terminating(world)


def test_an_unreferenced_revision_that_is_idle_loses_its_pod_at_once() -> None:
    world = ready()
    world.pass_s(100)

    route(world, TWO, "reserve")

    assert len(terminating(world)) == 1


def test_an_unreferenced_revision_with_recent_requests_keeps_its_pod_for_the_rest_of_the_window() -> None:
    world = ready()
    world.pass_s(100)
    world.traffic(TWO, requests=5, rps=2.5, concurrency=0.1)
    world.pass_s(2)
    world.traffic(TWO, rps=0.0, concurrency=0.0)
    world.pass_s(10)

    route(world, TWO, "reserve")

    assert 45 <= seconds_until_terminating(world) <= 52


def test_a_referenced_revision_keeps_its_pod_without_any_request_for_ever() -> None:
    world = ready()

    world.pass_s(7200)

    assert len(pods(world)) == 1
    assert not world.is_waiting()


def test_a_settled_unreferenced_revision_has_the_recorded_status() -> None:
    world = ready()
    world.pass_s(100)
    route(world, TWO, "reserve")
    world.run_pods()

    wanted = json.loads((DATA / "stages.json").read_text())["scaled to zero"]
    for kind in (REVISION, POD_AUTOSCALER, SERVERLESS_SERVICE):
        assert conditions_of(world.find(kind, TWO)["status"]) == conditions_of(wanted[kind.kind])
    status = world.find(POD_AUTOSCALER, TWO)["status"]
    assert (status["desiredScale"], status["actualScale"]) == (0, 0)
    version = world.objects.store.version
    world.pass_s(3600)
    assert world.objects.store.version == version


def test_a_held_request_starts_a_pod_from_none_at_once() -> None:
    world = ready(min_scale="0")
    world.pass_s(100)
    world.run_pods()
    assert not pods(world)

    world.traffic(TWO, requests=0, waiting=1)
    world.settle()

    assert len(pods(world)) == 1
    active = condition(world.find(POD_AUTOSCALER, TWO), "Active")
    assert (active["status"], active["reason"]) == ("Unknown", "Queued")
    assert condition(world.find(REVISION, TWO), "Ready")["status"] == "True"


def test_a_revision_that_is_referenced_again_gets_its_pod_back() -> None:
    world = ready()
    world.pass_s(100)
    route(world, TWO, "reserve")
    world.run_pods()
    assert not pods(world)

    route(world, TWO, "active")

    assert len(pods(world)) == 1
    world.run_pods()
    assert condition(world.find(POD_AUTOSCALER, TWO), "Ready")["status"] == "True"


def test_the_last_pod_stays_for_the_grace_period_after_the_activator_has_taken_over() -> None:
    world = ready(min_scale="0", target="1000")  # one such pod can serve any burst, so the activator is not needed
    assert world.find(SERVERLESS_SERVICE, TWO)["spec"]["mode"] == "Serve"

    world.pass_s(61)
    assert world.find(SERVERLESS_SERVICE, TWO)["spec"]["mode"] == "Proxy"
    assert condition(world.find(REVISION, TWO), "Active")["status"] == "False"

    assert 28 <= seconds_until_terminating(world) <= 31


def test_windows_are_divided_by_the_speed() -> None:
    world = World((r for module in MODULES for r in module.RECONCILERS), settings=Settings(speed=10, node="lab"))
    start(world, min_scale="0")
    world.run_pods()

    assert 6 <= seconds_until_terminating(world) <= 6.5


def test_a_request_that_comes_while_the_pod_ends_brings_another() -> None:
    world = ready(min_scale="0")
    seconds_until_terminating(world)

    world.traffic(TWO, waiting=1)
    world.settle()

    assert len(terminating(world)) == 1
    assert len(pods(world)) == 1


@pytest.mark.slow
def test_load_brings_more_pods_and_its_end_takes_them_away() -> None:
    world = make_world(cpu="16")
    start(world, target="10", max_scale="4")
    world.run_pods()

    for count in range(1, 20):
        world.traffic(TWO, requests=count * 60, rps=30.0, concurrency=30.0)
        world.pass_s(2)
        world.run_pods()
    assert replicas(world) == 4  # 30 / (10 × 70 %) is 5: one more than allowed

    world.traffic(TWO, rps=0.0, concurrency=0.0)
    for _ in range(100):
        world.pass_s(2)
        world.run_pods()
    assert replicas(world) == 1


def test_requests_per_second_can_be_the_metric() -> None:
    world = make_world(cpu="16")
    start(world, metric="rps", target="10")
    world.run_pods()

    for count in range(1, 20):
        world.traffic(TWO, requests=count * 30, rps=15.0, concurrency=0.1)
        world.pass_s(2)
        world.run_pods()

    assert replicas(world) == 3


def test_a_minimum_of_two_is_two_pods() -> None:
    world = ready(min_scale="2")

    assert replicas(world) == 2
    world.run_pods()
    assert world.find(POD_AUTOSCALER, TWO)["status"]["actualScale"] == 2


def test_a_retention_period_keeps_the_last_pod_longer() -> None:
    world = ready(min_scale="0", scale_to_zero_pod_retention_period="2m")

    assert 175 <= seconds_until_terminating(world) <= 185


@pytest.mark.parametrize(("pods_ready", "wanted"), [(0, 3), (1, 4), (2, 5)])
def test_activators_stand_before_a_revision_as_recorded(pods_ready: int, wanted: int) -> None:
    assert activators(pods_ready, Scaling("concurrency", 70.0, 100.0, 60.0, True)) == wanted


def test_a_sudden_load_starts_panic_mode_before_the_stable_window_shows_it() -> None:
    scaling = Scaling("concurrency", 7.0, 10.0, 60.0, True)
    memory = Memory((Sample(0.0, 0.0, 0.0), Sample(94.0, 70.0, 0.0)))

    decision, memory = decide(memory, scaling, 1, 100.0)

    assert decision.pods == 10
    assert memory.panic_since == 100.0
    later, _ = decide(observe(memory, {"concurrency": 0.0}, 10, 60.0, 101.0), scaling, 10, 120.0)
    assert later.pods == 10  # no pod is removed during that time


SETTINGS = Settings(speed=1)
AUTOSCALER = {"metadata": {"annotations": {"autoscaling.knative.dev/metric": "concurrency"}}, "spec": {}}


@pytest.mark.parametrize(("annotations", "config", "expected"), [
    ({}, {}, {"total": 100.0, "target": 70.0, "window_s": 60.0, "burst_capacity": 211.0}),
    ({}, {"container-concurrency-target-default": "10", "container-concurrency-target-percentage": "0.5"},
     {"total": 10.0, "target": 5.0}),
    ({"target": "20"}, {"container-concurrency-target-default": "10"}, {"total": 20.0, "target": 14.0}),
    ({"targetUtilizationPercentage": "50"}, {}, {"target": 50.0}),
    ({"panicWindowPercentage": "20"}, {"panic-threshold-percentage": "300"},
     {"panic_window_percent": 20.0, "panic_threshold_percent": 300.0}),
    ({"window": "30s"}, {"stable-window": "90s"}, {"window_s": 30.0}),
    ({}, {"stable-window": "90s", "scale-down-delay": "1m"}, {"window_s": 90.0, "down_delay_s": 60.0}),
    ({"scaleDownDelay": "2m", "activation-scale": "3", "target-burst-capacity": "-1"}, {},
     {"down_delay_s": 120.0, "activation_scale": 3, "burst_capacity": -1.0}),
    ({}, {"max-scale-up-rate": "2", "max-scale-down-rate": "4"}, {"up_rate": 2.0, "down_rate": 4.0}),
])
def test_options_come_from_annotations_in_both_spellings_and_from_the_config_map(
        annotations: dict[str, str], config: dict[str, str], expected: dict[str, float]) -> None:
    options = Options({f"autoscaling.knative.dev/{name}": value for name, value in annotations.items()}, config)

    scaling = scaling_of(AUTOSCALER, options, SETTINGS)

    assert {name: getattr(scaling, name) for name in expected} == pytest.approx(expected)


def test_a_delay_holds_the_number_of_pods_until_it_has_passed() -> None:
    scaling = Scaling("concurrency", 10.0, 10.0, 60.0, True, down_delay_s=30.0)
    memory = Memory((Sample(0.0, 50.0, 0.0), Sample(60.0, 0.0, 0.0)))

    first, memory = decide(memory, scaling, 5, 60.0)
    held, memory = decide(memory, scaling, 5, 145.0)
    again, memory = decide(Memory.of({"status": memory.to_status()}), scaling, 5, 170.0)
    later, _ = decide(memory, scaling, 5, 176.0)

    assert [first.pods, held.pods, held.pending, again.pods, later.pods] == [5, 5, True, 5, 2]


def test_a_revision_that_gets_requests_has_at_least_its_activation_scale() -> None:
    scaling = Scaling("concurrency", 10.0, 10.0, 60.0, True, activation_scale=4)

    busy, _ = decide(Memory((Sample(0.0, 1.0, 0.0),)), scaling, 1, 10.0)
    idle, _ = decide(Memory((Sample(0.0, 0.0, 0.0),)), scaling, 1, 10.0)

    assert (busy.pods, idle.pods) == (4, 0)


@pytest.mark.parametrize(("burst", "excess", "wanted"), [(0.0, 0, 2), (-1.0, -1, 3), (100.0, 200, 4)])
def test_the_burst_capacity_decides_whether_the_activator_is_used(burst: float, excess: int, wanted: int) -> None:
    scaling = Scaling("concurrency", 70.0, 100.0, 60.0, True, burst_capacity=burst)

    decision, _ = decide(Memory((Sample(0.0, 0.0, 0.0),)), scaling, 3, 10.0)

    assert (decision.excess_burst_capacity, activators(3, scaling)) == (excess, wanted)


@pytest.mark.parametrize(("data", "wanted"), [
    ({"initial-scale": "3"}, 3), ({"enable-scale-to-zero": "false"}, 1), ({}, 0)])
def test_the_cluster_has_bounds_of_the_scale(data: dict[str, str], wanted: int) -> None:
    world = make_world(cpu="64")
    world.objects.create(CONFIG_MAP, {
        "metadata": {"name": "config-autoscaler", "namespace": "knative-serving"}, "data": data})

    start(world, min_scale="0")
    if "initial-scale" not in data:
        world.run_pods()
        world.pass_s(300)
        world.run_pods()

    assert replicas(world) == wanted


def test_bounds_have_an_old_spelling_and_defaults() -> None:
    annotated = Bounds.of(AUTOSCALER, Options({"autoscaling.knative.dev/minScale": "2",
                                               "autoscaling.knative.dev/maxScale": "5"}, {"min-scale": "1"}))
    configured = Bounds.of(AUTOSCALER, Options({}, {"min-scale": "1", "max-scale": "3", "initial-scale": "2"}))

    assert (annotated, configured) == (Bounds(2, 5, 1), Bounds(1, 3, 2))


@settings(max_examples=15, deadline=None)
@given(
    least=st.integers(0, 3), most=st.integers(0, 5), target=st.integers(1, 20),
    steps=st.lists(st.tuples(st.floats(0, 30), st.integers(0, 100), st.sampled_from(["active", "reserve"]),
                             st.floats(0.1, 70)), max_size=4))
@pytest.mark.slow
def test_the_scale_is_always_within_its_bounds_and_ends_at_the_least(
        least: int, most: int, target: int, steps: list[tuple[float, int, str, float]]) -> None:
    most = most and max(most, least)
    world = make_world(cpu="64")
    start(world, min_scale=str(least), max_scale=str(most), target=str(target))
    world.run_pods()
    requests, state = 0, "active"
    for concurrency, new, state, seconds in steps:
        requests += new
        route(world, TWO, state)
        world.traffic(TWO, requests=requests, rps=float(new), concurrency=round(concurrency, 1))
        world.pass_s(seconds)
        world.run_pods()
        if state == "active":
            assert replicas(world) >= least
        assert not most or replicas(world) <= most

    world.traffic(TWO, rps=0.0, concurrency=0.0)
    for _ in range(8):
        world.pass_s(40)
        world.run_pods()
    assert replicas(world) == (least if state == "active" else 0)
    world.pass_s(700)  # the deadlines of the last starts
    assert not world.is_waiting()
    assert world.refused == []
