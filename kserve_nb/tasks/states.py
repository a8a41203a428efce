"""Goals and mistakes that several tasks share, each a pure function of a snapshot and of the start of the attempt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kserve_nb.observe.snapshot import Snapshot
from kserve_nb.tasks.task import Goal, Start
from kserve_nb.values.labels import LAST_APPLIED
from kserve_nb.values.manifest import read
from kserve_nb.values.revisions import short
from kserve_nb.values.text.foreign_text import last_line


def unsettled(seen: Snapshot) -> str:
    """Why the state cannot be judged yet; empty if all that the spec requests has been done."""
    if seen.status is None:
        return f"there is no InferenceService {seen.name}"
    if seen.failure:
        return f"the cluster cannot do this: {last_line(seen.failure)}"
    return f"the cluster is working: {seen.missing}" if seen.missing else ""


def percents(seen: Snapshot) -> str:
    """The traffic in words: `PREV 90 % (00001), LATEST 10 % (00002)`."""
    status = seen.status
    if status is None or status.latest is None:
        return "no traffic yet"
    rows = [("PREV", status.previous), ("LATEST", status.latest)]
    return ", ".join(f"{word} {row.percent} % ({short(row.revision)})" for word, row in rows if row)


def split(seen: Snapshot, start: Start) -> str:
    """Goal: LATEST receives the target percent, PREV the rest, and no revision was created for it."""
    why = unsettled(seen)
    status = seen.status
    if why or status is None:
        return why
    latest, previous = status.latest, status.previous
    if status.latest_created != start.newest:
        return f"there is a new revision, {short(status.latest_created)}; the goal needs none"
    if not latest or not previous or latest.percent != start.targets.percent or latest.revision == previous.revision:
        return f"the traffic is {percents(seen)}"
    return ""


def requested(seen: Snapshot) -> int | None:
    """The requested percent, as far as there is an InferenceService; None if the field is absent."""
    return seen.status.requested_percent if seen.status else None


def requested_in(seen: Snapshot, percents: range) -> int | None:
    """The requested percent if it is one of these, otherwise None."""
    percent = requested(seen)
    return percent if percent is not None and percent in percents else None


def applied_predictor(seen: Snapshot) -> Mapping[str, Any]:
    """`spec.predictor` of the manifest that was applied last; empty if nothing was applied."""
    text = (seen.document.get("metadata") or {}).get("annotations", {}).get(LAST_APPLIED) or "{}"
    found: Mapping[str, Any] = (read(text).get("spec") or {}).get("predictor") or {}
    return found


# --- mistakes ------------------------------------------------------------------------------------------------------


def deleted(seen: Snapshot, start: Start) -> str:
    """Mistake: the InferenceService does not exist any more."""
    if seen.status is not None or start.snapshot.status is None:
        return ""
    return "The InferenceService is deleted, and its users get 404. Create it again, then change only what is needed."


def created_again(seen: Snapshot, start: Start) -> str:
    """Mistake: the InferenceService was deleted and created again."""
    before, now = start.snapshot.status, seen.status
    if before is None or now is None or before.uid == now.uid:
        return ""
    return "This is another InferenceService: yours was deleted, and its users got 404. Change it in place instead."


def over_hundred(seen: Snapshot, _start: Start) -> str:
    """Mistake: the percent is not between 0 and 100."""
    percent = requested(seen)
    if percent is None or 0 <= percent <= 100:
        return ""
    return f"{percent} is not a percent. The API server stores it, Knative refuses it, and the traffic stays as it was."


def cannot_load(seen: Snapshot, _start: Start) -> str:
    """Mistake: the new revision fails."""
    status = seen.status
    if not seen.failure or status is None:
        return ""
    safe = "Users stay on the old revision meanwhile. " if status.traffic else ""
    return f"The new revision does not start. {safe}Compare the storageUri ({status.model}), character by character."


def swapped(seen: Snapshot, start: Start) -> str:
    """Mistake: LATEST has the percent that PREV should have."""
    percent = requested(seen)
    if percent != start.targets.rest or percent == start.targets.percent:
        return ""
    return f"You gave {percent} % to the new revision. canaryTrafficPercent is the share of LATEST, not of PREV."


def promoted(seen: Snapshot, start: Start) -> str:
    """Mistake: the field is absent or 100, so that everyone gets LATEST."""
    status = seen.status
    if status is None or status.requested_percent not in (None, 100) or status.latest_created != start.newest:
        return ""
    how = "100" if status.requested_percent == 100 else "no percent at all"
    return f"With {how}, all users get {short(status.latest_created)}: that is a promotion."


def pinned(seen: Snapshot, start: Start) -> str:
    """Mistake: the percent is 0, but should be higher."""
    if requested(seen) != 0 or start.targets.percent == 0:
        return ""
    return "0 % takes all users away from the new revision: that is a rollback."


def new_revision(seen: Snapshot, start: Start) -> str:
    """Mistake: a revision was created although only the traffic should have changed."""
    status = seen.status
    if status is None or status.latest_created in ("", start.newest):
        return ""
    return (f"You created revision {short(status.latest_created)}: something else than the percent has changed, such "
            "as the model, a label or an annotation. A percent alone needs none.")  # fmt: skip


def other_percent(seen: Snapshot, start: Start) -> str:
    """Mistake: the percent has another value than the requested one."""
    percent = requested(seen)
    if percent is None or percent == start.targets.percent:
        return ""
    return f"The spec requests {percent} %. Which share of the users should the new revision get?"


SPLIT_MISTAKES = (deleted, created_again, over_hundred, cannot_load, swapped, new_revision, promoted, pinned,
                  other_percent)  # fmt: skip
IN_PLACE_MISTAKES = (deleted, created_again, over_hundred)
SPLIT: Goal = split
