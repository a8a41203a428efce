"""A feed hands on what changed, ends when closed, and comes back after an outage."""

from __future__ import annotations

import queue
from typing import Any

from kserve_nb.client import POD
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
