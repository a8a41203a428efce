"""The tasks of notebooks 06 to 08."""

from __future__ import annotations

from kserve_nb.observe.snapshot import Snapshot
from kserve_nb.tasks import states
from kserve_nb.tasks.first_tasks import patch_percent, percent_patch
from kserve_nb.tasks.task import CourseTask, SolutionStep, Start, Targets
from kserve_nb.values.manifest import MODEL
from kserve_nb.values.revisions import short

_REMOVED = {"spec": {"predictor": {"canaryTrafficPercent": None}}}


# --- 06: raise, promote ----------------------------------------------------------------------------------------------

RAISE = CourseTask(
    "raise", "06_promote", "The next step up",
    "Raise the canary to {percent} %. Every pod that runs now keeps running.",
    states.SPLIT, states.SPLIT_MISTAKES,
    "One field sets the share. Both revisions stay in the traffic list until you promote.",
    percent_patch, patch_percent, numbers=(75, 60, 70, 80),
)  # fmt: skip


def _promoted(seen: Snapshot, start: Start) -> str:
    why, status = states.unsettled(seen), seen.status
    if why or status is None:
        return why
    if status.latest_created != start.newest:
        return f"there is a new revision, {short(status.latest_created)}"
    if status.requested_percent is not None:
        return f"the object still has canaryTrafficPercent: {status.requested_percent}"
    if not status.latest or status.latest.percent != 100 or status.previous:
        return f"the traffic is {states.percents(seen)}"
    return ""


def _hundred_stays(seen: Snapshot, _start: Start) -> str:
    if states.requested(seen) != 100:
        return ""
    return ("All users get the new model, but the field is still there, with the value 100: the next model would go to "
            "all users at once. Remove the field.")  # fmt: skip


def _rolled_back(seen: Snapshot, _start: Start) -> str:
    if states.requested(seen) != 0:
        return ""
    return "0 % is a rollback: all users are on the old model again."


def _not_all(seen: Snapshot, start: Start) -> str:
    percent = states.requested_in(seen, range(1, 100))
    if percent is None:
        return ""
    return f"{percent} % get the new model. To promote means to give it to everyone, and to remove the field."


PROMOTE = CourseTask(
    "promote", "06_promote", "Promote, your way",
    "Give the new revision to all users, for good: afterwards the object has no canaryTrafficPercent.",
    _promoted, (*states.IN_PLACE_MISTAKES, states.cannot_load, states.new_revision, _hundred_stays, _rolled_back,
                _not_all),
    "A patch that omits the field leaves it as it is. Which value removes a field?",
    patch=lambda targets: _REMOVED, solution=lambda targets: [SolutionStep(patch=_REMOVED)],
    percent=lambda number: 100,
)  # fmt: skip


# --- 07: roll back, leave the pin ------------------------------------------------------------------------------------


def _on_previous(seen: Snapshot, start: Start) -> str:
    why, status = states.unsettled(seen), seen.status
    if why or status is None:
        return why
    if status.latest_created != start.newest:
        return f"there is a new revision, {short(status.latest_created)}"
    latest, previous = status.latest, status.previous
    if not latest or not previous or previous.percent != 100 or previous.revision == latest.revision:
        return f"the traffic is {states.percents(seen)}"
    return ""


def _deployed_again(seen: Snapshot, start: Start) -> str:
    status = seen.status
    if status is None or status.latest_created in ("", start.newest) or seen.failure:
        return ""
    return (f"You deployed again: users wait for a new revision, {short(status.latest_created)}. The previous revision "
            "still exists, and a rollback only needs one number.")  # fmt: skip


def _some_stay(seen: Snapshot, _start: Start) -> str:
    percent = states.requested_in(seen, range(1, 100))
    if percent is None:
        return ""
    return f"{percent} % of the users still get wrong answers."


def _all_stay(seen: Snapshot, _start: Start) -> str:
    if states.requested(seen) not in (None, 100):
        return ""
    return "All users still get the newest revision: no percent and 100 mean the same."


