"""The decisions of a gated rollout, state by state, on a clock that jumps."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from kserve_nb.gates.criteria.evidence import Evidence
from kserve_nb.gates.criteria.gate import GateResult
from kserve_nb.gates.execution import state_machine
from kserve_nb.gates.execution.run_state import Intent, RunState
from kserve_nb.gates.execution.state_machine import ClusterView, Command, decide
from kserve_nb.gates.plan import RolloutPlan

PLAN = RolloutPlan(steps=(1, 10, 100), model="gs://new", bake_s=30, minimum_exposure=50, limit_s=1000, ready_s=100)
SEEN = ClusterView("u", 1, None)
PASS = (GateResult("errors", "pass", "fine"), GateResult("split", "pass", "fine"))
ENOUGH = Evidence(step_canary=50, step_users=500)


def baking(step: int = 0, **changes: object) -> RunState:
    """A canary in a step, whose gates all pass, with enough requests."""
    state = RunState(phase="baking", step=step, uid="u", generation=1, evidence=ENOUGH, results=PASS)
    return replace(state, **changes)  # type: ignore[arg-type]


def failed(gate: str) -> tuple[GateResult, ...]:
    return (*PASS[:1], GateResult(gate, "fail", "bad"))


def test_a_rollout_goes_through_all_steps_to_promoted() -> None:
    state, now, wrote = state_machine.start(SEEN, 0), 0.0, []
    view = SEEN
    while not state.ended:
        state = decide(PLAN, state, view, now)
        if state.intent:
            wrote.append(state.intent)
            view = replace(view, generation=view.generation + 1, requested_percent=state.intent.percent)
            state = state_machine.written(state, view)
        elif state.phase == "baking":
            state = replace(state, results=PASS, evidence=replace(state.evidence, step_canary=60))
        now += 10

    assert wrote == [Intent(1, "gs://new"), Intent(10), Intent(None)]
    assert (state.phase, len(state.log)) == ("promoted", 7)


@pytest.mark.parametrize(("changes", "now", "lacking"), [
    ({}, 29, "1 s of the bake time"),
    ({"evidence": Evidence(step_canary=49)}, 30, "49 of 50 requests"),
    ({"evidence": Evidence()}, 30, "the runner observes no traffic"),
    ({"results": (GateResult("errors", "inconclusive", "few", 3, 9),)}, 30, "? errors: few (n = 3, about 9 needed)"),
    ({"results": ()}, 30, "no gate has decided yet"),
])
def test_a_step_ends_only_with_time_requests_and_passed_gates(
    changes: dict[str, object], now: float, lacking: str
) -> None:
    state = baking(**changes)

    assert decide(PLAN, state, SEEN, now) == state
    assert lacking in state_machine.lacking(PLAN, state, now)
    assert decide(PLAN, baking(), SEEN, 30).intent == Intent(10)


@pytest.mark.parametrize("phase", ["baking", "paused", "held"])
def test_a_failed_gate_rolls_back_at_once(phase: str) -> None:
    state = decide(PLAN, baking(phase=phase, results=failed("errors")), SEEN, 1)

    assert (state.phase, state.intent) == ("rolling back", Intent(0))
    assert "gate errors failed: bad" in state.reason


def test_a_failed_split_holds_and_writes_nothing() -> None:
    held = decide(PLAN, baking(results=failed("split")), SEEN, 100)

    assert (held.phase, held.intent) == ("held", None)
    assert decide(PLAN, held, SEEN, 200) == held


def test_it_is_rolled_back_only_when_no_user_reaches_the_canary() -> None:
    state = baking(phase="rolling back", reason="bad")

    assert decide(PLAN, state, SEEN, 1) == state
    assert decide(PLAN, state, replace(SEEN, canary_has_users=False), 1).phase == "rolled back"


def test_inconclusive_at_the_limit_holds_or_rolls_back_as_planned() -> None:
    state = baking(evidence=Evidence(), results=(GateResult("errors", "inconclusive", "few"),))
    held = decide(PLAN, state, SEEN, 1000)
    rolled_back = decide(replace(PLAN, on_inconclusive="rollback"), state, SEEN, 1000)

    assert held.phase == "held" and "the runner observes no traffic" in held.reason and not held.intent
    assert state_machine.is_over(PLAN, held, 1000) and not state_machine.is_over(PLAN, held, 999)
    assert rolled_back.intent == Intent(0)
    assert state_machine.continued(held, 2000).started == 2000


def test_a_canary_that_cannot_start_is_rolled_back_after_a_lasting_failure() -> None:
    state = baking(phase="advancing")
    view = replace(SEEN, missing="not ready", failure="no such model")

    first = decide(PLAN, state, view, 1)
    assert first.phase == "advancing" and decide(PLAN, first, view, 2).phase == "advancing"
    assert decide(PLAN, decide(PLAN, first, replace(view, failure=""), 2), view, 4).phase == "advancing"  # a flash
    after = decide(PLAN, first, view, 3.5)
    assert (after.phase, after.intent) == ("rolling back", Intent(0)) and "no such model" in after.reason


def test_traffic_that_does_not_move_is_rolled_back_after_the_ready_time() -> None:
    state = baking(phase="advancing")
    view = replace(SEEN, missing="Knative has not finished")

    assert decide(PLAN, state, view, 100).phase == "advancing"
    assert decide(PLAN, state, view, 101).phase == "rolling back"


@pytest.mark.parametrize("view", [
    replace(SEEN, generation=2, requested_percent=50, changed_by="kubectl"), replace(SEEN, uid="v"),
])
def test_a_write_of_somebody_else_ends_it_as_superseded(view: ClusterView) -> None:
    state = decide(PLAN, baking(), view, 100)

    assert (state.phase, state.intent) == ("superseded", None)
    assert "somebody else" in state.reason


def test_a_killed_runner_finds_whether_its_write_was_made() -> None:
    intended = baking(phase="advancing", intent=Intent(10))

    not_made = decide(PLAN, intended, SEEN, 1)
    made = decide(PLAN, intended, replace(SEEN, generation=2, requested_percent=10, missing="wait"), 1)
    other = decide(PLAN, intended, replace(SEEN, generation=2, requested_percent=20), 1)
    twice = decide(PLAN, intended, replace(SEEN, generation=3, requested_percent=10), 1)

    assert not_made.intent == Intent(10)
    assert (made.intent, made.generation, made.phase) == (None, 2, "advancing")
    assert (other.phase, twice.phase) == ("superseded", "superseded")


def test_the_first_write_is_recognized_by_its_model_too() -> None:
    intended = baking(phase="advancing", intent=Intent(1, "gs://new"))
    view = replace(SEEN, generation=2, requested_percent=1, missing="wait")

    assert decide(PLAN, intended, replace(view, model="gs://new"), 1).phase == "advancing"
    assert decide(PLAN, intended, replace(view, model="gs://other"), 1).phase == "superseded"


@pytest.mark.parametrize(("command", "phase", "after"), [
    ("pause", "baking", "paused"), ("resume", "paused", "baking"), ("resume", "held", "baking"),
    ("skip", "paused", "advancing"), ("abort", "baking", "aborted"), ("rollback", "baking", "rolling back"),
    ("abort", "advancing", "aborted"), ("resume", "baking", "baking"), ("pause", "advancing", "advancing"),
    ("rollback", "rolling back", "rolling back"),
])
def test_a_user_can_command_it(command: Command, phase: str, after: str) -> None:
    state = decide(PLAN, baking(phase=phase), replace(SEEN, missing="wait"), 1, command)

    assert state.phase == after


def test_a_paused_rollout_does_not_advance() -> None:
    assert decide(PLAN, baking(phase="paused"), SEEN, 500).phase == "paused"


def test_a_user_who_rolls_back_before_the_first_step_changes_nothing() -> None:
    state = decide(PLAN, state_machine.start(SEEN, 0), SEEN, 1, "rollback")

    assert (state.phase, state.intent) == ("aborted", None)


def test_the_state_can_be_stored_as_json() -> None:
    state = baking(intent=Intent(10)).enter("advancing", "why", 3)

    assert RunState.of(json.loads(json.dumps(state.to_dict()))) == state
    assert RunState.of(json.loads(json.dumps(baking().to_dict()))) == baking()
