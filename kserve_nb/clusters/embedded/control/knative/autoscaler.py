"""How many pods a revision needs, from what its requests were like: the Knative autoscaler's arithmetic.

Source: knative serving pkg/autoscaler/scaling/autoscaler.go `Scale`, pkg/autoscaler/metrics (windows),
pkg/reconciler/autoscaling/resources/target.go `ResolveMetricTarget`; the defaults are those of config-autoscaler.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from kserve_nb.clusters.embedded.durations import parse_duration_s
from kserve_nb.clusters.embedded.objects import Object
from kserve_nb.values.labels import AUTOSCALING

STABLE_WINDOW_S = 60.0
PANIC_WINDOW_PERCENT, PANIC_THRESHOLD_PERCENT = 10.0, 200.0
MAX_SCALE_UP_RATE, MAX_SCALE_DOWN_RATE = 1000.0, 2.0
CONCURRENCY_TARGET, RPS_TARGET, TARGET_UTILIZATION = 100.0, 200.0, 0.7
TARGET_BURST_CAPACITY, ACTIVATOR_CAPACITY = 211.0, 100.0
_LEAST_TARGET = 0.01
# A request may come and go between two looks at how many are there; it counts as this much concurrency.
_TRACE = 0.01


@dataclass(frozen=True)
class Scaling:
    """What a revision asks of its autoscaler (decider.go `MakeDecider`)."""

    metric: str  # concurrency or rps
    target: float  # of the metric, for each pod
    total: float  # the most of it that a pod may get
    window_s: float  # the stable window, at the cluster's speed
    reachable: bool


@dataclass(frozen=True)
class Sample:
    """What requests were like from a moment on, until the next sample."""

    at: float
    concurrency: float
    rps: float


@dataclass(frozen=True)
class Memory:
    """What is remembered of a revision between two looks."""

    samples: tuple[Sample, ...] = ()
    requests: int = 0
    panic_since: float | None = None
    panic_pods: int = 0
    active: str = ""  # the last status of the condition Active, and since when: conditions tell whole seconds only
    active_since: float = 0.0

    @classmethod
    def of(cls, decider: Object | None) -> Memory:
        """Read it from its object; without one nothing is remembered."""
        status = (decider or {}).get("status") or {}
        samples = tuple(Sample(*one) for one in status.get("samples", []))
        return cls(samples, status.get("requests", 0), status.get("panicSince"), status.get("panicPods", 0),
                   status.get("active", ""), status.get("activeSince", 0.0))

    def to_status(self) -> Object:
        """Write it as its object's status."""
        status: Object = {"samples": [[s.at, s.concurrency, s.rps] for s in self.samples], "requests": self.requests,
                          "active": self.active, "activeSince": self.active_since}
        if self.panic_since is not None:
            status |= {"panicSince": self.panic_since, "panicPods": self.panic_pods}
        return status


@dataclass(frozen=True)
class Decision:
    """How many pods there should be (-1: nothing is known yet), and whether they bear a burst by themselves."""

    pods: int
    excess_burst_capacity: int
    pending: bool  # whether time alone may change it


def scaling_of(autoscaler: Object, speed_window_s: float) -> Scaling:
    """Read a PodAutoscaler's annotations; `speed_window_s` is the default stable window at the cluster's speed."""
    annotations = autoscaler["metadata"].get("annotations", {})
    metric = annotations.get(f"{AUTOSCALING}metric", "concurrency")
    concurrency = float(autoscaler["spec"].get("containerConcurrency") or 0)
    total = RPS_TARGET if metric == "rps" else concurrency or CONCURRENCY_TARGET
    asked = _number(annotations.get(f"{AUTOSCALING}target"))
    if asked is not None:
        total = min(asked, concurrency) if metric == "concurrency" and concurrency else asked
    percent = _number(annotations.get(f"{AUTOSCALING}target-utilization-percentage"))
    utilization = TARGET_UTILIZATION if percent is None else percent / 100
    own_window_s = parse_duration_s(annotations.get(f"{AUTOSCALING}window")) or STABLE_WINDOW_S
    return Scaling(metric, max(_LEAST_TARGET, total * utilization), total,
                   own_window_s / STABLE_WINDOW_S * speed_window_s,
                   autoscaler["spec"].get("reachability") != "Unreachable")


