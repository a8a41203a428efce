"""The gates: their results are valid at every look, and come soon enough to protect users."""

from __future__ import annotations

import json
import math
import random

import pytest

from kserve_nb.gates.criteria.answer_gates import AgreementGate, LossGate
from kserve_nb.gates.criteria.custom_gates import FunctionGate, PrometheusGate
from kserve_nb.gates.criteria.e_process import log_evidence
from kserve_nb.gates.criteria.evidence import Evidence, Outcome, Pair, Reading
from kserve_nb.gates.criteria.latency_histogram import LatencyHistogram
from kserve_nb.gates.criteria.request_gates import ErrorsGate, LatencyGate, SplitGate
from tests import gate_simulation as simulation

RUNS = 100
ALPHA = 0.05


@pytest.mark.slow
def test_a_good_canary_is_stopped_in_at_most_5_percent_of_plans() -> None:
    stops = simulation.repeat(RUNS, simulation.planned(), (0.05, 0.05))

    assert sum(stop is not None for stop in stops) <= 0.05 * RUNS


@pytest.mark.parametrize(("rates", "harmed"), [((0.001, 1.0), 3), ((0.01, 0.5), 4), ((0.01, 0.2), 6)])
def test_a_bad_canary_is_stopped_in_every_plan_after_a_few_users(rates: tuple[float, float], harmed: int) -> None:
    stops = [stop for stop in simulation.repeat(RUNS, simulation.planned(), rates) if stop]

    assert len(stops) == RUNS
    assert simulation.percentile((stop.harmed for stop in stops), 90) <= harmed


def test_errors_of_steps_with_different_shares_are_one_test() -> None:
    step_by_step = log_evidence({0.01: (1, 3)}) + log_evidence({0.1: (1, 1)})

    together = log_evidence({0.01: (1, 3), 0.1: (1, 1)})

    assert together != pytest.approx(step_by_step)  # each ratio of the mixture counts all steps
    assert log_evidence({1.0: (5, 0)}) == pytest.approx(0)  # without another side nothing can be compared


def test_errors_in_proportion_to_the_share_are_no_evidence() -> None:
    assert log_evidence({0.1: (10, 90)}) < 0
    assert log_evidence({0.1: (90, 10)}) > math.log(1 / ALPHA)


def test_the_errors_gate_passes_only_when_the_excess_is_within_the_budget() -> None:
    few = ErrorsGate(budget=0.05).judge(Evidence(canary=20, previous=20), 10, ALPHA)
    many = ErrorsGate(budget=0.05).judge(Evidence(canary=400, previous=400), 10, ALPHA)
    too_many_errors = ErrorsGate(budget=0.05).judge(
        Evidence(canary=400, canary_failed=16, previous=400, previous_failed=16), 10, ALPHA)

    assert (few.word, many.word, too_many_errors.word) == ("inconclusive", "pass", "inconclusive")
    assert few.needed and 20 < few.needed < 400


def test_the_number_needed_is_enough() -> None:
    needed = ErrorsGate().judge(Evidence(canary=30, previous=30), 10, ALPHA).needed

    assert needed
    assert ErrorsGate().judge(Evidence(canary=needed, previous=needed), 10, ALPHA).word == "pass"


@pytest.mark.parametrize(("split", "word"), [
    ({10: (30, 300)}, "pass"), ({10: (3, 30)}, "inconclusive"), ({10: (90, 300)}, "fail"), ({10: (0, 300)}, "fail"),
    ({5: (60, 300), 10: (6, 60)}, "fail"), ({}, "inconclusive"),
])
def test_the_split_gate_judges_the_steps_so_far(split: dict[int, tuple[int, int]], word: str) -> None:
    result = SplitGate().judge(Evidence(split=split), 10, ALPHA)

    assert (result.word, SplitGate.on_failure) == (word, "hold")


def test_an_answer_of_a_canary_at_zero_percent_fails_the_split() -> None:
    assert SplitGate().judge(Evidence(split={0: (1, 10)}), 0, ALPHA).word == "fail"
    assert SplitGate().judge(Evidence(split={0: (0, 10)}), 0, ALPHA).word == "pass"


@pytest.mark.parametrize(("slower", "word"), [(1.0, "pass"), (2.0, "fail")])
def test_the_latency_gate_compares_the_same_window(slower: float, word: str) -> None:
    ends = [simulation.first_result(LatencyGate(), simulation.latencies(random.Random(seed), slower, 20))
            for seed in range(5)]

    assert {end for end, _ in ends} == {word}


def test_the_latency_gate_is_inconclusive_on_few_requests() -> None:
    times = LatencyHistogram().add([10.0] * 10)

    result = LatencyGate().judge(Evidence(canary_ms=times, previous_ms=times), 10, ALPHA)

    assert (result.word, result.n) == ("inconclusive", 10)
    assert result.needed and result.needed > 10


