"""One change of the canary percent: its description, its consequences, and why it may not be possible now. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kserve_nb.observe.snapshot import Snapshot
from kserve_nb.rollout import progress
from kserve_nb.values import kserve_versions, manifest
from kserve_nb.values.revisions import short
from kserve_nb.values.rollout_status import RolloutStatus

Action = Literal["apply", "promote", "pin", "back"]
ACTIONS: tuple[Action, ...] = ("promote", "pin", "back", "apply")
PRESETS = (0, 1, 5, 10, 25, 50, 100)
BIG_STEP = 25  # points; a bigger increase is confirmed twice


@dataclass(frozen=True)
class TrafficChange:
    """A canary percent to write, and the button that chose it; None removes the field, so LATEST gets all traffic."""

    action: Action
    percent: int | None

    @property
    def latest_percent(self) -> int:
        """The percent that LATEST gets."""
        return 100 if self.percent is None else self.percent

    @property
    def patch(self) -> dict[str, Any]:
        """The change as a merge patch."""
        return {"spec": {"predictor": {"canaryTrafficPercent": self.percent}}}

    def command(self, name: str, namespace: str) -> str:
        """The change as a kubectl command."""
        patch = json.dumps(self.patch, separators=(",", ":"))
        return f"kubectl patch isvc {name} -n {namespace} --type=merge -p '{patch}'"


def requested_percent(status: RolloutStatus | None) -> int:
    """The percent that the spec requests for LATEST; 100 if the field is absent."""
    return 100 if status is None or status.requested_percent is None else status.requested_percent


def change_of(action: Action, draft_percent: int, previous: TrafficChange | None) -> TrafficChange:
    """The change that a button makes.

    Args:
        draft_percent: the percent of the handle.
        previous: the split before the current one, for Back.
    """
    if action == "back" and previous:
        return previous
    return TrafficChange(action, {"apply": draft_percent, "promote": None, "pin": 0}.get(action, draft_percent))


def increase(change: TrafficChange, status: RolloutStatus | None) -> int:
    """By how many points the percent of LATEST rises; negative if it falls."""
    return change.latest_percent - requested_percent(status)


def consequence(change: TrafficChange, status: RolloutStatus | None) -> str:
    """What KServe does after the change."""
    now = status.requested_percent if status else None
    return manifest.percent_change(now, change.percent).consequence


def effect(change: TrafficChange, status: RolloutStatus | None) -> str:
    """How many users and which pods are affected."""
    points = increase(change, status)
    if not points:
        return "no user and no pod is affected"
    users = (
        f"{abs(points)} of 100 requests more reach LATEST"
        if points > 0
        else (f"{abs(points)} of 100 requests fewer reach LATEST")
    )
    pods = "in the end only LATEST keeps its pods" if change.latest_percent == 100 else "both revisions keep their pods"
    return f"{users}; {pods}"


def question(change: TrafficChange, status: RolloutStatus) -> str:
    """The question that Yes confirms, with the revisions that it affects."""
    latest, previous = _names(status)
    if change.action == "promote":
        return (
            f"Promote {latest}? It gets all traffic, and later rollbacks return to it. {previous} gets no more "
            "requests, and its pod is removed after the scale-down waiting period."
        )
    if change.action == "pin":
        return f"Pin the previous revision? {previous} gets all traffic; {latest} keeps its pod and gets none."
    rest = (
        f"{latest} gets {change.latest_percent} % of the traffic, {previous} {100 - change.latest_percent} %."
    )
    return f"{'Return to the last split' if change.action == 'back' else 'Apply'}? {rest}"


def second_question(change: TrafficChange, status: RolloutStatus) -> str:
    """The second confirmation of a big increase; empty for a small one."""
    points = increase(change, status)
    if points <= BIG_STEP:
        return ""
    latest, _ = _names(status)
    more = f"{points} of 100 requests more reach {latest}"
    return f"This moves {points} points at once, more than {BIG_STEP}: {more}. Continue?"


def unavailable(snapshot: Snapshot, status: RolloutStatus | None, *, synced: bool, read_only: str, absent: str) -> str:
    """Why no change at all is possible; empty if one is.

    Args:
        synced: whether the cluster has been read.
        absent: what to say if there is no InferenceService.
    """
    if snapshot.state == "closed":
        return "this view is closed. Run the cell again for a live one"
    if status is None:
        return f"{absent}. Create it: rollout.deploy(model)" if synced else "connecting to the cluster"
    if read_only:
        return f"read-only: {read_only}"
    if kserve_versions.ignores_canary(status.mode):
        return f"the InferenceService runs in {status.mode} mode, where canaryTrafficPercent has no effect"
    if not status.latest_rolledout:
        return "the first revision is not ready yet. Wait for it: await rollout.wait()"
    if status.previous is None and not status.previous_rolledout:
        return "there is only one revision. Add a second model: rollout.canary(model, percent=10)"
    return ""


def blocked(
    snapshot: Snapshot, status: RolloutStatus | None, draft_percent: int, previous: TrafficChange | None
) -> Mapping[Action, str]:
    """Why each button cannot be pressed now; buttons that can be pressed are left out."""
    if status is None:
        return dict.fromkeys(ACTIONS, "the InferenceService has not been read yet")
    now = requested_percent(status)
    apply = TrafficChange("apply", draft_percent)
    why: dict[Action, str] = {
        "apply": f"{now} % is requested already: move the handle"
        if now == draft_percent
        else _detour(snapshot, status, apply),
        "promote": "LATEST has all traffic already"
        if now == 100
        else _detour(snapshot, status, TrafficChange("promote", None)),
        "pin": "PREV has all traffic already" if now == 0 else "",
        "back": _detour(snapshot, status, previous)
        if previous
        else "this view has seen no earlier split of this model",
    }
    return {action: reason for action, reason in why.items() if reason}


def _detour(snapshot: Snapshot, status: RolloutStatus, change: TrafficChange) -> str:
    models = {revision.name: revision.model for revision in snapshot.revisions}
    return progress.detour(status, change.latest_percent, None, models)


def _names(status: RolloutStatus) -> tuple[str, str]:
    """LATEST and PREV with their revision numbers, if they have one."""
    latest = status.latest.revision if status.latest else status.latest_created
    previous = status.previous.revision if status.previous else status.previous_rolledout
    return _name("LATEST", latest), _name("PREV", previous)


def _name(role: str, revision: str) -> str:
    return f"{role} ({short(revision)})" if revision else role
