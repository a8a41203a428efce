"""The loop of a gated rollout: read the cluster, send probe traffic, decide, store the state, write."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from kserve_nb.access.api_client import RefusedError
from kserve_nb.gates import plan_file
from kserve_nb.gates.criteria.custom_gates import PrometheusGate
from kserve_nb.gates.criteria.evidence import Evidence, Reading
from kserve_nb.gates.criteria.request_gates import ErrorsGate
from kserve_nb.gates.execution import state_machine
from kserve_nb.gates.execution.probe import Prober, RoundResult
from kserve_nb.gates.execution.prometheus import query_value
from kserve_nb.gates.execution.run_state import Intent, RunState
from kserve_nb.gates.execution.run_store import LeaseLostError, RunStore
from kserve_nb.gates.execution.state_machine import ClusterView
from kserve_nb.gates.plan import RolloutPlan
from kserve_nb.rollout import progress
from kserve_nb.rollout.errors import ChangedError, NotPossibleError
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.rollout.waiting import WaitClock, interruptible
from kserve_nb.values.rollout_status import RolloutStatus

TICK_S = 1.0  # between two decisions, unless a gate fails earlier
_POLL_S = 0.25  # while traffic moves
OnChange = Callable[[RolloutPlan, RunState], object]
Rounds = Callable[[RolloutStatus], RoundResult]


class WallClock:
    """The time of day, which a runner on another machine can continue with."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait without blocking the event loop."""
        await asyncio.sleep(seconds)


class Write(Protocol):
    """Makes one write to the InferenceService."""

    def __call__(self, intent: Intent, seen: RolloutStatus) -> RolloutStatus:
        """Make the write if nothing has changed since `seen`. Raises ChangedError."""


