"""Watches over HTTP: order, selection, bookmarks, and versions that are too old."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from kserve_nb.clusters.embedded.api.verbs import watching
from kserve_nb.clusters.embedded.apimachinery.kinds import INFERENCE_SERVICE
from tests.api_server import SERVICES, ApiServer, isvc

pytestmark = pytest.mark.slow

TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    served = ApiServer(tmp_path_factory.mktemp("api"))
    yield served
    served.close()


class Watch:
    """An open watch, from which a test reads events."""

    def __init__(self, server: ApiServer, query: str = "", path: str = SERVICES, **headers: str):
        self._response = server.request("GET", f"{path}?watch=true&{query}", headers=headers, stream=True)
        self._lines = self._response.iter_lines()

    def next(self, count: int) -> list[dict[str, Any]]:
        return [json.loads(next(self._lines)) for _ in range(count)]

    def rest(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._lines]

    def close(self) -> None:
        self._response.close()


def create(server: ApiServer, name: str, **labels: str) -> dict[str, Any]:
    body = isvc(name)
    body["metadata"]["labels"] = labels
    made: dict[str, Any] = server.request("POST", SERVICES, body).json()
    return made


def label(server: ApiServer, name: str, **labels: str | None) -> None:
    server.request("PATCH", f"{SERVICES}/{name}", {"metadata": {"labels": labels}},
                   headers={"Content-Type": "application/merge-patch+json"}).raise_for_status()


def shown(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(event["type"], event["object"]["metadata"]["name"]) for event in events]


@pytest.mark.parametrize("query", ["", "resourceVersion=0"])
def test_without_a_version_a_watch_starts_with_existing_objects(server: ApiServer, query: str) -> None:
    create(server, "a")

    watch = Watch(server, query)
    create(server, "b")

    assert shown(watch.next(2)) == [("ADDED", "a"), ("ADDED", "b")]


def test_a_watch_from_a_version_sends_later_events(server: ApiServer) -> None:
    version = create(server, "a")["metadata"]["resourceVersion"]
    create(server, "b")
    label(server, "a", x="y")
    server.request("DELETE", f"{SERVICES}/b")

    watch = Watch(server, f"resourceVersion={version}")
    create(server, "c")

    events = watch.next(4)
    assert shown(events) == [("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b"), ("ADDED", "c")]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert versions == sorted(set(versions))


def test_a_newly_selected_object_is_added_and_a_deselected_one_deleted(server: ApiServer) -> None:
    version = create(server, "a")["metadata"]["resourceVersion"]
    watch = Watch(server, f"resourceVersion={version}&labelSelector=app=x")

    label(server, "a", app="x")
    label(server, "a", more="y")
    label(server, "a", app="other")
    create(server, "b", app="x")

    events = watch.next(4)
    assert shown(events) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a"), ("ADDED", "b")]
    assert events[2]["object"]["metadata"]["labels"]["app"] == "x"


def test_one_object_is_watched_by_its_name(server: ApiServer) -> None:
    watch = Watch(server, "fieldSelector=metadata.name=b")

    create(server, "a")
    create(server, "b")

    assert shown(watch.next(1)) == [("ADDED", "b")]


def test_an_initial_list_ends_with_a_bookmark(server: ApiServer) -> None:
    create(server, "a")

    watch = Watch(server, "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true")

    first, mark = watch.next(2)
    assert first["type"] == "ADDED"
    assert mark["type"] == "BOOKMARK"
    assert mark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert mark["object"]["metadata"]["resourceVersion"] == str(server.store.version)


def test_bookmarks_come_by_and_by(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "BOOKMARK_EVERY_S", 0.05)

    watch = Watch(server, f"resourceVersion={server.store.version}&allowWatchBookmarks=true")

    assert [event["type"] for event in watch.next(2)] == ["BOOKMARK", "BOOKMARK"]


def test_it_ends_at_its_timeout(server: ApiServer) -> None:
    create(server, "a")

    assert shown(Watch(server, "timeoutSeconds=1").rest()) == [("ADDED", "a")]


def test_a_table_has_its_columns_only_in_the_first_event(server: ApiServer) -> None:
    create(server, "a")
    watch = Watch(server, **TABLE)
    create(server, "b")

    first, second = watch.next(2)

    assert [c["name"] for c in first["object"]["columnDefinitions"]][:3] == ["Name", "URL", "Ready"]
    assert second["object"]["columnDefinitions"] is None
    assert [event["object"]["rows"][0]["cells"][0] for event in (first, second)] == ["a", "b"]
    assert second["object"]["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


def test_a_closed_connection_leaves_no_subscription(server: ApiServer) -> None:
    watches = [Watch(server, f"resourceVersion={server.store.version}") for _ in range(3)]
    deadline = threading.Event()

    for watch in watches:
        watch.close()

    subscriptions = server.store.history._subscriptions[INFERENCE_SERVICE]
    for _ in range(500):
        if not subscriptions:
            break
        deadline.wait(0.01)
    assert subscriptions == []


def test_fifty_watchers_see_the_same_in_the_same_order(server: ApiServer) -> None:
    watches = [Watch(server, f"resourceVersion={server.store.version}", **(TABLE if n % 2 else {})) for n in range(50)]

    for number in range(20):
        create(server, f"i{number}")

    expected = [f"i{number}" for number in range(20)]
    for watch in watches[::2]:
        assert [name for _, name in shown(watch.next(20))] == expected
    for watch in watches[1::2]:
        assert [event["object"]["rows"][0]["cells"][0] for event in watch.next(20)] == expected
