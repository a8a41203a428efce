"""Observed shares as text, with a 95 % band that stays valid while the number of requests grows."""

from __future__ import annotations

import functools

from kserve_nb.observe.snapshot import Snapshot
from kserve_nb.rollout import sequential
from kserve_nb.rollout.sampling import Tally
from kserve_nb.values.split import Split

band = functools.lru_cache(maxsize=4096)(sequential.band)  # a growing chart draws the same points again and again


def share_text(hits: int, sent: int, percent: float) -> str:
    """A share with its 95 % band: `9.6 % [7.9–11.6]`.

    Args:
        percent: the percent that is routed.
    """
    low, high = band(hits, sent, percent)
    return f"{100 * hits / sent if sent else 0:.1f} % [{low:.1f}–{high:.1f}]"


def latest_share(tally: Tally) -> str:
    """The share of the requests that LATEST answered, with its band."""
    return share_text(tally.hits, tally.split.attributed, tally.percent)


def share_of(tally: Tally, revision: str) -> str:
    """The share of the requests that a revision answered, with its band."""
    percent = tally.percent if revision == tally.latest else 100 - tally.percent
    return share_text(tally.split.counts.get(revision, 0), tally.split.attributed, percent)


def observed_shares(snapshot: Snapshot) -> dict[str, str]:
    """The share of the requests that each revision answered, by revision name; empty before the first request."""
    tally = snapshot.sample
    if tally is None or not tally.split.attributed:
        return {}
    return {name: share_of(tally, name) for name in tally.split.counts}


def failed_text(split: Split) -> str:
    """How many requests failed: `no request failed`, or `3 of 400 requests failed`."""
    return f"{split.failed} of {split.sent} requests failed" if split.failed else "no request failed"
