"""Fixtures: small servers in place of a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kserve_nb.access.api_client import Client
from kserve_nb.access.ingress import Ingress
from kserve_nb.rollout.rollout import Rollout
from tests.fake_api import FakeApi
from tests.fake_gateway import FakeGateway
from tests.unit.kind_fixtures import machine, manifests, world

__all__ = ["machine", "manifests", "world"]  # fixtures
from tests.virtual_clock import VirtualClock


@pytest.fixture
def api(tmp_path: Path) -> Iterator[FakeApi]:
    served = FakeApi(tmp_path)
    yield served
    served.close()


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    served = FakeGateway()
    yield served
    served.close()


@pytest.fixture
def rollout(api: FakeApi, gateway: FakeGateway) -> Rollout:
    return Rollout(Client(api.cluster()), Ingress(gateway.address), clock=VirtualClock())
