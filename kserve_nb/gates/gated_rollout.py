"""A rollout that can follow a plan, and the commands that a user gives to the runner."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from kserve_nb.access.ingress import Rows
from kserve_nb.gates.comparison import RevisionComparison, compare_revisions
from kserve_nb.gates.execution import rollout_runner
from kserve_nb.gates.execution.rollout_runner import OnChange, RolloutRunner, WallClock
from kserve_nb.gates.execution.run_state import Intent, RunState
from kserve_nb.gates.execution.run_store import RunStore
from kserve_nb.gates.execution.state_machine import Command
from kserve_nb.gates.plan import RolloutPlan
from kserve_nb.rollout.discriminating_input import find_discriminating_input
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.values.rollout_status import RolloutStatus

if TYPE_CHECKING:
    from kserve_nb.gates.load_generator import LoadResult


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

    async def load(
        self, *, rate: float = 50, duration_s: float = 10, on_start: Callable[[], object] = lambda: None
    ) -> LoadResult:
        """Send requests at a constant rate, whether or not earlier ones were answered, and return latencies and counts.

        >>> asyncio.run(rollout.load(rate=20, duration_s=1)).failed
        0

        Args:
            rate: requests a second.
            on_start: called when the first request is due.

        Raises:
            LoadError: the load is too large, or the gateway is not on this machine.
        """
        from kserve_nb.gates import load_generator  # imports an HTTP client that only this method needs

        load_generator.check(rate, duration_s, self.ingress.address, attached=False)
        status = self.status()
        known = await asyncio.to_thread(find_discriminating_input, self, status)
        on_start()
        return await load_generator.send(
            self.ingress.address, self.host(), self.name, known, status, rate=rate, duration_s=duration_s)

    def compare(self, rows: Rows | None = None) -> RevisionComparison:
        """Send the same rows to both revisions, which no user notices. Needs the hosts of both tags: `rollout.tag()`.

        Args:
            rows: by default the rollout's, or flowers over the whole range of iris.
        """
        return compare_revisions(self, rows)

    def pause(self) -> None:
        """Keep the runner at the present step. A gate that fails still rolls back."""
        self._send("pause")

    def resume(self) -> None:
        """Make the runner go on after a pause or a hold."""
        self._send("resume")

    def skip(self) -> None:
        """Make the runner go to the next step, whatever the gates report."""
        self._send("skip")

    def abort(self) -> None:
        """End the runner, and leave traffic unchanged."""
        self._send("abort")

    def roll_back(self) -> None:
        """Make the runner give all users the previous revision, and end."""
        self._send("rollback")

    def _send(self, command: Command) -> None:
        self._store().send(command)

    def _store(self) -> RunStore:
        return RunStore(self.client, self.name, WallClock())

    def _carry_out(self, intent: Intent, seen: RolloutStatus) -> RolloutStatus:
        return rollout_runner.carry_out(self, intent, seen)
