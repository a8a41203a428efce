"""The feed of the cluster tests: which revisions may answer at a moment."""

from __future__ import annotations

from typing import Any, cast

import pytest

from kserve_nb.rollout.rollout import Rollout
from tests.cluster.feed import OVERLAP_S, Feed

OLD, NEW = "iris-predictor-00001", "iris-predictor-00002"


class _Named:
    name = "iris"


@pytest.fixture
def feed(monkeypatch: pytest.MonkeyPatch) -> Feed:
    """A feed that saw the old revision at 0 s, a canary at 100 s and only the new revision at 200 s."""
    seen = Feed(cast(Rollout, _Named()))
    for moment, percents in ((0.0, {OLD: 100}), (100.0, {OLD: 90, NEW: 10}), (200.0, {OLD: 0, NEW: 100})):
        monkeypatch.setattr("tests.cluster.feed.time.monotonic", lambda moment=moment: moment)
        seen._note(_isvc(percents))
    return seen


def _isvc(percents: dict[str, int]) -> dict[str, Any]:
    traffic = [{"revisionName": name, "percent": percent} for name, percent in percents.items()]
    return {"metadata": {"name": "iris"}, "status": {"components": {"predictor": {"traffic": traffic}}}}


@pytest.mark.parametrize(("sent", "ended", "names"), [
    (50, 51, {OLD}),
    (100 - OVERLAP_S / 2, 100 - OVERLAP_S / 4, {OLD, NEW}),  # the gateway may be ahead of the status
    (150, 151, {OLD, NEW}),
    (200 + OVERLAP_S / 2, 200.9, {OLD, NEW}),
    (200 + 2 * OVERLAP_S, 210, {NEW}),  # no request goes to a revision that has lost its traffic
    (50, 210, {OLD, NEW}),  # the request was held for a long time
])
def test_revisions_that_can_answer(feed: Feed, sent: float, ended: float, names: set[str]) -> None:
    assert feed.may_answer(sent, ended) == names
