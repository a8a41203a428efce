"""A rollout with rows uses them for all requests, and never sends flowers."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from kserve_nb.access.api_client import Client
from kserve_nb.access.ingress import Ingress
from kserve_nb.access.model_input import InputError
from kserve_nb.gates.comparison import RevisionComparison, compare_revisions
from kserve_nb.gates.execution.probe import Prober
from kserve_nb.gates.plan import PlanError, ProbeTraffic, RolloutPlan
from kserve_nb.rollout.discriminating_input import IRIS_CANDIDATES
from kserve_nb.rollout.rollout import Rollout
from tests.fake_api import FakeApi
from tests.fake_gateway import FakeGateway

ROWS = [[9.0, 9.0, 1.0, 9.0], [9.0, 9.0, 5.4, 9.0], [9.0, 9.0, 6.0, 9.0]]  # the models differ on the second one


class Frame:
    """A table as pandas and polars have it: its iterator has the names of the columns, not the rows."""

    def __init__(self, values: Any):
        self._values = values

    def __iter__(self) -> Iterator[str]:
        return iter(["a", "b", "c", "d"])

    def to_numpy(self) -> Any:
        return np.array(self._values)


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
@pytest.mark.parametrize("rows", [ROWS, np.array(ROWS), Frame(ROWS)], ids=["lists", "array", "frame"])
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


def test_a_frame_is_sent_by_its_values(sent: Callable[..., list[list[float]]]) -> None:
    assert sent(lambda rollout: rollout.predict(Frame([[1, 2, 3, 4]]), protocol="v2"), None) == [[1, 2, 3, 4]]


@pytest.mark.parametrize(("rows", "message"), [
    (5, "Cannot use 5 as rows: it is not a list"), ("abc", "Cannot use 'abc' as rows"), ([], "there are none"),
    ([1, 2, 3], r"rows\[0\] is 1, not a list"), (["abc"], r"rows\[0\] is 'abc'"), ([{"a": 1}], r"\[0\] is {'a': 1}"),
    ([[1.0], [1.0, 2.0]], r"rows\[1\] has 2 values, and rows\[0\] has 1"), ([[]], r"rows\[0\] is empty"),
    (np.array([[1.0], [np.nan]]), r"rows\[1\] has nan, which JSON cannot transport"), ([[float("inf")]], "has inf"),
    ([[None]], r"rows\[0\] has None, which is neither a number nor a text"),
])
def test_rows_that_cannot_be_sent_are_refused_at_once(rows: Any, message: str, api: FakeApi) -> None:
    with pytest.raises(InputError, match=message):
        Rollout(Client(api.cluster()), Ingress("127.0.0.1:9"), rows=rows)
    if not isinstance(rows, list) or rows:  # a probe without rows takes those of its rollout
        with pytest.raises(PlanError, match=f"probe: .*{message}"):
            ProbeTraffic(rows=rows)


@pytest.mark.parametrize("name", ["", "../good", "a b", "güd", "%2e%2e", "good?x=1", "Good", "n" * 254, None, 5])
def test_a_name_that_no_inferenceservice_can_have_is_refused_in_kubernetes_words(name: Any, api: FakeApi) -> None:
    with pytest.raises(InputError, match=r"is not a valid name of an InferenceService: (a lowercase RFC 1123 subdomain "
                                         r"must|must be no more than 253|it is not a text).*kubectl get isvc"):
        Rollout(Client(api.cluster()), Ingress("127.0.0.1:9"), name)


def test_a_probe_keeps_arrays_as_tuples() -> None:
    traffic = ProbeTraffic(rows=np.array([[1, 2], [3, 4]]), labels=np.array([0, 1]))

    assert traffic == ProbeTraffic(rows=((1, 2), (3, 4)), labels=(0, 1)) and type(traffic.labels[0]) is int
    assert ProbeTraffic(rows=[["red", 1.5]]).rows == (("red", 1.5),)
    with pytest.raises(PlanError, match="it has 3 labels for 2 rows"):
        RolloutPlan(probe=ProbeTraffic(rows=Frame([[1], [2]]), labels=[0, 1, 1]))


@pytest.mark.parametrize(("labels", "message"), [
    ([0, 1, 2], "there are 3 for 2 rows"), (None, "Cannot use None as labels"), ("01", "Cannot use '01' as labels"),
    (["0", "1"], "no label equals an answer: labels are str, answers are int"),
])
def test_labels_that_fit_no_answer_are_refused(labels: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        RevisionComparison([[1.0], [2.0]], [0, 1], [0, 0]).against(labels)


def test_labels_can_be_an_array() -> None:
    result = RevisionComparison([[1.0], [2.0]], [0, 1], [0, 0]).against(np.array([0.0, 1.0]))

    assert "of 2 labelled rows only the previous revision was right on 1" in str(result)