class RolloutRunner:
    """Follows one plan until it ends. All decisions are made by `state_machine`."""

    def __init__(
        self, rollout: Rollout, plan: RolloutPlan, store: RunStore, write: Write, clock: WaitClock,
        on_change: OnChange | None = None, rounds: Rounds | None = None,
    ):  # fmt: skip
        self._rollout, self._plan, self._store, self._write, self._clock = rollout, plan, store, write, clock
        self._plan_text = plan_file.to_yaml(plan)
        self._on_change = on_change
        self._rounds = rounds or (Prober(rollout, plan.probe).round if plan.probe else None)
        self._shown: RunState | None = None

    async def run(self) -> RunState:
        """Follow the plan, and return the last state. Raises NotPossibleError if another runner follows it."""
        with interruptible(f"the rollout of {self._rollout.name} stays as it is until it is followed again."):
            await self._store.acquire()
            try:
                return await self._run()
            finally:
                with suppress(RefusedError):  # the Lease expires
                    self._store.release()

    async def _run(self) -> RunState:
        state = await asyncio.to_thread(self._begin)
        try:
            while not state_machine.is_over(self._plan, state, self._clock.now()):
                state = await self._tick(state)
        except (LeaseLostError, ChangedError) as error:
            state = state_machine.superseded(state, str(error), self._clock.now())
            if isinstance(error, ChangedError):
                await asyncio.to_thread(self._save, state)
        except (NotPossibleError, RefusedError) as error:
            state = state.enter("aborted", str(error), self._clock.now(), intent=None)
            with suppress(RefusedError, LeaseLostError):
                await asyncio.to_thread(self._save, state)
            raise
        self._notify(state)
        return state

    def _begin(self) -> RunState:
        """The state that is stored for this plan; a new one if there is none that can be continued."""
        view, _ = self._view()
        stored = self._store.load()
        now = self._clock.now()
        if stored is not None and stored[0] == self._plan_text:
            state = stored[1]
            same = (state.uid, state.generation) == (view.uid, view.generation)
            if not state.ended or (state.phase in ("promoted", "rolled back") and same):
                return state_machine.continued(state, now)
        state = state_machine.start(view, now)
        self._save(state)
        return state

    async def _tick(self, state: RunState) -> RunState:
        """One decision, and the write that it requires."""
        watched = False
        try:
            view, status = await asyncio.to_thread(self._view)
            command = await asyncio.to_thread(self._store.take_command)
            if state.phase in state_machine.WATCHING and not state.intent:
                state = await self._watch(state, view, status)
            watched = state.phase in state_machine.WATCHING
            state = state_machine.decide(self._plan, state, view, self._clock.now(), command)
            await asyncio.to_thread(self._store.renew)
            await asyncio.to_thread(self._save, state)
            self._notify(state)
            if state.intent:
                state = await asyncio.to_thread(self._carry_out, state, status)
        except RefusedError as refused:
            if not refused.transient:
                raise
        if not (watched and state.phase in state_machine.WATCHING):
            await self._clock.sleep(_POLL_S)
        return state

    async def _watch(self, state: RunState, view: ClusterView, status: RolloutStatus) -> RunState:
        """Send rounds of requests until the tick is over or a gate fails, and judge all gates."""
        ends = self._clock.now() + TICK_S
        evidence, percent = state.evidence, state.percent(self._plan)
        if self._rounds is None or view.missing:
            await self._clock.sleep(TICK_S)
        else:
            pause_s = 1 / self._plan.probe.rate if self._plan.probe else TICK_S
            while self._clock.now() < ends and not self._must_stop(evidence):
                due = self._clock.now() + pause_s
                result = await asyncio.to_thread(self._rounds, status)
                evidence = evidence.add(result.outcomes, result.pairs)
                await self._clock.sleep(max(due - self._clock.now(), 0.0))
        evidence = await asyncio.to_thread(self._read_queries, evidence)
        return replace(state, evidence=evidence, results=state_machine.judge(self._plan, evidence, percent))

    def _must_stop(self, evidence: Evidence) -> bool:
        """Whether a gate on errors has failed already. The others can wait for the end of the tick."""
        gates = [gate for gate in self._plan.gates if isinstance(gate, ErrorsGate)]
        return any(gate.has_failed(evidence, self._plan.alpha_of(gate)) for gate in gates)

    def _read_queries(self, evidence: Evidence) -> Evidence:
        readings = dict(evidence.readings)
        for gate in self._plan.gates:
            if isinstance(gate, PrometheusGate):
                value = query_value(gate.url, gate.query)
                samples = query_value(gate.url, gate.samples) if gate.samples else None
                readings[gate.query] = gate.read(readings.get(gate.query, Reading()), value, samples)
        return replace(evidence, readings=readings)

    def _carry_out(self, state: RunState, status: RolloutStatus) -> RunState:
        """Make the intended write, and store that it was made."""
        assert state.intent is not None
        if (status.uid, status.generation) != (state.uid, state.generation):
            return state  # it was read before the state: the next tick compares them
        after = self._write(state.intent, status)
        state = state_machine.written(state, _view_of(after))
        self._save(state)
        return state

    def _view(self) -> tuple[ClusterView, RolloutStatus]:
        status, knative = self._rollout.status_and_service()
        missing, failure = progress.missing(status, knative), progress.failure(status, knative)
        return replace(_view_of(status), missing=missing, failure=failure), status

    def _save(self, state: RunState) -> None:
        self._store.save(self._plan_text, state)

    def _notify(self, state: RunState) -> None:
        if self._on_change and state != self._shown:
            self._shown = state
            self._on_change(self._plan, state)


def carry_out(rollout: Rollout, intent: Intent, seen: RolloutStatus) -> RolloutStatus:
    """Make a write of the state machine with the rollout's methods."""
    if intent.percent is None:
        return rollout.promote(seen=seen)
    if intent.percent == 0 and not intent.model:
        return rollout.pin(seen=seen)
    if intent.model and intent.model == seen.model and seen.canary_percent is None:
        raise NotPossibleError(f"{rollout.name}: all users have the model {intent.model} already. Name another one.")
    if intent.model:
        return rollout.canary(intent.model, intent.percent, tag_routing=True, seen=seen)
    if seen.canary_percent is None:
        raise NotPossibleError(
            f"{rollout.name}: there is no canary to roll out. Name its model in the plan: model: gs://…")
    return rollout.canary(percent=intent.percent, seen=seen)


def _view_of(status: RolloutStatus) -> ClusterView:
    return ClusterView(
        uid=status.uid,
        generation=status.generation,
        requested_percent=status.requested_percent,
        model=status.model,
        missing="the change has just been written",
        canary_has_users=bool(status.percents.get(status.latest_created)),
        changed_by=status.changed_by,
    )
