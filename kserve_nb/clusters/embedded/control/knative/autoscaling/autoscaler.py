"""The arithmetic of Knative's autoscaler: how many pods a revision needs for its recent requests.

Source: knative serving pkg/autoscaler/scaling/autoscaler.go `Scale`, pkg/autoscaler/metrics (windows),
pkg/reconciler/autoscaling/resources/target.go `ResolveMetricTarget`, and kpa/resources/decider.go `MakeDecider`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from kserve_nb.clusters.embedded.apimachinery.objects import Object, Settings
from kserve_nb.clusters.embedded.control.knative.autoscaling.autoscaling_options import Options
from kserve_nb.values.labels import AUTOSCALING

STABLE_WINDOW_S = 60.0
PANIC_WINDOW_PERCENT, PANIC_THRESHOLD_PERCENT = 10.0, 200.0
MAX_SCALE_UP_RATE, MAX_SCALE_DOWN_RATE = 1000.0, 2.0
CONCURRENCY_TARGET, RPS_TARGET, TARGET_UTILIZATION = 100.0, 200.0, 0.7
TARGET_BURST_CAPACITY, ACTIVATOR_CAPACITY, MIN_ACTIVATORS = 211.0, 100.0, 2
_MIN_TARGET = 0.01
# A request that begins and ends between two observations counts as this much concurrency.
_MIN_METRIC = 0.01


@dataclass(frozen=True)
class Scaling:
    """The autoscaling parameters of a revision (decider.go `MakeDecider`)."""

    metric: str  # concurrency or rps
    target: float  # desired value of the metric per pod
    total: float  # maximum of the metric per pod
    window_s: float  # the stable window, at the cluster's speed
    reachable: bool
    panic_window_percent: float = PANIC_WINDOW_PERCENT
    panic_threshold_percent: float = PANIC_THRESHOLD_PERCENT
    up_rate: float = MAX_SCALE_UP_RATE
    down_rate: float = MAX_SCALE_DOWN_RATE
    burst_capacity: float = TARGET_BURST_CAPACITY  # -1: unlimited
    activator_capacity: float = ACTIVATOR_CAPACITY
    activation_scale: int = 0  # the least number of pods for a revision that gets requests
    down_delay_s: float = 0.0  # at the cluster's speed


@dataclass(frozen=True)
class Sample:
    """The metrics from a point in time until the next sample."""

    at: float
    concurrency: float
    rps: float


@dataclass(frozen=True)
class Memory:
    """The data that the autoscaler stores about a revision between two decisions, in its Decider object."""

    samples: tuple[Sample, ...] = ()
    requests: int = 0
    panic_since: float | None = None
    panic_pods: int = 0
    decisions: tuple[tuple[float, int], ...] = ()  # changes of the number of pods, as far back as the scale-down delay
    active: str = ""  # the status of the condition Active and its beginning, more precise than whole seconds
    active_since: float = 0.0

    @classmethod
    def of(cls, decider: Object | None) -> Memory:
        """The memory that a Decider stores; empty without a Decider."""
        status = (decider or {}).get("status") or {}
        samples = tuple(Sample(*one) for one in status.get("samples", []))
        decisions = tuple((at, pods) for at, pods in status.get("decisions", []))
        return cls(samples, status.get("requests", 0), status.get("panicSince"), status.get("panicPods", 0),
                   decisions, status.get("active", ""), status.get("activeSince", 0.0))

    def to_status(self) -> Object:
        """The status of its Decider."""
        status: Object = {"samples": [[s.at, s.concurrency, s.rps] for s in self.samples], "requests": self.requests,
                          "active": self.active, "activeSince": self.active_since}
        if self.panic_since is not None:
            status |= {"panicSince": self.panic_since, "panicPods": self.panic_pods}
        if self.decisions:
            status["decisions"] = [list(decision) for decision in self.decisions]
        return status


@dataclass(frozen=True)
class Decision:
    """The desired number of pods (-1: no metrics yet), and the capacity for bursts beyond the configured reserve."""

    pods: int
    excess_burst_capacity: int
    pending: bool  # whether the decision may change without new requests


def scaling_of(autoscaler: Object, options: Options, settings: Settings) -> Scaling:
    """Read the autoscaling parameters from a PodAutoscaler."""
    metric = options.annotations.get(f"{AUTOSCALING}metric", "concurrency")
    concurrency = float(autoscaler["spec"].get("containerConcurrency") or 0)
    if metric == "rps":
        total, utilization = options.number("", "requests-per-second-target-default", RPS_TARGET), TARGET_UTILIZATION
    else:
        total = concurrency or options.number("", "container-concurrency-target-default", CONCURRENCY_TARGET)
        percent = options.number("", "container-concurrency-target-percentage", TARGET_UTILIZATION * 100)
        utilization = percent / 100 if percent > 1 else percent
    annotated = options.number("target", "", -1)
    if annotated >= 0:
        total = min(annotated, concurrency) if metric == "concurrency" and concurrency else annotated
    utilization = options.number("target-utilization-percentage", "", utilization * 100) / 100
    return Scaling(
        metric, max(_MIN_TARGET, total * utilization), total,
        settings.window_s(options.seconds("window", "stable-window", STABLE_WINDOW_S)),
        autoscaler["spec"].get("reachability") != "Unreachable",
        options.number("panic-window-percentage", "panic-window-percentage", PANIC_WINDOW_PERCENT),
        options.number("panic-threshold-percentage", "panic-threshold-percentage", PANIC_THRESHOLD_PERCENT),
        options.number("", "max-scale-up-rate", MAX_SCALE_UP_RATE),
        options.number("", "max-scale-down-rate", MAX_SCALE_DOWN_RATE),
        options.number("target-burst-capacity", "target-burst-capacity", TARGET_BURST_CAPACITY),
        options.number("", "activator-capacity", ACTIVATOR_CAPACITY),
        options.integer("activation-scale", "", 0),
        settings.window_s(options.seconds("scale-down-delay", "scale-down-delay", 0)))


def observe(memory: Memory, traffic: Object, ready: int, window_s: float, now: float) -> Memory:
    """Add the current status of RevisionTraffic. The first ready pod without requests gives a sample of zero."""
    requests, waiting = int(traffic.get("requests", 0)), float(traffic.get("waiting", 0))
    concurrency, rps = float(traffic.get("concurrency", 0)) + waiting, float(traffic.get("rps", 0))
    if requests > memory.requests or waiting:
        concurrency, rps = max(concurrency, _MIN_METRIC), max(rps, _MIN_METRIC)
    last = memory.samples[-1] if memory.samples else None
    if last is None and not (ready or requests or concurrency):
        return memory
    samples = memory.samples
    if last is None or (last.concurrency, last.rps) != (concurrency, rps):
        samples = (*samples, Sample(now, concurrency, rps))
    return replace(memory, samples=_within(samples, now - window_s), requests=requests)


def decide(memory: Memory, scaling: Scaling, ready: int, now: float) -> tuple[Decision, Memory]:
    """The desired number of pods (`autoscaler.Scale`)."""
    if not memory.samples:
        return Decision(-1, _excess_burst_capacity(scaling, 1, 0), False), memory
    stable = _mean(memory.samples, scaling, scaling.window_s, now)
    panic = _mean(memory.samples, scaling, scaling.window_s * scaling.panic_window_percent / 100, now)
    pods = max(1, ready)
    stable_pods, panic_pods = (_desired(metric, scaling, pods) for metric in (stable, panic))
    over = math.ceil(panic / scaling.target) / pods >= scaling.panic_threshold_percent / 100
    memory = _panic(memory, over, scaling.window_s, now)
    desired = stable_pods
    if memory.panic_since is not None:
        desired = max(stable_pods, panic_pods, memory.panic_pods)
        memory = replace(memory, panic_pods=desired)
    delayed, memory = _delay_scale_down(memory, scaling, desired, now)
    pending = stable > 0 or memory.panic_since is not None or delayed != desired
    return Decision(delayed, _excess_burst_capacity(scaling, ready, panic), pending), memory


def note_active(memory: Memory, active: str, now: float) -> Memory:
    """Store since when the condition Active has had its status."""
    return memory if memory.active == active else replace(memory, active=active, active_since=now)


def activators(ready: int, scaling: Scaling) -> int:
    """The number of activators for that many ready pods (kpa.go `computeNumActivators`)."""
    if scaling.burst_capacity == 0:
        return MIN_ACTIVATORS
    capacity = ready * scaling.total + max(scaling.burst_capacity, 0)
    return max(MIN_ACTIVATORS, math.ceil(capacity / scaling.activator_capacity))


def _desired(metric: float, scaling: Scaling, pods: int) -> int:
    """The number of pods for a value of the metric, no further from the current number than the rates allow."""
    wanted = math.ceil(metric / scaling.target)
    least = math.floor(pods / scaling.down_rate) if scaling.reachable else 0
    desired = min(max(wanted, least), math.ceil(scaling.up_rate * pods))
    return max(desired, scaling.activation_scale) if scaling.activation_scale > 1 and wanted > 0 else desired


def _delay_scale_down(memory: Memory, scaling: Scaling, desired: int, now: float) -> tuple[int, Memory]:
    """The largest number of pods that was desired during the scale-down delay."""
    if not scaling.down_delay_s or not scaling.reachable:
        return desired, replace(memory, decisions=())
    decisions = memory.decisions
    if not decisions or decisions[-1][1] != desired:
        decisions = (*decisions, (now, desired))
    ends = [*(at for at, _ in decisions[1:]), now]
    kept = tuple(decision for decision, end in zip(decisions, ends, strict=True) if end > now - scaling.down_delay_s)
    return max(pods for _, pods in kept), replace(memory, decisions=kept)


def _excess_burst_capacity(scaling: Scaling, ready: int, panic: float) -> int:
    if scaling.burst_capacity <= 0:
        return 0 if scaling.burst_capacity == 0 else -1
    return math.floor(ready * scaling.total - scaling.burst_capacity - panic)


def _panic(memory: Memory, over: bool, window_s: float, now: float) -> Memory:
    if over:
        return replace(memory, panic_since=now)
    if memory.panic_since is not None and memory.panic_since + window_s < now:
        return replace(memory, panic_since=None, panic_pods=0)
    return memory


def _within(samples: tuple[Sample, ...], since: float) -> tuple[Sample, ...]:
    """The samples that cover the time since then: the last one before it and all later ones."""
    first = max((i for i, sample in enumerate(samples) if sample.at <= since), default=0)
    return samples[first:]


def _mean(samples: Iterable[Sample], scaling: Scaling, window_s: float, now: float) -> float:
    """The metric's mean over the window or, if shorter, the time since the first sample."""
    values = [(s.at, s.rps if scaling.metric == "rps" else s.concurrency) for s in samples]
    start, last = max(now - window_s, values[0][0]), values[-1][1]
    if start >= now:
        return last
    ends = [*(at for at, _ in values[1:]), now]
    area = sum(max(0.0, min(end, now) - max(at, start)) * value
               for (at, value), end in zip(values, ends, strict=True))
    return max(round(area / (now - start), 6), min(last, _MIN_METRIC))
