"""Where a wish for a percent stands, from what is seen and what was done: pure, one word and one sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kserve_nb.history import last_line
from kserve_nb.snapshot import Snapshot
from kserve_nb.traffic import judge

Word = Literal[
    "loading", "closed", "stale", "read-only", "locked", "conflict", "rejected", "confirm", "dirty",
    "canary-failed", "accepted", "reconciling", "settled", "verified",
]  # fmt: skip


@dataclass(frozen=True)
class Wish:
    """What a hand has done with the slider since the cluster last followed it."""

    percent: int
    open: bool = False  # it differs from what is asked of the cluster
    questioned: bool = False  # Apply was pressed, and nobody has answered
    refused: str = ""  # the words with which the cluster turned the last one down
    changed: bool = False  # it was turned down as somebody else wrote first


@dataclass(frozen=True)
class State:
    """One word, and the sentence that says it to a reader."""

    word: Word
    sentence: str


def state_of(seen: Snapshot, wish: Wish, read_only: str, locked: str) -> State:
    """What stands in the way comes first, then what the hand is about, then what the cluster makes of it."""
    return _blocked(seen, read_only, locked) or _asking(wish) or _answer(seen, wish)


def _blocked(seen: Snapshot, read_only: str, locked: str) -> State | None:
    if seen.state == "closed":
        return State("closed", "this is how it was")
    if seen.state in ("stale", "error"):
        return State("stale", f"the cluster was not heard: {last_line(seen.reason) or 'no reason is known'}")
    if seen.state == "loading":
        return State("loading", "looking at the cluster")
    if read_only:
        return State("read-only", read_only)
    return State("locked", locked) if locked else None


def _asking(wish: Wish) -> State | None:
    if wish.changed:
        return State("conflict", wish.refused)
    if wish.refused:
        return State("rejected", wish.refused)
    if wish.questioned:
        return State("confirm", f"{wish.percent} % is written once it is confirmed")
    return State("dirty", f"{wish.percent} % is a wish: nothing was written") if wish.open else None


def _answer(seen: Snapshot, wish: Wish) -> State:
    asked = seen.status.asked_percent if seen.status else None
    if seen.status is not None and wish.percent != (100 if asked is None else asked):  # our write, not seen yet
        return State("accepted", f"the cluster took {wish.percent} %; no controller was seen to act on it")
    if seen.failure:
        return State("canary-failed", f"the new revision fails: {last_line(seen.failure)}")
    if seen.left:
        return State("reconciling", seen.left)
    tally = seen.sample
    if tally and judge(tally.hits, tally.split.attributed, tally.percent).word == "consistent":
        return State("verified", f"{tally.hits} of {tally.split.attributed} requests agree with {wish.percent} %")
    return State("settled", f"{wish.percent} % is asked and routed")
