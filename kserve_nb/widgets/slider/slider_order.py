"""What a slider can be told to do, in words before it is done, and why it cannot be done now: pure."""

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

Verb = Literal["apply", "promote", "pin", "back"]
VERBS: tuple[Verb, ...] = ("apply", "promote", "pin", "back")
PRESETS = (0, 1, 5, 10, 25, 50, 100)
BIG_STEP = 25  # points that a rise may have before it is asked about twice


@dataclass(frozen=True)
class Order:
    """A percent to write, and by which button; None takes the field away: all users get LATEST."""

    verb: Verb
    percent: int | None

    @property
    def share(self) -> int:
        """What LATEST gets by it."""
        return 100 if self.percent is None else self.percent

    @property
    def patch(self) -> dict[str, Any]:
        """The merge patch that it is."""
        return {"spec": {"predictor": {"canaryTrafficPercent": self.percent}}}

    def command(self, name: str, namespace: str) -> str:
        """The same as a command."""
        patch = json.dumps(self.patch, separators=(",", ":"))
        return f"kubectl patch isvc {name} -n {namespace} --type=merge -p '{patch}'"


def asked_share(status: RolloutStatus | None) -> int:
    """What LATEST is asked to get: no percent means everybody."""
    return 100 if status is None or status.requested_percent is None else status.requested_percent


def order_of(verb: Verb, percent: int, before: Order | None) -> Order:
    """What a button orders: `percent` is where the handle stands, `before` the split before this one."""
    if verb == "back" and before:
        return before
    return Order(verb, {"apply": percent, "promote": None, "pin": 0}.get(verb, percent))


def points(order: Order, status: RolloutStatus | None) -> int:
    """By how many points the share of LATEST rises; below 0 where it falls."""
    return order.share - asked_share(status)


def plan(order: Order, status: RolloutStatus | None) -> str:
    """What an order changes, and what KServe will do about it."""
    now = status.requested_percent if status else None
    change = manifest.percent_change(now, order.percent)
    return f"changes {asked_share(status)} → {order.share} %: {change.consequence}"


def question(order: Order, status: RolloutStatus) -> str:
    """What is confirmed by Yes, with the names of those whom it is about."""
    latest, previous = _names(status)
    if order.verb == "promote":
        return (
            f"Promote {latest}: all users get it, and a roll back leads to it from then on. "
            f"{previous} loses its pod about a minute after its last request. Do it?"
        )
    if order.verb == "pin":
        return f"Pin previous: all users go back to {previous}; {latest} keeps its pod and gets nobody. Do it?"
    begin = "Back to the last split" if order.verb == "back" else "Apply"
    return f"{begin}: {latest} gets {order.share} % of the users, {previous} the other {100 - order.share} %. Do it?"


def second_question(order: Order, status: RolloutStatus) -> str:
    """What is asked once more where many users would be moved at once; empty where they are few."""
    more = points(order, status)
    if more <= BIG_STEP:
        return ""
    latest, _ = _names(status)
    return f"That is {more} points at once: of 100 users {more} more meet {latest}. More than {BIG_STEP}: really?"


def expected(order: Order, status: RolloutStatus | None) -> str:
    """What becomes of users and pods."""
    more = points(order, status)
    users = f"of 100 users {abs(more)} {'more' if more > 0 else 'fewer'} meet LATEST"
    pods = "only the pods of LATEST stay in the end" if order.share == 100 else "both revisions keep their pods"
    return f"{users}; {pods}"


def locked(seen: Snapshot, status: RolloutStatus | None, *, looked: bool, read_only: str, nothing: str) -> str:
    """Why nothing at all can be ordered; empty where something can."""
    if seen.state == "closed":
        return "closed: this is how it was. Run the cell again for a live one"
    if status is None:
        return f"{nothing}. rollout.deploy(model) makes one" if looked else "looking at the cluster"
    if read_only:
        return f"read-only: {read_only}"
    if kserve_versions.ignores_canary(status.mode):
        return f"it runs in {status.mode} mode, where a canary percent does nothing"
    if not status.latest_rolledout:
        return "the first revision is not ready yet. await rollout.wait()"
    if status.previous is None and not status.previous_rolledout:
        return "first rollout: nothing to split with. Bring a second model: rollout.canary(model, percent=10)"
    return ""


def blocked(seen: Snapshot, status: RolloutStatus | None, wish: Order, before: Order | None) -> Mapping[Verb, str]:
    """Why each button cannot be pressed now, by its name; those that can are left out."""
    if status is None:
        return dict.fromkeys(VERBS, "nothing is known yet")
    share = asked_share(status)
    same = f"nothing to apply: {share} % is what is asked. Drag the handle, or use arrow keys"
    why: dict[Verb, str] = {
        "apply": same if share == wish.share else _detour(seen, status, wish),
        "promote": "LATEST has all users already" if share == 100 else _detour(seen, status, Order("promote", None)),
        "pin": "PREV has all users already" if share == 0 else "",
        "back": _detour(seen, status, before) if before else "no other split of this model was seen",
    }
    return {verb: reason for verb, reason in why.items() if reason}


def _detour(seen: Snapshot, status: RolloutStatus, order: Order) -> str:
    models = {revision.name: revision.model for revision in seen.revisions}
    return progress.detour(status, order.share, None, models)


def _names(status: RolloutStatus) -> tuple[str, str]:
    """LATEST and PREV with their numbers, as far as they have any."""
    previous = status.previous.revision if status.previous else status.previous_rolledout
    latest = status.latest.revision if status.latest else status.latest_created
    return tuple(f"{role} ({short(name)})" if name else role for role, name in (("LATEST", latest), ("PREV", previous)))  # type: ignore[return-value]
