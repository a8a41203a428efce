"""The state of a gated rollout in the cluster: a ConfigMap, and a Lease that only one runner can hold."""

from __future__ import annotations

import json
import os
import socket
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from kserve_nb.access.api_client import Client, RefusedError, Resource
from kserve_nb.gates.execution.run_state import RunState
from kserve_nb.gates.execution.state_machine import COMMANDS, Command
from kserve_nb.rollout.errors import NotPossibleError
from kserve_nb.rollout.waiting import WaitClock
from kserve_nb.values.text.readable_error import ReadableError

CONFIG_MAP = Resource("", "v1", "configmaps")
LEASE = Resource("coordination.k8s.io", "v1", "leases")
LEASE_S = 10  # without a renewal, after which another runner may take over
_POLL_S = 0.5
_TRIES = 10


class LeaseLostError(ReadableError, RuntimeError):
    """Another runner holds the Lease, so this one may not write any more."""


def object_name(rollout: str) -> str:
    """The name of the ConfigMap and of the Lease of an InferenceService's rollout.

    >>> object_name("sklearn-iris")
    'kserve-nb-rollout-sklearn-iris'
    """
    return f"kserve-nb-rollout-{rollout}"


class RunStore:
    """Reads and writes the state of one rollout. Every write shows that no other runner has taken over."""

    def __init__(self, client: Client, rollout: str, clock: WaitClock):
        self._client, self._rollout, self._name, self._clock = client, rollout, object_name(rollout), clock
        self.holder = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"

    # --- lease -------------------------------------------------------------------------------------------------

    async def acquire(self) -> None:
        """Take the Lease, if necessary after a runner that ended without releasing it.

        The time of the other machine is not compared with the time here: the Lease is free if it does not change for
        as long as it lasts.

        Raises:
            NotPossibleError: another runner renews it.
        """
        seen, since = None, self._clock.now()
        while True:
            lease = self._client.find(LEASE, self._name)
            if lease is None and self._create(LEASE, {"spec": self._lease_spec()}):
                break
            spec = (lease or {}).get("spec") or {}
            holder = spec.get("holderIdentity")
            expired = self._clock.now() - since > (spec.get("leaseDurationSeconds") or LEASE_S)
            if lease and (not holder or expired) and self._take(lease):
                break
            if seen not in (None, spec.get("renewTime")):
                raise NotPossibleError(
                    f"{self._rollout}: the runner {holder} follows it already. Wait for it, or end it: "
                    f"kserve-nb rollout {self._rollout} --abort")
            seen = spec.get("renewTime") or seen
            await self._clock.sleep(_POLL_S)
        self._claim()

    def renew(self) -> None:
        """Renew the Lease. Raises LeaseLostError if another runner holds it."""
        lease = self._client.find(LEASE, self._name)
        if lease is None or (lease.get("spec") or {}).get("holderIdentity") != self.holder or not self._take(lease):
            raise LeaseLostError(f"{self._rollout}: another runner has taken over. This one changes nothing more.")

    def release(self) -> None:
        """Release the Lease, if this runner holds it."""
        lease = self._client.find(LEASE, self._name)
        if lease and (lease.get("spec") or {}).get("holderIdentity") == self.holder:
            self._patch(LEASE, lease, {"spec": {"holderIdentity": ""}})

    def _take(self, lease: Mapping[str, Any]) -> bool:
        return self._patch(LEASE, lease, {"spec": self._lease_spec()})

    def _lease_spec(self) -> dict[str, Any]:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return {"holderIdentity": self.holder, "leaseDurationSeconds": LEASE_S, "renewTime": now}

    # --- state -------------------------------------------------------------------------------------------------

    def load(self) -> tuple[str, RunState] | None:
        """The plan as YAML and the state that were stored last; None if there are none."""
        data = (self._client.find(CONFIG_MAP, self._name) or {}).get("data") or {}
        if not data.get("state"):
            return None
        return data.get("plan", ""), RunState.of(json.loads(data["state"]))

    def save(self, plan: str, state: RunState) -> None:
        """Store the plan and the state. Raises LeaseLostError if another runner has taken over."""
        self._write({"plan": plan, "state": json.dumps(state.to_dict())})

    def send(self, command: Command) -> None:
        """Leave a command for the runner. Raises NotPossibleError if no rollout has been stored."""
        if command not in COMMANDS:
            raise ValueError(f"There is no command {command!r}. The commands are: {', '.join(COMMANDS)}.")
        found = self.load()
        if found is None or found[1].ended:
            raise NotPossibleError(
                f"{self._rollout}: no gated rollout is in progress. Start one: await rollout.follow(plan)")
        self._client.patch(CONFIG_MAP, self._name, {"data": {"command": command}})

    def take_command(self) -> Command | None:
        """The command that a user left, which is removed."""
        found = self._client.find(CONFIG_MAP, self._name) or {}
        command = (found.get("data") or {}).get("command")
        if command is None or not self._patch(CONFIG_MAP, found, {"data": {"command": None}}):
            return None  # after a conflict the command is still there, and is taken next time
        return next((known for known in COMMANDS if known == command), None)

    def _claim(self) -> None:
        """Register this runner as the writer of the ConfigMap, so that writes of an earlier runner fail."""
        if self._client.find(CONFIG_MAP, self._name) is None:
            self._create(CONFIG_MAP, {"data": {"holder": self.holder}})
        self._write({"holder": self.holder, "command": None}, claim=True)

    def _write(self, data: Mapping[str, Any], *, claim: bool = False) -> None:
        for _ in range(_TRIES):
            found = self._client.find(CONFIG_MAP, self._name)
            if found is None:
                raise LeaseLostError(
                    f"{self._rollout}: the ConfigMap {self._name} was deleted. Start the rollout again.")
            if not claim and (found.get("data") or {}).get("holder") != self.holder:
                break
            if self._patch(CONFIG_MAP, found, {"data": data}):
                return
        raise LeaseLostError(f"{self._rollout}: another runner has taken over. This one changes nothing more.")

    # --- objects -----------------------------------------------------------------------------------------------

    def _create(self, kind: Resource, body: Mapping[str, Any]) -> bool:
        """Create the object; False if it exists."""
        api = f"{kind.group}/{kind.version}".lstrip("/")
        names = {"apiVersion": api, "kind": "Lease" if kind is LEASE else "ConfigMap"}
        try:
            self._client.create(kind, {**names, "metadata": {"name": self._name}, **body})
        except RefusedError as refused:
            if refused.reason != "AlreadyExists":
                raise
            return False
        return True

    def _patch(self, kind: Resource, seen: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
        """Change the object if it is still as it was seen; False if it is not."""
        version = {"metadata": {"resourceVersion": seen["metadata"].get("resourceVersion")}}
        try:
            self._client.patch(kind, self._name, {**version, **body})
        except RefusedError as refused:
            if refused.reason not in ("Conflict", "NotFound"):
                raise
            return False
        return True
