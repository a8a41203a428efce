"""The arithmetic of Knative's autoscaler: how many pods a revision needs for its recent requests.

Source: knative serving pkg/autoscaler/scaling/autoscaler.go `Scale`, pkg/autoscaler/metrics (windows),
pkg/reconciler/autoscaling/resources/target.go `ResolveMetricTarget`; the defaults are those of config-autoscaler.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from kserve_nb.clusters.embedded.apimachinery.durations import parse_duration_s
from kserve_nb.clusters.embedded.apimachinery.objects import Object
from kserve_nb.values.labels import AUTOSCALING

STABLE_WINDOW_S = 60.0
PANIC_WINDOW_PERCENT, PANIC_THRESHOLD_PERCENT = 10.0, 200.0
MAX_SCALE_UP_RATE, MAX_SCALE_DOWN_RATE = 1000.0, 2.0
CONCURRENCY_TARGET, RPS_TARGET, TARGET_UTILIZATION = 100.0, 200.0, 0.7
TARGET_BURST_CAPACITY, ACTIVATOR_CAPACITY = 211.0, 100.0
_MIN_TARGET = 0.01
# A request that begins and ends between two observations counts as this much concurrency.
_MIN_METRIC = 0.01


@dataclass(frozen=True)
class Scaling:
    """The autoscaling parameters of a revision (decider.go `MakeDecider`)."""

    metric: str  # concurrency or rps
    target: float  # of the metric, per pod
    total: float  # maximum of the metric per pod
    window_s: float  # the stable window, at the cluster's speed
    reachable: bool


@dataclass(frozen=True)
class Sample:
    """The metrics from a point in time until the next sample."""

    at: float
    concurrency: float
    rps: float


@dataclass(frozen=True)
class Memory:
    """What the autoscaler stores about a revision between two decisions, in its Decider object."""

    samples: tuple[Sample, ...] = ()
    requests: int = 0
    panic_since: float | None = None
    panic_pods: int = 0
    active: str = ""  # the status of the condition Active and its beginning, more precise than whole seconds
    active_since: float = 0.0

    @classmethod
    def of(cls, decider: Object | None) -> Memory:
        """Read it from a Decider; empty if there is none."""
        status = (decider or {}).get("status") or {}
        samples = tuple(Sample(*one) for one in status.get("samples", []))
        return cls(samples, status.get("requests", 0), status.get("panicSince"), status.get("panicPods", 0),
                   status.get("active", ""), status.get("activeSince", 0.0))

    def to_status(self) -> Object:
        """The status of its Decider."""
        status: Object = {"samples": [[s.at, s.concurrency, s.rps] for s in self.samples], "requests": self.requests,
                          "active": self.active, "activeSince": self.active_since}
        if self.panic_since is not None:
            status |= {"panicSince": self.panic_since, "panicPods": self.panic_pods}
        return status


@dataclass(frozen=True)
class Decision:
    """The desired number of pods (-1: no metrics yet), and the capacity for bursts beyond the configured reserve."""

    pods: int
    excess_burst_capacity: int
    pending: bool  # whether the decision may change without new requests


def scaling_of(autoscaler: Object, speed_window_s: float) -> Scaling:
    """The parameters in a PodAutoscaler's annotations.

    Args:
        speed_window_s: the default stable window at the cluster's speed.
    """
    annotations = autoscaler["metadata"].get("annotations", {})
    metric = annotations.get(f"{AUTOSCALING}metric", "concurrency")
    concurrency = float(autoscaler["spec"].get("containerConcurrency") or 0)
    total = RPS_TARGET if metric == "rps" else concurrency or CONCURRENCY_TARGET
    annotated = _number(annotations.get(f"{AUTOSCALING}target"))
    if annotated is not None:
        total = min(annotated, concurrency) if metric == "concurrency" and concurrency else annotated
    percent = _number(annotations.get(f"{AUTOSCALING}target-utilization-percentage"))
    utilization = TARGET_UTILIZATION if percent is None else percent / 100
    own_window_s = parse_duration_s(annotations.get(f"{AUTOSCALING}window")) or STABLE_WINDOW_S
    return Scaling(metric, max(_MIN_TARGET, total * utilization), total,
                   own_window_s / STABLE_WINDOW_S * speed_window_s,
                   autoscaler["spec"].get("reachability") != "Unreachable")


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
        return Decision(-1, int(scaling.total - TARGET_BURST_CAPACITY), False), memory
    stable = _mean(memory.samples, scaling, scaling.window_s, now)
    panic = _mean(memory.samples, scaling, scaling.window_s * PANIC_WINDOW_PERCENT / 100, now)
    pods = max(1, ready)
    maximum, minimum = math.ceil(MAX_SCALE_UP_RATE * pods), 0
    if scaling.reachable:
        minimum = math.floor(pods / MAX_SCALE_DOWN_RATE)
    stable_pods = min(max(math.ceil(stable / scaling.target), minimum), maximum)
    panic_pods = min(max(math.ceil(panic / scaling.target), minimum), maximum)
    over = math.ceil(panic / scaling.target) / pods >= PANIC_THRESHOLD_PERCENT / 100
    memory = _panic(memory, over, scaling.window_s, now)
    desired = stable_pods
    if memory.panic_since is not None:
        desired = max(stable_pods, panic_pods, memory.panic_pods)
        memory = replace(memory, panic_pods=desired)
    excess = math.floor(ready * scaling.total - TARGET_BURST_CAPACITY - panic)
    return Decision(desired, excess, stable > 0 or memory.panic_since is not None), memory


def note_active(memory: Memory, active: str, now: float) -> Memory:
    """Store since when the condition Active has had its status."""
    return memory if memory.active == active else replace(memory, active=active, active_since=now)


def activators(ready: int, total: float) -> int:
    """The number of activators for that many ready pods (kpa.go `computeNumActivators`)."""
    return max(2, math.ceil((ready * total + TARGET_BURST_CAPACITY) / ACTIVATOR_CAPACITY))


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


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
