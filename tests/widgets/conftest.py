"""The same small servers as the unit tests have, and one time zone for all machines."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.unit.conftest import api, gateway, rollout

__all__ = ["api", "gateway", "rollout"]


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Times of day are shown on this machine's clock."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()
