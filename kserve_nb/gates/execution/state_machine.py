"""Decide the next state of a gated rollout from the plan, the cluster, the gates and the user's commands. Pure.

A write is recorded in the state (`intent`) before it is made. A runner that is killed between the two finds in the
cluster whether the write was made: then the generation has grown by one, and the percent is the intended one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from kserve_nb.gates.criteria.evidence import Evidence
from kserve_nb.gates.criteria.gate import GateResult
from kserve_nb.gates.execution.run_state import Intent, RunState
from kserve_nb.gates.plan import RolloutPlan
from kserve_nb.values.text.foreign_text import last_line

Command = Literal["pause", "resume", "skip", "abort", "rollback"]
COMMANDS: tuple[Command, ...] = ("pause", "resume", "skip", "abort", "rollback")
WATCHING = ("baking", "held", "paused")  # phases in which the canary is observed
_FAILED_FOR_S = 2.0  # a conflict between two controllers can look like a failure for up to a second
_PROMOTED = 100


@dataclass(frozen=True)
class ClusterView:
    """The facts about an InferenceService that the state machine uses."""

    uid: str
    generation: int
    requested_percent: int | None
    model: str = ""
    missing: str = ""  # what is missing until traffic has moved; empty once it has
    failure: str = ""  # the controller's message about a change that cannot succeed
    canary_has_users: bool = True  # whether the traffic list gives the latest created revision any traffic
    changed_by: str = ""


def start(view: ClusterView, now: float) -> RunState:
    """The first state of a rollout."""
    first = RunState(uid=view.uid, generation=view.generation)
    return first.enter("pending", "the plan has been read", now, started=now)


def judge(plan: RolloutPlan, evidence: Evidence, percent: int) -> tuple[GateResult, ...]:
    """The results of all gates."""
    return tuple(gate.judge(evidence, percent, plan.alpha_of(gate)) for gate in plan.gates)


def failing(plan: RolloutPlan, results: Sequence[GateResult]) -> list[tuple[GateResult, str]]:
    """The results that are failures, and what each of them requires: rollback or hold."""
    gates = {gate.name: gate.on_failure for gate in plan.gates}
    return [(result, gates[result.gate]) for result in results if result.word == "fail"]


def decide(
    plan: RolloutPlan, state: RunState, view: ClusterView, now: float, command: Command | None = None
) -> RunState:
    """The next state. If its `intent` is set, the runner makes that write and then calls `written`."""
    if state.ended:
        return state
    state = _recovered(state, view, now)
    if state.ended or state.intent:
        return state
    if command:
        state = _commanded(plan, state, command, now)
    if state.ended or state.intent:
        return state
    if state.phase == "pending":
        return _to_step(plan, state, 0, "the first step begins", now)
    if state.phase == "advancing":
        return _advancing(plan, state, view, now)
    if state.phase == "rolling back":
        return state if view.canary_has_users else state.enter("rolled back", state.reason, now)
    return _watching(plan, state, now)


def written(state: RunState, view: ClusterView) -> RunState:
    """The state after its intent was written, as the response to the write shows it."""
    return replace(state, intent=None, uid=view.uid, generation=view.generation)


def is_over(plan: RolloutPlan, state: RunState, now: float) -> bool:
    """Whether the runner returns: the rollout has ended, or it is on hold at the end of its time."""
    return state.ended or (state.phase == "held" and now - state.started >= plan.limit_s)


def continued(state: RunState, now: float) -> RunState:
    """The state of a rollout that is followed again: after a hold, its time limit starts again."""
    if state.phase != "held":
        return state
    return state.enter("baking", "followed again", now, started=now)


def superseded(state: RunState, why: str, now: float) -> RunState:
    """The state after somebody else has taken over."""
    return state.enter("superseded", f"{why} The runner changes nothing more.", now, intent=None)


def _recovered(state: RunState, view: ClusterView, now: float) -> RunState:
    """Compare the cluster with what the runner saw or wrote last."""
    if (view.uid, view.generation) == (state.uid, state.generation):
        return state  # an intent that was not written is still to be written
    intent = state.intent
    if intent and view.uid == state.uid and view.generation == state.generation + 1 and (
        view.requested_percent == intent.percent and intent.model in ("", view.model)
    ):
        return written(state, view)
    who = f" ({view.changed_by})" if view.changed_by else ""
    percent = "no percent" if view.requested_percent is None else f"{view.requested_percent} %"
    return superseded(state, f"somebody else{who} changed the InferenceService: it requests {percent}.", now)


def _commanded(plan: RolloutPlan, state: RunState, command: Command, now: float) -> RunState:
    if command == "abort":
        return state.enter("aborted", "a user aborted it; traffic stays as it is", now)
    if command == "rollback" and state.phase != "rolling back":
        return _roll_back(state, "a user rolled it back", now) if state.step >= 0 else state.enter(
            "aborted", "a user rolled it back before the first step", now)
    if command == "pause" and state.phase in ("baking", "held"):
        return state.enter("paused", "a user paused it; a gate that fails still rolls it back", now)
    if command == "resume" and state.phase in ("paused", "held"):
        return state.enter("baking", "a user resumed it", now)
    if command == "skip" and state.phase in WATCHING:
        return _to_step(plan, state, state.step + 1, f"a user skipped step {state.step + 1}", now)
    return state


def _advancing(plan: RolloutPlan, state: RunState, view: ClusterView, now: float) -> RunState:
    percent = state.percent(plan)
    if not view.missing:
        if percent == _PROMOTED:
            return state.enter("promoted", "all users get the new revision", now)
        return state.enter("baking", f"users get {percent} %", now, step_since=now, failing="", results=(),
                           evidence=state.evidence.next_step())
    if view.failure != state.failing:
        return replace(state, failing=view.failure, failing_since=now)
    if view.failure and now - state.failing_since > _FAILED_FOR_S:
        return _roll_back(state, f"the canary does not become ready: {last_line(view.failure)}", now)
    if now - state.phase_since > plan.ready_s:
        return _roll_back(state, f"traffic has not moved after {plan.ready_s:.0f} s: {view.missing}", now)
    return state


def _watching(plan: RolloutPlan, state: RunState, now: float) -> RunState:
    failed = failing(plan, state.results)
    for result, action in failed:
        if action == "rollback":
            return _roll_back(state, f"gate {result.gate} failed: {result.summary}", now)
    if now - state.started >= plan.limit_s:
        return _at_limit(plan, state, now)
    if state.phase == "baking" and failed:
        return state.enter("held", f"gate {failed[0][0].gate} failed: {failed[0][0].summary}", now)
    if state.phase == "baking" and not lacking(plan, state, now):
        return _to_step(plan, state, state.step + 1, f"all gates pass at {state.percent(plan)} %", now)
    return state


def lacking(plan: RolloutPlan, state: RunState, now: float) -> str:
    """The conditions that are missing before the next step; empty if none is."""
    evidence, left = state.evidence, plan.bake_s - (now - state.step_since)
    if left > 0:
        return f"{left:.0f} s of the bake time are left"
    if evidence.step_canary < plan.minimum_exposure:
        if not evidence.step_canary and not evidence.step_users:
            return "the runner observes no traffic. Make it send requests: probe: {rate: 20} in the plan"
        return f"{evidence.step_canary} of {plan.minimum_exposure} requests to the canary"
    if not state.results:
        return "no gate has decided yet"
    waiting = [str(result) for result in state.results if result.word != "pass"]
    return "; ".join(waiting)


def _at_limit(plan: RolloutPlan, state: RunState, now: float) -> RunState:
    late = f"inconclusive after {plan.limit_s:.0f} s: {lacking(plan, state, now) or 'it was paused'}"
    if plan.on_inconclusive == "rollback":
        return _roll_back(state, late, now)
    return state if state.phase == "held" else state.enter("held", late, now)


def _to_step(plan: RolloutPlan, state: RunState, step: int, reason: str, now: float) -> RunState:
    percent = plan.steps[step]
    intent = Intent(None if percent == _PROMOTED else percent, plan.model if step == 0 else "")
    goal = "promote" if percent == _PROMOTED else f"go to {percent} %"
    return state.enter("advancing", f"{reason}; {goal}", now, step=step, intent=intent, failing="")


def _roll_back(state: RunState, reason: str, now: float) -> RunState:
    return state.enter("rolling back", reason, now, intent=Intent(0))