def observe(memory: Memory, traffic: Object, ready: int, window_s: float, now: float) -> Memory:
    """Remember what REVISION_TRAFFIC's status says now. A first ready pod without requests is a sample of none."""
    requests, waiting = int(traffic.get("requests", 0)), float(traffic.get("waiting", 0))
    concurrency, rps = float(traffic.get("concurrency", 0)) + waiting, float(traffic.get("rps", 0))
    if requests > memory.requests or waiting:
        concurrency, rps = max(concurrency, _TRACE), max(rps, _TRACE)
    last = memory.samples[-1] if memory.samples else None
    if last is None and not (ready or requests or concurrency):
        return memory
    samples = memory.samples
    if last is None or (last.concurrency, last.rps) != (concurrency, rps):
        samples = (*samples, Sample(now, concurrency, rps))
    return replace(memory, samples=_within(samples, now - window_s), requests=requests)


def decide(memory: Memory, scaling: Scaling, ready: int, now: float) -> tuple[Decision, Memory]:
    """How many pods there should be now (`autoscaler.Scale`)."""
    if not memory.samples:
        return Decision(-1, int(scaling.total - TARGET_BURST_CAPACITY), False), memory
    stable = _mean(memory.samples, scaling, scaling.window_s, now)
    panic = _mean(memory.samples, scaling, scaling.window_s * PANIC_WINDOW_PERCENT / 100, now)
    pods = max(1, ready)
    most, least = math.ceil(MAX_SCALE_UP_RATE * pods), 0
    if scaling.reachable:
        least = math.floor(pods / MAX_SCALE_DOWN_RATE)
    wanted_stable = min(max(math.ceil(stable / scaling.target), least), most)
    wanted_panic = min(max(math.ceil(panic / scaling.target), least), most)
    over = math.ceil(panic / scaling.target) / pods >= PANIC_THRESHOLD_PERCENT / 100
    memory = _panic(memory, over, scaling.window_s, now)
    wanted = wanted_stable
    if memory.panic_since is not None:
        wanted = max(wanted_stable, wanted_panic, memory.panic_pods)
        memory = replace(memory, panic_pods=wanted)
    excess = math.floor(ready * scaling.total - TARGET_BURST_CAPACITY - panic)
    return Decision(wanted, excess, stable > 0 or memory.panic_since is not None), memory


def note_active(memory: Memory, active: str, now: float) -> Memory:
    """Remember since when the condition Active has had its status."""
    return memory if memory.active == active else replace(memory, active=active, active_since=now)


def activators(ready: int, total: float) -> int:
    """How many activators stand before that many ready pods (kpa.go `computeNumActivators`)."""
    return max(2, math.ceil((ready * total + TARGET_BURST_CAPACITY) / ACTIVATOR_CAPACITY))


def _panic(memory: Memory, over: bool, window_s: float, now: float) -> Memory:
    if over:
        return replace(memory, panic_since=now)
    if memory.panic_since is not None and memory.panic_since + window_s < now:
        return replace(memory, panic_since=None, panic_pods=0)
    return memory


def _within(samples: tuple[Sample, ...], since: float) -> tuple[Sample, ...]:
    """Those that say something about the time since then: the last one before it, and all after it."""
    first = max((i for i, sample in enumerate(samples) if sample.at <= since), default=0)
    return samples[first:]


def _mean(samples: Iterable[Sample], scaling: Scaling, window_s: float, now: float) -> float:
    """The metric's mean over the window, or over the part of it since the first sample; not 0 while there are any."""
    values = [(s.at, s.rps if scaling.metric == "rps" else s.concurrency) for s in samples]
    start, last = max(now - window_s, values[0][0]), values[-1][1]
    if start >= now:
        return last
    ends = [*(at for at, _ in values[1:]), now]
    area = sum(max(0.0, min(end, now) - max(at, start)) * value
               for (at, value), end in zip(values, ends, strict=True))
    return max(round(area / (now - start), 6), min(last, _TRACE))


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
