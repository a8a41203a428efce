"""Rollout plans: reading YAML, and messages that name the line and the field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kserve_nb.gates import plan_file
from kserve_nb.gates.criteria.answer_gates import AgreementGate, LossGate
from kserve_nb.gates.criteria.custom_gates import FunctionGate, PrometheusGate
from kserve_nb.gates.criteria.request_gates import ErrorsGate, LatencyGate, SplitGate
from kserve_nb.gates.plan import PlanError, ProbeTraffic, RolloutPlan

WHOLE = """
model: gs://bucket/model
steps: [0, 5, 50, 100]
bake: 1m
ready: 2m
limit: 1h
minimumExposure: 10
alpha: 0.01
onInconclusive: rollback
probe: {rate: 5, rows: [[1, 2], [3, 4]], labels: [0, 1]}
gates:
- errors
- split: {tolerance: 5}
- latency: {quantile: 0.5, increase: 0.1, slackMs: 2ms}
- agreement: {budget: 0.2}
- loss: {}
- python: {function: "tests.unit.test_plan:check"}
- prometheus: {url: "http://p", query: up, atMost: 0.5, samples: total, minimum: 7}
"""


def check(_evidence: object) -> bool:
    return True


def test_every_field_can_be_read_and_written() -> None:
    plan = plan_file.read_plan(WHOLE)

    assert plan == RolloutPlan(
        steps=(0, 5, 50, 100), model="gs://bucket/model", bake_s=60, ready_s=120, limit_s=3600, minimum_exposure=10,
        alpha=0.01, on_inconclusive="rollback", probe=ProbeTraffic(5, ((1, 2), (3, 4)), (0, 1)),
        gates=(ErrorsGate(), SplitGate(5), LatencyGate(0.5, 0.1, 2), AgreementGate(0.2), LossGate(),
               FunctionGate("tests.unit.test_plan:check"), PrometheusGate("http://p", "up", 0.5, "total", 7)))
    assert plan_file.read_plan(plan_file.to_yaml(plan)) == plan


def test_a_plan_in_code_is_written_as_yaml_that_can_be_read() -> None:
    plan = RolloutPlan(gates=(ErrorsGate(), FunctionGate(check)))

    assert plan_file.read_plan(plan_file.to_yaml(plan)).gates[1] == FunctionGate("tests.unit.test_plan:check")


def test_alpha_is_shared_by_the_gates_that_can_stop_a_good_canary() -> None:
    plan = RolloutPlan(gates=(ErrorsGate(), SplitGate(), FunctionGate(check)), alpha=0.06)

    assert [plan.alpha_of(gate) for gate in plan.gates[:2]] == [0.03, 0.03]


@pytest.mark.parametrize(("labels", "read"), [
    ("[setosa, 'yes', \"1\", 'null']", ("setosa", "yes", "1", "null")), ("[1, 2.5, true, -3]", (1, 2.5, True, -3)),
    ('["a", "b", "c", "d"]', ("a", "b", "c", "d")), ("[[0, a], [1, b], [0, b], [1, a]]", None),
])
def test_labels_are_numbers_or_texts_as_the_model_answers(labels: str, read: tuple[object, ...] | None) -> None:
    plan = plan_file.read_plan(f"probe: {{rows: [[1, low], [2, high], [3, low], [4, low]], labels: {labels}}}")

    assert plan.probe is not None and plan.probe.rows[1] == (2, "high")
    assert tuple(plan.probe.labels) == (read or ((0, "a"), (1, "b"), (0, "b"), (1, "a")))
    assert plan_file.read_plan(plan_file.to_yaml(plan)) == plan


@pytest.mark.parametrize("label", ["yes", "off", "null", "~", "2026-11-28", "2026-02-30", "!!python/name:os.system x"])
def test_a_word_that_yaml_does_not_read_as_a_text_must_be_quoted(label: str) -> None:
    with pytest.raises(PlanError, match=r"line 1: probe.labels: '.*' is neither a number nor a text in YAML\. Write a "
                                        r'text in quotes, such as "yes"'):
        plan_file.read_plan(f"probe: {{rows: [[1]], labels: [{label}]}}")


@pytest.mark.parametrize("label", [None, b"a", float("nan"), {"a": 1}, object(), [None]])
def test_a_label_that_no_answer_equals_is_an_error(label: object) -> None:
    with pytest.raises(PlanError, match=r"probe: Cannot use these labels: labels\[0\] is .*, which no answer"):
        ProbeTraffic(rows=[[1]], labels=[label])


@pytest.mark.parametrize(("text", "message"), [
    ("", "plan.yaml: the plan is empty"),
    ("steps: [1,", "line 1: this is not YAML"),
    ("steps: [1, 120]", "line 1: steps: 120 is not a whole number"),
    ("bake: 1s\nsteps: [1.5, 100]", "line 2: steps: 1.5 is not a whole number"),
    ("steps: [one]", "line 1: steps: 'one' is not a number"),
    ("steps: []", "line 1: steps: there is none"),
    ("steps: [100]", "line 1: steps: the first step is 100"),
    ("steps: [10, 50]", "line 1: steps: the last step is 50, but it must be 100"),
    ("steps: [10, 5]", "line 1: steps: 5 follows 10"),
    ("stepz: [10]", "line 1: There is no field 'stepz'. The fields are: model, steps"),
    ("bake: 1s\nbake: 2s", "line 2: bake appears twice"),
    ("\nbake: soon", "line 2: bake: 'soon' is not a duration"),
    ("limit: 10s", "line 1: limit: 10.0 s is not longer than bake"),
    ("alpha: 2", "line 1: alpha: 2.0 is not between 0 and 1"),
    ("onInconclusive: promote", "line 1: onInconclusive: 'promote' is neither hold nor rollback"),
    ("gates: []", "line 1: gates: there is none"),
    ("gates:\n- erors: {}", "line 2: gates[0]: There is no gate 'erors'. The gates are: errors, split"),
    ("gates:\n- errors:\n    buget: 1", "line 3: gates[0].errors: There is no field 'buget'. The fields are: budget"),
    ("gates:\n- errors: {budget: much}", "line 2: gates[0].errors.budget: 'much' is not a number"),
    ("gates:\n- errors: {budget: -1}", "line 2: gates[0].errors.budget: -1 is negative"),
    ("gates:\n- latency: {quantile: 95}", "line 2: gates[0].latency.quantile: 95 is not between 0 and 1"),
    ("gates:\n- prometheus: {url: x}", "line 2: gates[0].prometheus: it needs query and atMost"),
    ("gates:\n- python: {function: 'nowhere:f'}", "line 2: gates[0].python.function: cannot import 'nowhere:f'"),
    ("[" * 2000, "plan.yaml: this is not a plan: its lists are nested too deeply"),
    ("steps: [10, 100]\x1b", "this is not YAML: unacceptable character #x001b"),
    ("? [a, b]\n: c", "line 1: a key must be a word. The fields are: model, steps"),
    (f"steps: [{'9' * 5000}, 100]", "line 1: steps: '99999"),
    ("model: null", "line 1: model: it has no value"),
    ("minimumExposure: 1.5", "line 1: minimumExposure: 1.5 is not a whole number"),
    ("minimumExposure: .inf", "line 1: minimumExposure: inf is not a whole number"),
    ("gates:\n- errors: {budget: .nan}", "line 2: gates[0].errors.budget: nan is not a finite number"),
    ("gates:\n- errors: {budget: 5}", "line 2: gates[0].errors.budget: 5 is above 1. A budget is a share: write 0.05"),
    ("gates:\n- prometheus: {url: 'file:///x', query: up, atMost: 1}", "url: 'file:///x' is not an http or https"),
    ("gates:\n- python: {function: 'os:sep'}", "cannot import 'os:sep': os:sep is not a function"),
    ("probe: {rows: [[1]], labels: &a [*a]}", "line 1: probe.labels: this is a list or a mapping"),
    ("probe: {rate: 5000}", "line 1: probe: the rate 5000 is not above 0"),
    ("probe: {rows: [[1], [1, 2]]}", "line 1: probe: Cannot use these rows: rows[1] has 2 values"),
    ("probe: {rows: [[1]], labels: [1, 2]}", "line 1: probe: it has 2 labels for 1 rows"),
    ("- steps", "line 1: this is not a mapping"),
])
def test_a_message_names_the_line_and_the_field(text: str, message: str) -> None:
    with pytest.raises(PlanError) as raised:
        plan_file.read_plan(text, "plan.yaml")

    assert message in str(raised.value) and "plan.yaml" in str(raised.value)


@pytest.mark.parametrize(("values", "message"), [
    ({"steps": 10}, "steps: 10 is not a list of percents"), ({"steps": "10"}, "steps: '10' is not a list of percents"),
    ({"gates": ErrorsGate()}, "gates: ErrorsGate(budget=0.05) is not a list of gates"),
    ({"gates": ("errors",)}, "gates: 'errors' is not a gate"), ({"gates": (ErrorsGate,)}, "is not a gate"),
    ({"alpha": "x"}, "alpha: 'x' is not a number"), ({"bake_s": "30s"}, "bake: '30s' is not a number of seconds"),
    ({"limit_s": None}, "limit: None is not"), ({"ready_s": True}, "ready: True is not"),
    ({"minimum_exposure": 1.5}, "minimumExposure: 1.5 is not a whole number"),
    ({"model": None}, "model: None is not the storageUri"), ({"probe": {"rate": 5}}, "probe: {'rate': 5} is not Probe"),
])
def test_a_plan_in_code_with_a_value_of_another_type_is_an_error(values: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError) as raised:
        RolloutPlan(**values)

    assert message in str(raised.value)


def test_a_plan_in_code_may_have_lists() -> None:
    assert RolloutPlan(steps=[10, 100], gates=[ErrorsGate()]) == RolloutPlan(steps=(10, 100), gates=(ErrorsGate(),))
    with pytest.raises(PlanError, match="probe: rate 'fast' is not a number of rounds a second"):
        ProbeTraffic(rate="fast")  # type: ignore[arg-type]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"Cannot read the plan .*none\.yaml: No such file or directory\. Name a YAML"):
        plan_file.read_plan_file(tmp_path / "none.yaml")


@pytest.mark.parametrize(("content", "problem"), [(b"\xff\xfe", "it is not UTF-8 text"), (b"#" * (1 << 20), "512 KiB")])
def test_a_file_that_is_no_plan_is_named(content: bytes, problem: str, tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_bytes(content)

    with pytest.raises(PlanError, match=rf"Cannot read the plan .*plan\.yaml: .*{problem}"):
        plan_file.read_plan_file(tmp_path / "plan.yaml")
