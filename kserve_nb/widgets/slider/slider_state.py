"""Where a wish for a percent stands, from what is seen and what was done: pure, one word and one sentence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from kserve_nb.observe.snapshot import Snapshot
from kserve_nb.rollout.statistics import interval, judge
from kserve_nb.values.foreign_text import last_line
from kserve_nb.values.revisions import short
from kserve_nb.widgets.slider.slider_order import Order, asked_share

Word = Literal[
    "loading", "closed", "stale", "read-only", "locked", "conflict", "rejected", "unknown", "confirm", "applying",
    "dirty", "accepted", "reconciling", "stalled", "canary-failed", "settled", "verified",
]  # fmt: skip
Ending = Literal["", "conflict", "rejected", "unknown"]
STALLED_S = 60.0  # without traffic having moved, after which the doctor is named
_KEPT = 50  # sentences of a story
_GOES_ON = ("dirty", "reconciling", "stale", "stalled", "verified")  # states whose sentence changes as they last


@dataclass(frozen=True)
class Wish:
    """What a hand has done with the slider, and how far its orders have come."""

    percent: int  # where the handle stands
    open: bool = False  # that differs from what is asked of the cluster
    asking: Order | None = None  # what Yes would write
    again: bool = False  # Yes was said once, to a step so big that it is asked about twice
    writing: Order | None = None  # sent, and not answered yet
    last: Order | None = None  # the last that the API server took
    edition: tuple[str, int] = ("", 0)  # that it made of the spec
    queued: Order | None = None  # is written once traffic has moved
    ending: Ending = ""  # how the last write failed
    failed: Order | None = None  # which one that was
    said: str = ""  # why, in the cluster's words
    stalled: bool = False  # traffic has not moved for long

    def moved(self, percent: int, *, is_open: bool) -> Wish:
        """The handle stands elsewhere: what was asked is no longer what is wished."""
        return replace(self.cleared(), percent=percent, open=is_open)

    def cleared(self) -> Wish:
        """Nothing is asked, and the last failure forgotten; what was sent or queued stays so."""
        return replace(self, asking=None, again=False, ending="", failed=None, said="")

    def asked(self, order: Order) -> Wish:
        """A button was pressed."""
        return replace(self.cleared(), asking=order)

    def sent(self, order: Order) -> Wish:
        """Yes was said: it is on its way, and whatever waited for its turn is not wished any more."""
        return replace(self.cleared(), writing=order, queued=None)

    def waits(self, order: Order) -> Wish:
        """Yes was said while an earlier order is under way: the one place in the queue is this one's."""
        return replace(self.cleared(), queued=order)

    def taken(self, order: Order, edition: tuple[str, int]) -> Wish:
        """The API server took it; another order may be on its way since."""
        writing = None if self.writing == order else self.writing
        return replace(self, writing=writing, last=order, edition=edition, ending="", failed=None, said="")

    def ended(self, ending: Ending, order: Order, said: str) -> Wish:
        """It was not written, or nobody knows whether it was."""
        return replace(self.cleared(), writing=None, queued=None, ending=ending, failed=order, said=said)


@dataclass(frozen=True)
class State:
    """One word, and the sentence that says it to a reader."""

    word: Word
    sentence: str


@dataclass(frozen=True)
class Step:
    """One of asked, accepted, routed and observed: its mark, and what is known of it."""

    mark: Literal["✔", "◌", "✖", "·"]
    words: str


Story = tuple[tuple[float, State], ...]


def state_of(seen: Snapshot, wish: Wish, read_only: str, locked: str) -> State:
    """What stands in the way comes first, then what the hand is about, then what the cluster makes of it."""
    return _blocked(seen, read_only, locked) or _asking(wish) or _answer(seen, wish)


def under_way(seen: Snapshot, wish: Wish) -> bool:
    """Whether an order is not done yet, and may still come to be."""
    if wish.writing or _unseen(seen, wish):
        return True
    return bool(seen.missing) and not seen.failure and not wish.stalled


