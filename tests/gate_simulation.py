"""Simulated rollouts with seeds: how often the gates stop a good canary, and how soon they stop a bad one."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import median

from kserve_nb.gates.criteria.e_process import log_evidence
from kserve_nb.gates.criteria.evidence import Evidence, Outcome, Pair
from kserve_nb.gates.criteria.gate import Gate
from kserve_nb.rollout import sequential

ALPHA = 0.05
PLAN = (1, 5, 10, 25, 50)
PER_STEP = 400  # requests


@dataclass(frozen=True)
class Stop:
    """When a rollout was stopped: requests to the canary, users harmed by it, and its percent."""

    canary: int
    harmed: int
    percent: int


def stopped(draw: random.Random, percents: Iterable[int], rates: tuple[float, float]) -> Stop | None:
    """Send a request for each percent in turn, and look after each; None if nothing was stopped.

    Args:
        rates: the error rates of the previous revision and of the canary.
    """
    counts: dict[float, tuple[int, int]] = {}
    requests = harmed = 0
    for percent in percents:
        is_canary = draw.random() < percent / 100
        requests += is_canary
        if draw.random() >= rates[is_canary]:
            continue
        harmed += is_canary
        canary, other = counts.get(percent / 100, (0, 0))
        counts[percent / 100] = (canary + is_canary, other + (not is_canary))
        if log_evidence(counts) >= math.log(1 / ALPHA):
            return Stop(requests, harmed, percent)
    return None


def fixed(requests: int = 20_000) -> list[int]:
    """A canary that stays at 10 %."""
    return [10] * requests


def planned() -> list[int]:
    """The plan 1-5-10-25-50 % with 400 requests in each step."""
    return [percent for percent in PLAN for _ in range(PER_STEP)]


def repeat(runs: int, percents: list[int], rates: tuple[float, float], seed: int = 18) -> list[Stop | None]:
    """The results of a number of simulated rollouts."""
    draw = random.Random(f"{seed} {rates} {len(percents)}")
    return [stopped(draw, percents, rates) for _ in range(runs)]


def first_rejection(draw: random.Random, true_percent: float, looks: int = 3000) -> int | None:
    """After how many answers the split of 10 % is rejected."""
    hits = 0
    for sent in range(1, looks + 1):
        hits += draw.random() < true_percent / 100
        if sequential.evidence(hits, sent, 10) >= math.log(1 / ALPHA):
            return sent
    return None


def first_result(gate: Gate, batches: Iterable[Evidence]) -> tuple[str, int]:
    """The word of the first result that is not inconclusive, and after how many batches it came."""
    number = 0
    for number, evidence in enumerate(batches, 1):
        result = gate.judge(evidence, 10, ALPHA)
        if result.word != "inconclusive":
            return result.word, number
    return "inconclusive", number


def latencies(draw: random.Random, slower: float, batches: int, size: int = 50) -> Iterator[Evidence]:
    """Evidence that grows by batches of requests with log-normal times to both revisions; median 20 ms."""
    evidence = Evidence()
    for _ in range(batches):
        times = [(side, draw.lognormvariate(math.log(20), 0.3) * (slower if side == "canary" else 1))
                 for side in ("canary", "previous") for _ in range(size)]
        evidence = evidence.add(Outcome(0.5, answered_by=side, took_ms=took) for side, took in times)
        yield evidence


def answers(
    draw: random.Random, wrong: tuple[float, float], batches: int, size: int = 20
) -> Iterator[Evidence]:
    """Evidence that grows by batches of labelled pairs. `wrong`: the error rates of both revisions."""
    evidence = Evidence()
    for _ in range(batches):
        right = [(draw.random() >= wrong[0], draw.random() >= wrong[1]) for _ in range(size)]
        evidence = evidence.add((), [Pair(old != new, new, old) for old, new in right])
        yield evidence


def middle(values: Iterable[float]) -> float:
    """The median; 0 for an empty list."""
    found = list(values)
    return median(found) if found else 0


def percentile(values: Iterable[float], percent: int) -> float:
    """The percentile; 0 for an empty list."""
    found = sorted(values)
    return found[min(len(found) - 1, len(found) * percent // 100)] if found else 0