ROLL_BACK = CourseTask(
    "roll-back", "07_rollback", "Roll back now",
    "Send all users to the previous revision. Deploy nothing, and keep the new revision for the investigation.",
    _on_previous, (*states.IN_PLACE_MISTAKES, states.cannot_load, _deployed_again, _some_stay, _all_stay),
    "The percent is the share of the newest revision. Which value takes every user away from it?",
    percent_patch, patch_percent, percent=lambda number: 0,
)  # fmt: skip


def _repaired(seen: Snapshot, start: Start) -> str:
    why, status = states.unsettled(seen), seen.status
    if why or status is None:
        return why
    if status.latest_created == start.newest:
        return "there is no new revision yet"
    if status.model != MODEL:
        return f"the newest revision has the model {status.model}"
    if not status.latest or not status.previous or status.latest.percent != start.targets.percent:
        return f"the traffic is {states.percents(seen)}"
    return ""


def _bad_one_serves(seen: Snapshot, start: Start) -> str:
    percent = seen.routed.get(start.newest, 0)
    if not percent or start.snapshot.routed.get(start.newest, 0):
        return ""
    return (f"{percent} % of the users got the bad revision {short(start.newest)} again: until the new revision is "
            "ready, the percent goes to the latest ready one. Go back to 0 %, then take two steps.")  # fmt: skip


def _wrong_model(seen: Snapshot, start: Start) -> str:
    status = seen.status
    if status is None or seen.failure or status.model == MODEL or status.latest_created == start.newest:
        return ""
    return f"The new revision has {status.model}. The repaired model is the first one: {MODEL}."


def _nobody_yet(seen: Snapshot, start: Start) -> str:
    status = seen.status
    if status is None or status.latest_created == start.newest or status.requested_percent != 0 or seen.failure:
        return ""
    return f"{short(status.latest_created)} is ready and safe, and nobody gets it yet. Now raise the percent."


def _repaired_patch(targets: Targets) -> dict[str, object]:
    return {"spec": {"predictor": {"canaryTrafficPercent": targets.percent, "model": {"storageUri": MODEL}}}}


LEAVE_PIN = CourseTask(
    "leave-pin", "07_rollback", "Leave the pin safely",
    "Bring the repaired model `" + MODEL + "` to {percent} % of the users. The bad revision may get none of them, not "
    "even for a second.",
    _repaired, (*states.IN_PLACE_MISTAKES, states.cannot_load, _wrong_model, _nobody_yet, states.promoted,
                states.other_percent),
    "Two changes, one after the other. Which one is safe while the new revision is not ready yet?",
    _repaired_patch,
    lambda targets: [SolutionStep(patch=_repaired_patch(Targets())), SolutionStep(patch=percent_patch(targets))],
    numbers=(20, 15, 30, 40), spoiled=_bad_one_serves, minutes=5,
)  # fmt: skip


# --- 08: a host for the tester ---------------------------------------------------------------------------------------


def _hidden_host(seen: Snapshot, start: Start) -> str:
    why = states.split(seen, start)
    latest = seen.status.latest if seen.status else None
    if why or latest is None:
        return why
    return "" if latest.tag == "latest" and latest.url else "no host leads to the new model"


def _no_host(seen: Snapshot, start: Start) -> str:
    before, now = start.snapshot.status, seen.status
    if before is None or now is None or not before.tag_routing or now.tag_routing:
        return ""
    return ("Without the annotation enable-tag-routing the host latest-… answers 404, and the tester cannot work. The "
            "annotation is part of the pods' template, so you also got a new revision.")  # fmt: skip


def _users_get_it(seen: Snapshot, _start: Start) -> str:
    percent = states.requested_in(seen, range(1, 100))
    if percent is None:
        return ""
    return f"The tester has a host, but {percent} % of the users get the new model too."


HIDDEN_HOST = CourseTask(
    "hidden-host", "08_tag_routing", "A launch for testers only",
    "The tester reaches the new model by its host latest-…, and no user gets it.",
    _hidden_host, (*states.IN_PLACE_MISTAKES, states.cannot_load, _no_host, states.new_revision, states.promoted,
                   _users_get_it),
    "The hosts of the tags do not count: they work at every percent, as long as the traffic list names the revision.",
    percent_patch, patch_percent, percent=lambda number: 0,
)  # fmt: skip

LATER_TASKS = (RAISE, PROMOTE, ROLL_BACK, LEAVE_PIN, HIDDEN_HOST)
