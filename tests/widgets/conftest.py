"""The fake servers of the unit tests, and one time zone on all machines."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kserve_nb.rollout.rollout import Rollout
from kserve_nb.tasks.learner_progress import LearnerProgress
from kserve_nb.widgets.slider.traffic_slider import TrafficSlider
from tests.fake_api import FakeApi
from tests.unit.conftest import api, gateway, rollout
from tests.widgets.play import until

__all__ = ["api", "gateway", "rollout"]


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set the time zone to UTC: widgets show local times."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def progress(tmp_path: Path) -> LearnerProgress:
    """A learner's progress, with nothing done."""
    return LearnerProgress(tmp_path / "progress.json")


@pytest.fixture
def slider(api: FakeApi, rollout: Rollout) -> Iterator[TrafficSlider]:
    """A slider on a canary of 10 % that has read the cluster's state."""
    api.load("02-canary-10")
    shown = TrafficSlider(rollout)
    until(shown, 10)
    yield shown
    api.answering.set()
    shown.close()