def test_the_band_of_a_quantile_excludes_the_true_one_in_at_most_5_percent_of_runs() -> None:
    draw, missed = random.Random(3), 0
    for _ in range(RUNS // 2):
        times, outside = LatencyHistogram(), False
        for _ in range(40):
            times = times.add(draw.expovariate(1 / 20) for _ in range(10))
            low, high = times.bounds(0.5, ALPHA)
            outside = outside or not low <= 20 * math.log(2) <= high
        missed += outside

    assert missed <= 0.05 * RUNS / 2


@pytest.mark.parametrize(("differ", "word"), [(0.02, "pass"), (0.3, "fail")])
def test_the_agreement_gate_compares_with_its_budget(differ: float, word: str) -> None:
    end, _ = simulation.first_result(AgreementGate(), simulation.answers(random.Random(4), (0.0, differ), 50))

    assert end == word


@pytest.mark.parametrize(("wrong", "word"), [((0.05, 0.3), "fail"), ((0.3, 0.05), "pass")])
def test_the_loss_gate_fails_a_canary_that_is_wrong_more_often(wrong: tuple[float, float], word: str) -> None:
    end, _ = simulation.first_result(LossGate(budget=0.05), simulation.answers(random.Random(5), wrong, 50))

    assert end == word


def test_without_pairs_the_answer_gates_name_what_is_missing() -> None:
    agreement, loss = AgreementGate().judge(Evidence(), 10, ALPHA), LossGate().judge(Evidence(), 10, ALPHA)

    assert (agreement.word, loss.word) == ("inconclusive", "inconclusive")
    assert "rollout.tag()" in agreement.summary


def test_labels_that_no_answer_equals_are_named_with_the_answers() -> None:
    pairs = [Pair(False, False, False, repr(str(n % 2)), (str(n % 2), "2")) for n in range(1000)]

    result = LossGate(budget=0.5).judge(Evidence().add([], pairs), 10, ALPHA)

    assert (result.word, result.needed) == ("inconclusive", None)
    assert result.summary == (
        "no revision was right on any of 1000 labelled rows. The labels are '0', '1'; the answers were 0, 2, 1. Write "
        "the labels as the models answer (1 and '1' differ), one for each row, in the order of the rows")
    assert Evidence.of(json.loads(json.dumps(Evidence().add([], pairs).to_dict()))) == Evidence().add([], pairs)


def test_one_right_answer_ends_the_doubt_about_the_labels() -> None:
    wrong, right = Pair(False, False, False, "'a'", ("1",)), Pair(False, True, True, "1", ("1",))

    evidence = Evidence().add([], [wrong, right, wrong])

    assert (evidence.both_right, evidence.labels_seen, evidence.answers_seen) == (1, (), ())
    assert "only the previous revision was right on 0" in LossGate().judge(evidence, 10, ALPHA).summary


def breaks(_evidence: Evidence) -> bool:
    raise LookupError("no data yet")


@pytest.mark.parametrize(("function", "word"), [
    (lambda evidence: True, "pass"), (lambda evidence: False, "fail"), (lambda evidence: None, "inconclusive"),
    (breaks, "inconclusive"), ("tests.unit.test_gates:breaks", "inconclusive"),
])
def test_a_function_decides_by_what_it_returns(function: object, word: str) -> None:
    assert FunctionGate(function).judge(Evidence(), 10, ALPHA).word == word  # type: ignore[arg-type]


def test_a_query_decides_after_three_readings_on_one_side() -> None:
    gate, reading, words = PrometheusGate("http://p", "q", 0.01), Reading(), []
    for value in (0.5, 0.5, 0.001, 0.5, 0.5, 0.5, None):
        reading = gate.read(reading, value, None)
        words.append(gate.judge(Evidence(readings={"q": reading}), 10, ALPHA).word)

    assert words == ["inconclusive"] * 5 + ["fail", "inconclusive"]


def test_a_query_without_enough_samples_is_inconclusive() -> None:
    gate = PrometheusGate("http://p", "q", 0.01, samples="count", minimum=100)

    result = gate.judge(Evidence(readings={"q": Reading(0.5, 12, above=9)}), 10, ALPHA)

    assert (result.word, result.n, result.needed) == ("inconclusive", 12, 100)


def test_a_failure_on_the_canarys_side_counts_as_its_own() -> None:
    evidence = Evidence().add([
        Outcome(0.1, canary_side=True, failed=True, user=True, percent=10),
        Outcome(0.1, canary_side=True, answered_by="previous", user=True, percent=10, took_ms=3),
        Outcome(0.1, canary_side=True, answered_by="canary", user=True, percent=10, took_ms=4),
        Outcome(0.1, failed=True), Outcome(0.1, answered_by="previous", took_ms=5),
        Outcome(0, failed=True, user=True),
    ])

    assert (evidence.canary, evidence.canary_failed) == (2, 1)
    assert (evidence.previous, evidence.previous_failed) == (3, 1)
    assert (evidence.users, evidence.users_failed, evidence.step_users) == (4, 2, 4)
    assert (evidence.errors, evidence.split) == ({0.1: (1, 1)}, {10: (1, 2)})
    assert (evidence.canary_ms.total, evidence.previous_ms.total) == (1, 2)
    assert evidence.next_step().step_canary == 0


def test_evidence_can_be_stored_as_json() -> None:
    evidence = Evidence(readings={"q": Reading(1.0, None, 1, 0)}).add(
        [Outcome(0.1, canary_side=True, failed=True), Outcome(0.5, answered_by="canary", user=True, percent=5)],
        [Pair(True, True, False), Pair(False)])

    assert Evidence.of(json.loads(json.dumps(evidence.to_dict()))) == evidence
