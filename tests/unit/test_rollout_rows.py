"""A rollout with rows of its own model sends these wherever a request is chosen, and never flowers."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from kserve_nb.access.api_client import Client
from kserve_nb.access.ingress import Ingress
from kserve_nb.gates.comparison import compare_revisions
from kserve_nb.gates.execution.probe import Prober
from kserve_nb.gates.plan import ProbeTraffic
from kserve_nb.rollout.discriminating_input import IRIS_CANDIDATES
from kserve_nb.rollout.rollout import Rollout
from tests.fake_api import FakeApi
from tests.fake_gateway import FakeGateway

ROWS = [[9.0, 9.0, 1.0, 9.0], [9.0, 9.0, 5.4, 9.0], [9.0, 9.0, 6.0, 9.0]]  # the models differ on the second one
USES: list[Callable[[Rollout], Any]] = [
    lambda rollout: rollout.predict(), lambda rollout: rollout.predict(protocol="v2"),
    lambda rollout: rollout.request(), lambda rollout: rollout.send(5), lambda rollout: rollout.trace(),
    compare_revisions, lambda rollout: Prober(rollout, ProbeTraffic()).round(rollout.status()),
]


@pytest.fixture
def sent(api: FakeApi, gateway: FakeGateway) -> Callable[..., list[list[float]]]:
    """The rows that a use of a rollout sends."""
    api.load("06-tag")
    gateway.tagged = True

    def play(use: Callable[[Rollout], Any], rows: Any) -> list[list[float]]:
        use(Rollout(Client(api.cluster()), Ingress(gateway.address), rows=rows))
        bodies = [json.loads(body) for _, _, _, body in gateway.seen]
        instances = [row for body in bodies for row in body.get("instances", [])]
        flat = [value for body in bodies for tensor in body.get("inputs", []) for value in tensor["data"]]
        return instances + [flat[at : at + 4] for at in range(0, len(flat), 4)]

    return play


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("rows", [ROWS, np.array(ROWS)], ids=["lists", "array"])
def test_its_rows_are_sent(use: Callable[[Rollout], Any], rows: Any, sent: Callable[..., list[list[float]]]) -> None:
    found = sent(use, rows)

    assert found and all(row in ROWS for row in found)


@pytest.mark.parametrize("use", USES)
def test_without_rows_flowers_are_sent(use: Callable[[Rollout], Any], sent: Callable[..., list[list[float]]]) -> None:
    known = [list(row) for row in IRIS_CANDIDATES] + [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]

    assert all(row in known for row in sent(use, None))


def test_a_user_who_is_sent_along_uses_them_too(sent: Callable[..., list[list[float]]]) -> None:
    def probe(rollout: Rollout) -> None:
        user = rollout.probe()
        deadline = time.monotonic() + 30
        while not user.answered and time.monotonic() < deadline:
            threading.Event().wait(0.01)
        user.close()

    assert all(row in ROWS[:2] for row in sent(probe, ROWS))


def test_integers_of_an_array_become_json(sent: Callable[..., list[list[float]]]) -> None:
    assert sent(lambda rollout: rollout.predict(np.array([[1, 2, 3, 4]])), None) == [[1, 2, 3, 4]]
