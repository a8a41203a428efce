"""A rollout that can follow a plan, and the commands that a user gives to the runner."""

from __future__ import annotations

from kserve_nb.gates.execution import rollout_runner
from kserve_nb.gates.execution.rollout_runner import OnChange, RolloutRunner, WallClock
from kserve_nb.gates.execution.run_state import Intent, RunState
from kserve_nb.gates.execution.run_store import RunStore
from kserve_nb.gates.execution.state_machine import Command
from kserve_nb.gates.plan import RolloutPlan
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.values.rollout_status import RolloutStatus


class GatedRollout(Rollout):
    """An InferenceService whose traffic can be moved step by step, as a plan and its gates allow.

    The runner stores its state in the namespace. Another process can therefore read it, continue it after the first
    one was killed, and give commands: `pause`, `resume`, `skip`, `abort` and `roll_back`.

    >>> rollout = lab.rollout("sklearn-iris")
    >>> rollout.run_state() is None
    True
    """

    async def follow(self, plan: RolloutPlan, *, on_change: OnChange | None = None) -> RunState:
        """Follow a plan until it has promoted the canary, rolled it back, or is on hold at the end of its time.

        A plan that was followed before and has not ended is continued where it was.

        Args:
            on_change: called with the plan and the state after every change.

        Raises:
            NotPossibleError: another runner follows a plan for this InferenceService, or there is no canary.
        """
        clock = WallClock()
        runner = RolloutRunner(self, plan, RunStore(self.client, self.name, clock), self._carry_out, clock, on_change)
        return await runner.run()

    def run_state(self) -> RunState | None:
        """The state of the plan that was followed last; None if there was none."""
        stored = self._store().load()
        return stored[1] if stored else None

    def pause(self) -> None:
        """Let the runner stay at the present step. A gate that fails still rolls back."""
        self._send("pause")

    def resume(self) -> None:
        """Let the runner go on after a pause or a hold."""
        self._send("resume")

    def skip(self) -> None:
        """Let the runner go to the next step, whatever the gates say."""
        self._send("skip")

    def abort(self) -> None:
        """Let the runner end and leave traffic as it is."""
        self._send("abort")

    def roll_back(self) -> None:
        """Let the runner give all users the previous revision, and end."""
        self._send("rollback")

    def _send(self, command: Command) -> None:
        self._store().send(command)

    def _store(self) -> RunStore:
        return RunStore(self.client, self.name, WallClock())

    def _carry_out(self, intent: Intent, seen: RolloutStatus) -> RolloutStatus:
        return rollout_runner.carry_out(self, intent, seen)