def steps_of(seen: Snapshot, wish: Wish) -> tuple[Step, ...]:
    """How far the last order has come: asked → accepted → routed → observed."""
    if seen.status is None:
        return ()
    order = wish.writing or wish.failed
    shown = order or (wish.last if _unseen(seen, wish) else None)
    asked = Step("✔", f"asked {shown.share if shown else asked_share(seen.status)} %")
    if shown:
        refused = wish.ending in ("conflict", "rejected")
        accepted = Step("✖", "not accepted") if refused else Step("◌" if order else "✔", "accepted")
        return asked, accepted, Step("·", "routed"), Step("·", "observed")
    routed = f"routed {seen.routed.get(seen.status.latest_created, 0)} %"
    if seen.failure or seen.missing:
        return asked, Step("✔", "accepted"), Step("✖" if seen.failure else "◌", routed), Step("·", "observed")
    return asked, Step("✔", "accepted"), Step("✔", routed), _observed(seen)


def told(story: Story, at: float, state: State) -> Story:
    """The story with one more sentence, where the state is another one or says something else."""
    if state.word == "loading" or (story and story[-1][1] == state):
        return story
    if story and story[-1][1].word == state.word and state.word in _GOES_ON:
        return (*story[:-1], (story[-1][0], state))
    return (*story, (at, state))[-_KEPT:]


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
    if wish.ending:
        return State(wish.ending, wish.said)
    if wish.asking:
        return State("confirm", f"{_words(wish.asking)} waits for {'a second Yes' if wish.again else 'Yes'}")
    if wish.writing:
        return State("applying", f"asked for {_words(wish.writing)}; no answer yet")
    if wish.open and not (wish.queued and wish.queued.share == wish.percent):
        return State("dirty", f"{wish.percent} % is a wish: nothing was written")
    return None


def _answer(seen: Snapshot, wish: Wish) -> State:
    then = f"; then {_words(wish.queued)}" if wish.queued else ""
    percent = asked_share(seen.status)
    if wish.last and _unseen(seen, wish):
        took = f"the cluster took {_words(wish.last)}"
        return State("accepted", f"{took}; no controller was seen to act on it{then}")
    if seen.failure:
        serving = ", ".join(short(name) for name, share in sorted(seen.routed.items()) if share) or "nobody"
        why = last_line(seen.failure).rstrip(".")
        return State("canary-failed", f"the new revision fails: {why}. Users are served by {serving}")
    if seen.missing and wish.stalled:
        return State("stalled", f"no progress for {STALLED_S:.0f} s: {seen.missing}. lab.doctor() says why")
    if seen.missing:
        return State("reconciling", f"{_phase(seen)}: {seen.missing}{then}")
    tally = seen.sample
    if tally and judge(tally.hits, tally.split.attributed, tally.percent).word == "consistent":
        low, high = interval(tally.hits, tally.split.attributed)
        users = f"{100 * tally.hits / tally.split.attributed:.1f} % [{low:.1f}–{high:.1f}]"
        return State("verified", f"{percent} % is asked and routed, and {users} of the users got {_latest(seen)}")
    return State("settled", f"{percent} % is asked and routed to {_latest(seen)}")


def _unseen(seen: Snapshot, wish: Wish) -> bool:
    """Whether our own write has not come back by the watch yet."""
    uid, generation = wish.edition
    return seen.status is not None and seen.status.uid == uid and seen.status.generation < generation


def _latest(seen: Snapshot) -> str:
    return short(seen.status.latest_created) if seen.status else "LATEST"


def _phase(seen: Snapshot) -> str:
    status = seen.status
    ready = status is not None and status.latest_created and status.latest_created == status.latest_ready
    return "switching" if ready else "preparing"


def _observed(seen: Snapshot) -> Step:
    tally = seen.sample
    if tally is None or not tally.split.attributed:
        return Step("·", "observed: nobody has looked")
    sent = tally.split.attributed
    low, high = interval(tally.hits, sent)
    share = f"observed {100 * tally.hits / sent:.1f} % [{low:.1f}–{high:.1f}]"
    word = judge(tally.hits, sent, tally.percent).word
    if word == "consistent":
        return Step("✔", share)
    return Step("✖", share) if word == "not" else Step("◌", f"{share}, too few to tell")


def _words(order: Order) -> str:
    named = {"promote": "a promote", "pin": "a pin to PREV", "back": f"{order.share} % again"}
    return named.get(order.verb, f"{order.share} %")
