"""A feed hands on what changed, ends when closed, and comes back after an outage."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kserve_nb.client import POD, RefusedError
from kserve_nb.rollout import Rollout
from kserve_nb.widgets.feed import Feed
from tests.fake_api import PODS, FakeApi

DEADLINE_S = 10


def pod(name: str, **extra: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, **extra}


def names(objects: list[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(obj["metadata"]["name"] for obj in objects)


def test_a_feed_hands_on_each_new_value_once(api: FakeApi, rollout: Rollout) -> None:
    values: queue.Queue[tuple[str, ...]] = queue.Queue()
    feed = Feed(rollout.client, POD, "", names, values.put, lambda _message: None)

    assert values.get(timeout=DEADLINE_S) == ()
    api.put(f"{PODS}/b", pod("b"))
    assert values.get(timeout=DEADLINE_S) == ("b",)
    api.put(f"{PODS}/b", pod("b", spec={}))  # another object, the same value
    api.put(f"{PODS}/a", pod("a"))
    assert values.get(timeout=DEADLINE_S) == ("a", "b")
    api.put(f"{PODS}/b", pod("b"), "DELETED")
    assert values.get(timeout=DEADLINE_S) == ("a",)

    feed.close()
    assert feed.closed
    feed.close()


def test_a_feed_says_when_the_cluster_is_gone(api: FakeApi, rollout: Rollout) -> None:
    errors: queue.Queue[str] = queue.Queue()
    api.close()

    feed = Feed(rollout.client, POD, "", names, lambda _value: None, errors.put)

    assert "does not answer" in errors.get(timeout=DEADLINE_S)
    feed.close()
    assert feed.closed


def test_a_flood_is_at_most_four_values_a_second_and_the_last_is_among_them(api: FakeApi, rollout: Rollout) -> None:
    seen: list[tuple[float, int]] = []
    arrived = threading.Event()

    def take(value: int) -> None:
        seen.append((time.monotonic(), value))
        if value == 399:
            arrived.set()

    feed = Feed(rollout.client, POD, "", lambda objects: int(objects[0]["spec"]["n"]) if objects else -1, take, print)
    assert feed.wait_first(DEADLINE_S)
    for n in range(400):
        api.put(f"{PODS}/a", pod("a", spec={"n": n}))

    assert arrived.wait(DEADLINE_S)
    moments = [moment for moment, _ in seen]
    assert min(b - a for a, b in itertools.pairwise(moments)) >= 0.24
    assert len(seen) < 100
    feed.close()


def test_an_observer_that_raises_is_told_and_not_the_end(api: FakeApi, rollout: Rollout) -> None:
    errors: queue.Queue[str] = queue.Queue()
    values: queue.Queue[tuple[str, ...]] = queue.Queue()

    def take(value: tuple[str, ...]) -> None:
        if value == ("bad",):
            raise KeyError("oh")
        values.put(value)

    feed = Feed(rollout.client, POD, "", names, take, errors.put)
    assert values.get(timeout=DEADLINE_S) == ()
    api.put(f"{PODS}/bad", pod("bad"))
    assert errors.get(timeout=DEADLINE_S) == "KeyError: 'oh'"
    api.put(f"{PODS}/bad", pod("bad"), "DELETED")

    assert values.get(timeout=DEADLINE_S) == ()
    feed.close()


def test_the_same_value_comes_again_after_an_outage() -> None:
    """It takes the error away that stands beside it."""
    api = Flaky()
    values: queue.Queue[tuple[str, ...]] = queue.Queue()
    errors: queue.Queue[str] = queue.Queue()

    feed = Feed(api, POD, "", names, values.put, errors.put)  # type: ignore[arg-type]  # what a feed needs of a client

    assert values.get(timeout=DEADLINE_S) == ("a",)
    assert errors.get(timeout=DEADLINE_S) == "the cluster does not answer"
    assert values.get(timeout=DEADLINE_S) == ("a",)
    feed.close()


class Flaky:
    """A client whose every second look fails, and whose watches end at once."""

    def __init__(self) -> None:
        self._looks = 0

    def snapshot(self, *_args: Any) -> tuple[list[dict[str, Any]], str]:
        self._looks += 1
        if self._looks % 2 == 0:
            raise RefusedError("the cluster does not answer")
        return [pod("a")], "1"

    @contextmanager
    def watch(self, *_args: Any) -> Iterator[Any]:
        yield Ended()


class Ended:
    def stream(self, amt: int | None) -> Iterator[bytes]:
        return iter(())

    def shutdown(self) -> None:
        """There is nothing to end."""
