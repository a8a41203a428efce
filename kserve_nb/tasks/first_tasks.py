"""The tasks of notebooks 01 to 05."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from kserve_nb.observe.snapshot import Snapshot
from kserve_nb.tasks import states
from kserve_nb.tasks.task import TUTORIAL_SERVICE, CourseTask, SolutionStep, Start, Targets
from kserve_nb.values.manifest import MODEL_2, inference_service
from kserve_nb.values.revisions import short

SEEN_PERCENT = 95  # task see-in-ten: in so many of 100 tries a sample has to reach the canary
WIDTH = 4  # task measure-the-share: points above and below
_Z = 1.96  # the factor of a 95 % interval


def smallest_seen(requests: int) -> int:
    """The smallest percent at which this many requests reach the canary in 95 of 100 tries.

    >>> smallest_seen(10)
    26
    """
    return next(percent for percent in range(1, 100) if missed(percent, requests) <= 100 - SEEN_PERCENT)


def missed(percent: int, requests: int) -> float:
    """In how many of 100 tries no request reaches the canary.

    >>> round(missed(10, 10))
    35
    """
    return float(100 * (1 - percent / 100) ** requests)


def largest_measured(requests: int) -> int:
    """The largest percent below 50 that this many requests measure to ±4 points.

    >>> largest_measured(200)
    9
    """
    return max(percent for percent in range(1, 50) if half_width(percent, requests) <= WIDTH)


def half_width(percent: int, requests: int) -> float:
    """Half the width of the 95 % interval around a percent, in points.

    >>> round(half_width(10, 1000), 1)
    1.9
    """
    share = percent / 100
    return 100 * _Z * math.sqrt(share * (1 - share) / requests)


def percent_patch(targets: Targets) -> Mapping[str, Any]:
    """The merge patch of a percent."""
    return {"spec": {"predictor": {"canaryTrafficPercent": targets.percent}}}


def patch_percent(targets: Targets) -> tuple[SolutionStep, ...]:
    """The solution of a task: one merge patch of the percent."""
    return (SolutionStep(patch=percent_patch(targets)),)


# --- 01: all at once -------------------------------------------------------------------------------------------------


def _all_at_once(seen: Snapshot, start: Start) -> str:
    why, status = states.unsettled(seen), seen.status
    if why or status is None:
        return why
    if status.model != MODEL_2:
        return f"the model is {status.model}"
    if status.requested_percent not in (None, 100) or status.previous or not status.latest:
        return f"the traffic is {states.percents(seen)}"
    return "" if status.latest.revision != start.newest else "no revision has been created"


def _has_percent(seen: Snapshot, _start: Start) -> str:
    percent = states.requested(seen)
    if percent in (None, 100) or percent > 100:
        return ""
    return f"You set canaryTrafficPercent: {percent}. Here all users get the new model, so leave that field out."


def _same_model(seen: Snapshot, start: Start) -> str:
    before, now = start.snapshot.status, seen.status
    if before is None or now is None or now.model != before.model or now.latest_created == before.latest_created:
        return ""
    return (f"Revision {short(now.latest_created)} has the old model: a label, an annotation or another setting has "
            "changed. The address of the model is storageUri.")  # fmt: skip


ALL_AT_ONCE = CourseTask(
    "all-at-once", "01_first_inference_service", "A second model, all at once",
    "Give all users the model `{model}`, at once and without a percent.",
    _all_at_once, (*states.IN_PLACE_MISTAKES, states.cannot_load, _has_percent, _same_model),
    "A new storageUri makes a new revision. Everything else of the InferenceService stays as it is.",
    patch=lambda targets: {"spec": {"predictor": {"canaryTrafficPercent": None, "model": {"storageUri": MODEL_2}}}},
    solution=lambda targets: [SolutionStep(patch={"spec": {"predictor": {"model": {"storageUri": MODEL_2}}}})],
)  # fmt: skip


# --- 02: a second service behind the same gateway ------------------------------------------------------------------


def _served(seen: Snapshot, start: Start) -> str:
    why, status = states.unsettled(seen), seen.status
    if why or status is None:
        return why
    if status.model != start.targets.model:
        return f"its model is {status.model}"
    if status.requested_percent is not None:
        return f"it has canaryTrafficPercent: {status.requested_percent}"
    return "" if status.url else "it has no URL yet"


def _other_model(seen: Snapshot, start: Start) -> str:
    status = seen.status
    if status is None or seen.failure or status.model == start.targets.model:
        return ""
    return f"It serves {status.model}. The task names the other one of the two models."


def _needless_percent(seen: Snapshot, _start: Start) -> str:
    if states.requested(seen) is None:
        return ""
    return "A first revision has no previous one to share traffic with. Remove canaryTrafficPercent."


def _service_document(targets: Targets) -> dict[str, Any]:
    return inference_service(targets.service, targets.model)


SECOND_SERVICE = CourseTask(
    "second-service", "02_ingress_and_predictions", "A second service behind the same gateway",
    "Create the InferenceService `{service}` with the model `{model}`, so that the gateway serves both. Its host "
    "differs from the first one's only in the name.",
    _served, (states.deleted, states.cannot_load, _other_model, _needless_percent),
    "Take the YAML of notebook 01. Two values in it are different here: metadata.name and storageUri.",
    patch=_service_document,
    solution=lambda targets: [SolutionStep(_service_document(targets))],
    draws_service=True, minutes=4,
)  # fmt: skip


# --- 03: the percent -------------------------------------------------------------------------------------------------

CANARY_PERCENT = CourseTask(
    "canary-percent", "03_canary", "Another share of the users",
    "Send {percent} % of the users to the new model, and leave {rest} % on the old one. No pod may start for it.",
    states.SPLIT, states.SPLIT_MISTAKES,
    "One field sets the share: canaryTrafficPercent.",
    percent_patch, patch_percent, numbers=(35, 15, 25, 40, 45),
)  # fmt: skip


def _dark(seen: Snapshot, start: Start) -> str:
    why = states.split(seen, start)
    latest = seen.status.latest if seen.status else None
    if why or latest is None:
        return why
    ready = [pod for pod in seen.pods if pod.revision == latest.revision and pod.is_ready]
    return "" if ready else f"no pod of {short(latest.revision)} is ready"


def _still_users(seen: Snapshot, _start: Start) -> str:
    percent = states.requested_in(seen, range(1, 100))
    if percent is None:
        return ""
    return f"{percent} % of the users still get the new model. Nobody should."


DARK_LAUNCH = CourseTask(
    "dark-launch", "03_canary", "A launch that no user sees",
    "Keep the new model running and ready, but send no user to it.",
    _dark, (states.deleted, states.created_again, states.over_hundred, states.cannot_load, states.new_revision,
            states.promoted, _still_users),
    "The new revision keeps its pod as long as the traffic list names it, whatever its percent is.",
    percent_patch, patch_percent, percent=lambda number: 0,
)  # fmt: skip


# --- 04: the old schema ----------------------------------------------------------------------------------------------


def _old_schema(seen: Snapshot, start: Start) -> str:
    why, predictor = states.split(seen, start), states.applied_predictor(seen)
    if why:
        return why
    if "sklearn" not in predictor or "model" in predictor:
        return f"the manifest that was applied last has {', '.join(sorted(predictor)) or 'no predictor'}"
    return ""


def _both_blocks(seen: Snapshot, start: Start) -> str:
    predictor = states.applied_predictor(seen)
    if not {"sklearn", "model"} <= set(predictor) or predictor == states.applied_predictor(start.snapshot):
        return ""
    return "Your manifest has both blocks, model: and sklearn:. The old one wins silently. Keep only sklearn:."


def _new_schema(seen: Snapshot, start: Start) -> str:
    if states.requested(seen) != start.targets.percent:
        return ""
    return ("The percent is right, but it did not come from a manifest in the old schema. Apply one: sklearn: in place "
            "of model:, and no modelFormat.")  # fmt: skip


def _old_document(targets: Targets) -> dict[str, Any]:
    return inference_service(TUTORIAL_SERVICE, MODEL_2, percent=targets.percent, old_schema=True)


OLD_SCHEMA = CourseTask(
    "old-schema", "04_old_schema", "A change in the old schema",
    "Apply a manifest in the old schema that sends {percent} % of the users to the new model. The model stays "
    "`{model}`, and the manifest has only one of the two blocks.",
    _old_schema, (*states.IN_PLACE_MISTAKES, states.cannot_load, _both_blocks, states.new_revision, _new_schema,
                  states.promoted, states.pinned, states.swapped, states.other_percent),
    "Start from the YAML of *The same canary, in the old schema*. One number in it is different here.",
    percent_patch, lambda targets: [SolutionStep(_old_document(targets))], numbers=(20, 15, 30, 40),
)  # fmt: skip


# --- 05: how much can be seen ----------------------------------------------------------------------------------------


def _too_rare(seen: Snapshot, start: Start) -> str:
    percent, requests = states.requested_in(seen, range(start.targets.percent)), start.targets.number
    if percent is None:
        return ""
    return (f"At {percent} %, none of {requests} requests reaches the canary in {missed(percent, requests):.0f} of 100 "
            f"tries: {1 - percent / 100:.2f} to the power of {requests}. At most 5 are allowed.")  # fmt: skip


def _more_than_needed(seen: Snapshot, start: Start) -> str:
    percent, requests = states.requested_in(seen, range(start.targets.percent + 1, 100)), start.targets.number
    if percent is None:
        return ""
    return (f"At {percent} %, {requests} requests miss the canary in only {missed(percent, requests):.1f} of 100 "
            "tries. A smaller percent is enough.")  # fmt: skip


SEE_IN_TEN = CourseTask(
    "see-in-ten", "05_more_requests", "The smallest canary that a small sample shows",
    "Set the smallest whole percent at which {number} requests reach the canary at least once in 95 of 100 tries.",
    states.SPLIT, (*states.IN_PLACE_MISTAKES, states.cannot_load, states.new_revision, states.promoted, _too_rare,
                   _more_than_needed),
    "No request reaches the canary with the probability (1 − percent/100) to the power of the number of requests.",
    percent_patch, patch_percent, numbers=(10, 8, 12, 15, 20), percent=smallest_seen, minutes=5,
)  # fmt: skip


def _too_wide(seen: Snapshot, start: Start) -> str:
    percent, requests = states.requested_in(seen, range(start.targets.percent + 1, 100)), start.targets.number
    if percent is None:
        return ""
    if percent >= 50:
        return f"{percent} % is not below 50."
    return f"At {percent} %, {requests} requests leave ±{half_width(percent, requests):.1f} points, more than ±{WIDTH}."


def _could_be_larger(seen: Snapshot, start: Start) -> str:
    percent, requests = states.requested_in(seen, range(start.targets.percent)), start.targets.number
    if percent is None:
        return ""
    return (f"At {percent} %, {requests} requests leave ±{half_width(percent, requests):.1f} points. That is good "
            "enough, and so is a larger percent.")  # fmt: skip


MEASURE_THE_SHARE = CourseTask(
    "measure-the-share", "05_more_requests", "The largest canary that a sample measures",
    "Set the largest whole percent below 50 that {number} requests measure to ±4 points (with 95 % confidence).",
    states.SPLIT, (*states.IN_PLACE_MISTAKES, states.cannot_load, states.new_revision, states.promoted, _too_wide,
                   _could_be_larger),
    "The half width is 1.96 times the square root of share × (1 − share) / requests.",
    percent_patch, patch_percent, numbers=(200, 100, 150, 300), percent=largest_measured, minutes=5,
)  # fmt: skip

FIRST_TASKS = (ALL_AT_ONCE, SECOND_SERVICE, CANARY_PERCENT, DARK_LAUNCH, OLD_SCHEMA, SEE_IN_TEN, MEASURE_THE_SHARE)
