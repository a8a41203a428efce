"""The tasks of notebooks 09 to 14."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kserve_nb.observe.snapshot import Snapshot
from kserve_nb.tasks import states
from kserve_nb.tasks.first_tasks import patch_percent, percent_patch
from kserve_nb.tasks.task import CourseTask, SolutionStep, Start, Targets
from kserve_nb.values.revisions import short

REQUESTS_A_MINUTE = 600  # requests of users in task limit-harm

# --- 09: a hold ------------------------------------------------------------------------------------------------------

SMALLER_CANARY = CourseTask(
    "smaller-canary", "09_gates", "Fewer users while there is no evidence",
    "The plan is on hold at 10 %: nobody sends requests, so no gate can decide. Leave only {percent} % of the users "
    "on the canary. Promote nothing, and keep both revisions.",
    states.SPLIT, states.SPLIT_MISTAKES,
    "The runner does nothing during a hold. You can change the percent with the usual means.",
    percent_patch, patch_percent, numbers=(2, 1, 3, 4),
)  # fmt: skip


# --- 10: the users affected ------------------------------------------------------------------------------------------


def _too_many(seen: Snapshot, start: Start) -> str:
    percent = states.requested_in(seen, range(start.targets.percent + 1, 100))
    if percent is None:
        return ""
    return (f"At {percent} %, {percent * REQUESTS_A_MINUTE // 100} of {REQUESTS_A_MINUTE} requests reach the canary "
            f"in a minute. At most {start.targets.number} are allowed.")  # fmt: skip


def _too_few(seen: Snapshot, start: Start) -> str:
    percent = states.requested_in(seen, range(start.targets.percent))
    if percent is None:
        return ""
    return (f"At {percent} %, only {percent * REQUESTS_A_MINUTE // 100} requests reach the canary in a minute. "
            f"{start.targets.number} are allowed, and a larger percent finds a fault sooner.")  # fmt: skip


LIMIT_HARM = CourseTask(
    "limit-harm", "10_broken_canary", "At most so many users",
    "Users send 10 requests a second, and somebody needs one minute to notice a fault. Set the largest whole percent "
    "at which at most {number} requests reach the canary in that minute.",
    states.SPLIT, (*states.IN_PLACE_MISTAKES, states.cannot_load, states.new_revision, states.promoted, _too_many,
                   _too_few),
    f"In that minute {REQUESTS_A_MINUTE} requests arrive. Which percent of them is allowed?",
    percent_patch, patch_percent, numbers=(30, 12, 18, 24, 48),
    percent=lambda number: 100 * number // REQUESTS_A_MINUTE,
)  # fmt: skip


# --- 11: a decision --------------------------------------------------------------------------------------------------


def _with_hosts(seen: Snapshot, start: Start) -> str:
    why = states.split(seen, start)
    latest = seen.status.latest if seen.status else None
    if why or latest is None:
        return why
    return "" if latest.url else "no host leads to the new model"


def _without_hosts(seen: Snapshot, start: Start) -> str:
    before, now = start.snapshot.status, seen.status
    if before is None or now is None or not before.tag_routing or now.tag_routing:
        return ""
    return ("You removed the annotation enable-tag-routing. Without the host latest-… the next comparison is not "
            "possible, and the annotation made a new revision.")  # fmt: skip


ACT_ON_EVIDENCE = CourseTask(
    "act-on-evidence", "11_compare", "Act on the evidence",
    "No evidence speaks against the new model. Give it {percent} % of the users, and keep the hosts of both revisions "
    "for the next comparison.",
    _with_hosts, (*states.IN_PLACE_MISTAKES, states.cannot_load, _without_hosts, states.new_revision, states.promoted,
                  states.pinned, states.swapped, states.other_percent),
    "Change the percent only. The annotation stays as it is.",
    percent_patch, patch_percent, numbers=(40, 35, 45, 30),
)  # fmt: skip


# --- 12: awake -------------------------------------------------------------------------------------------------------


def _smallest(seen: Snapshot) -> int:
    """`minReplicas`; KServe's default is 1."""
    value = ((seen.document.get("spec") or {}).get("predictor") or {}).get("minReplicas")
    return value if isinstance(value, int) else 1


