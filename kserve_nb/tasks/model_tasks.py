"""The task of notebook 14."""

from __future__ import annotations

from typing import Any

from kserve_nb.observe.snapshot import Snapshot
from kserve_nb.tasks import states
from kserve_nb.tasks.task import CourseTask, SolutionStep, Start, Targets
from kserve_nb.values.revisions import short

_FIRST = "pvc://models/wine/v1"


def _is_first(model: str) -> bool:
    """Whether this is the first version, in whichever storage it is."""
    return model.rstrip("/").endswith("/v1")


def _back(seen: Snapshot, start: Start) -> str:
    why, status = states.unsettled(seen), seen.status
    if why or status is None:
        return why
    if not _is_first(status.model):
        return f"the newest revision has the model {status.model}"
    latest, previous = status.latest, status.previous
    if not latest or not previous or latest.percent != start.targets.percent or latest.revision == previous.revision:
        return f"the traffic is {states.percents(seen)}"
    return ""


def _percent_alone(seen: Snapshot, start: Start) -> str:
    status = seen.status
    if status is None or status.latest_created != start.newest or states.requested(seen) is None:
        return ""
    return (f"The newest revision is still {short(start.newest)}, with {status.model}. A percent brings no other "
            "model: the storageUri has to change as well.")  # fmt: skip


def _all_users(seen: Snapshot, _start: Start) -> str:
    status = seen.status
    if status is None or not _is_first(status.model) or status.requested_percent not in (None, 100) or seen.failure:
        return ""
    return "All users get the first model again. Only a part of them asked for it: set canaryTrafficPercent as well."


def _nobody(seen: Snapshot, _start: Start) -> str:
    if states.requested(seen) != 0:
        return ""
    return "0 % gives the first model to nobody."


def _patch(targets: Targets) -> dict[str, Any]:
    return {"spec": {"predictor": {
        "canaryTrafficPercent": targets.percent, "model": {"storageUri": targets.model}}}}


BRING_BACK = CourseTask(
    "bring-back", "14_your_own_model", "Bring a version back",
    "Give {percent} % of the users of wine the first model again, wine/v1. The others keep the second one.",
    _back, (*states.IN_PLACE_MISTAKES, states.cannot_load, _nobody, _percent_alone, _all_users, states.swapped,
            states.other_percent),
    "A published version keeps its address. Two fields decide: which model the newest revision has, and its share.",
    _patch, lambda targets: [SolutionStep(patch=_patch(targets))], numbers=(20, 25, 30, 35),
    service="wine", model=_FIRST,
)  # fmt: skip

MODEL_TASKS = (BRING_BACK,)
