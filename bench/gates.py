"""The gates in simulated rollouts: false alarms and detection, in seeded runs with one look per request."""

from __future__ import annotations

import random
from collections import Counter

from bench.table import show
from kserve_nb.gates.criteria.answer_gates import AgreementGate, LossGate
from kserve_nb.gates.criteria.request_gates import LatencyGate
from tests import gate_simulation as simulation

RUNS = 1000
FEWER_RUNS = 100  # of cases in which a run takes long
RATES = ((0.01, 0.01), (0.05, 0.05), (0.001, 1.0), (0.01, 0.5), (0.01, 0.2), (0.01, 0.1), (0.01, 0.05), (0.01, 0.02))


def run() -> None:
    head = ("stable → canary", "10 %: stopped", "canary requests", "(95 %)", "harmed", "plan: stopped",
            "harmed", "at %")
    show("Errors gate, alpha = 0.05 (equal rates: stopped must be at most 5 %)", head, map(_errors, RATES))
    show("Split gate, 10 % requested, 3,000 looks", ("true %", "rejected", "median", "90 %"), map(_split, (10, 20, 0)))
    gates = (*(_latency(slower) for slower in (1.0, 1.2, 2.0)), *(_agreement(rate) for rate in (0.02, 0.1, 0.2)),
             *(_loss(wrong) for wrong in ((0.05, 0.05), (0.05, 0.15), (0.05, 0.3))))
    show("Other gates: how they end", ("case", "pass", "fail", "inconclusive", "median requests"), gates)


def _errors(rates: tuple[float, float]) -> tuple[object, ...]:
    alone = [stop for stop in simulation.repeat(RUNS, simulation.fixed(), rates) if stop]
    planned = [stop for stop in simulation.repeat(RUNS, simulation.planned(), rates) if stop]
    return (
        f"{100 * rates[0]:g} % → {100 * rates[1]:g} %",
        _percent(len(alone), RUNS),
        f"{simulation.middle(stop.canary for stop in alone):.0f}",
        f"{simulation.percentile((stop.canary for stop in alone), 95):.0f}",
        f"{simulation.middle(stop.harmed for stop in alone):.0f}",
        _percent(len(planned), RUNS),
        f"{simulation.middle(stop.harmed for stop in planned):.0f}",
        f"{simulation.middle(stop.percent for stop in planned):.0f}",
    )


def _split(true_percent: float) -> tuple[object, ...]:
    draw = random.Random(18)
    found = [looks for _ in range(RUNS) if (looks := simulation.first_rejection(draw, true_percent))]
    return (true_percent, _percent(len(found), RUNS), f"{simulation.middle(found):.0f}",
            f"{simulation.percentile(found, 90):.0f}")


def _latency(slower: float) -> tuple[object, ...]:
    draw, gate = random.Random(18), LatencyGate(slack_ms=0)
    ends = [simulation.first_result(gate, simulation.latencies(draw, slower, 20)) for _ in range(FEWER_RUNS)]
    return _ends(f"latency: canary {slower:g} times as slow", ends, 50)


def _agreement(rate: float) -> tuple[object, ...]:
    draw, gate = random.Random(18), AgreementGate(budget=0.1)
    ends = [simulation.first_result(gate, simulation.answers(draw, (0.0, rate), 25, 40))
            for _ in range(FEWER_RUNS)]
    return _ends(f"agreement: {100 * rate:g} % differ, budget 10 %", ends, 40)


def _loss(wrong: tuple[float, float]) -> tuple[object, ...]:
    draw, gate = random.Random(18), LossGate(budget=0.05)
    ends = [simulation.first_result(gate, simulation.answers(draw, wrong, 25, 40)) for _ in range(FEWER_RUNS)]
    return _ends(f"loss: wrong {100 * wrong[0]:g} % → {100 * wrong[1]:g} %, budget 5 %", ends, 40)


def _ends(case: str, ends: list[tuple[str, int]], size: int) -> tuple[object, ...]:
    words = Counter(word for word, _ in ends)
    shares = (_percent(words[word], len(ends)) for word in ("pass", "fail", "inconclusive"))
    return (case, *shares, f"{size * simulation.middle(number for _, number in ends):.0f}")


def _percent(count: int, total: int) -> str:
    return f"{100 * count / total:.1f} %"