def _awake(seen: Snapshot, _start: Start) -> str:
    why, status = states.unsettled(seen), seen.status
    if why or status is None:
        return why
    if _smallest(seen) != 1:
        return f"minReplicas is {_smallest(seen)}"
    if status.requested_percent is not None:
        return f"it has canaryTrafficPercent: {status.requested_percent}"
    ready = [pod for pod in seen.pods if pod.revision == status.latest_ready and pod.is_ready]
    return "" if ready else "no pod is ready"


def _asleep(seen: Snapshot, _start: Start) -> str:
    if _smallest(seen) != 0 or seen.failure:
        return ""
    return "minReplicas is still 0: the pod stops again after the time without requests."


def _too_awake(seen: Snapshot, _start: Start) -> str:
    if _smallest(seen) <= 1:
        return ""
    return f"minReplicas is {_smallest(seen)}. One pod is enough for an answer without a cold start."


def _split_instead(seen: Snapshot, _start: Start) -> str:
    if states.requested(seen) is None:
        return ""
    return "A percent splits traffic between revisions. The number of pods of a revision is minReplicas."


def _awake_patch(_targets: Targets) -> Mapping[str, Any]:
    return {"spec": {"predictor": {"minReplicas": 1}}}


STAY_AWAKE = CourseTask(
    "stay-awake", "12_scale_to_zero", "No cold start for the first user",
    "Tomorrow morning the first user should not wait. Keep one pod ready all the time, and not more.",
    _awake, (*states.IN_PLACE_MISTAKES, states.cannot_load, _split_instead, _too_awake, _asleep),
    "One field of the predictor sets how many pods a revision keeps.",
    patch=_awake_patch, solution=lambda targets: [SolutionStep(patch=_awake_patch(targets))],
)  # fmt: skip


# --- 13: under load --------------------------------------------------------------------------------------------------

BACK_UNDER_LOAD = CourseTask(
    "back-under-load", "13_load", "Back to the canary, while users send requests",
    "All users have the previous model. Bring {percent} % of them to the new one again. No pod may start for it.",
    states.SPLIT, states.SPLIT_MISTAKES,
    "Both revisions have their pods. One number moves the traffic.",
    percent_patch, patch_percent, numbers=(30, 20, 35, 15),
)  # fmt: skip


# --- 14: a version is an address -------------------------------------------------------------------------------------


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
    return (f"The newest revision is still {short(start.newest)}, with {status.model}. A percent does not change "
            "the model: the storageUri has to change as well.")  # fmt: skip


def _first_for_all(seen: Snapshot, _start: Start) -> str:
    status = seen.status
    if status is None or not _is_first(status.model) or status.requested_percent not in (None, 100) or seen.failure:
        return ""
    return "All users get the first model again. Only a part of them asked for it: set canaryTrafficPercent as well."


def _first_for_none(seen: Snapshot, _start: Start) -> str:
    if states.requested(seen) != 0:
        return ""
    return "0 % gives the first model to nobody."


def _back_patch(targets: Targets) -> dict[str, Any]:
    return {"spec": {"predictor": {
        "canaryTrafficPercent": targets.percent, "model": {"storageUri": targets.model}}}}


BRING_BACK = CourseTask(
    "bring-back", "14_your_own_model", "Bring a version back",
    "Give {percent} % of the users of wine the first model again, wine/v1. The others keep the second one.",
    _back, (*states.IN_PLACE_MISTAKES, states.cannot_load, _first_for_none, _percent_alone, _first_for_all,
            states.swapped, states.other_percent),
    "A published version keeps its address. Two fields decide: which model the newest revision has, and its share.",
    _back_patch, lambda targets: [SolutionStep(patch=_back_patch(targets))], numbers=(20, 25, 30, 35),
    service="wine", model="pvc://models/wine/v1",
)  # fmt: skip

GATE_TASKS = (SMALLER_CANARY, LIMIT_HARM, ACT_ON_EVIDENCE, STAY_AWAKE, BACK_UNDER_LOAD, BRING_BACK)
