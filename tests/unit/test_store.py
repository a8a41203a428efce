"""The store behaves as the Objects protocol describes."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from kserve_nb.clusters.embedded.api.entry import encode
from kserve_nb.clusters.embedded.api.store import store as store_module
from kserve_nb.clusters.embedded.api.store import watch_history as history_module
from kserve_nb.clusters.embedded.api.store.database import SCHEMA_VERSION, StoreError
from kserve_nb.clusters.embedded.api.store.store import FIRST_VERSION, Store
from kserve_nb.clusters.embedded.apimachinery.kinds import CONFIG_MAP, EVENT, INFERENCE_SERVICE, NAMESPACE, POD
from kserve_nb.clusters.embedded.apimachinery.objects import (
    AlreadyExistsError,
    ConflictError,
    ExpiredError,
    Kind,
    NotFoundError,
    Object,
    Objects,
    StatusError,
    utc,
)


@pytest.fixture
def store() -> Store:
    made = Store(None)
    made.create(NAMESPACE, {"metadata": {"name": "demo"}})
    return made


def isvc(name: str = "a", **meta: Any) -> Object:
    return {"metadata": {"name": name, "namespace": "demo", **meta}, "spec": {"predictor": {}}}


def pod(**spec: Any) -> Object:
    return {"metadata": {"name": "p", "namespace": "demo"}, "spec": {"containers": [], **spec}}


def test_a_new_object_gets_the_servers_metadata(store: Store) -> None:
    made = store.create(INFERENCE_SERVICE, isvc())

    meta = made["metadata"]
    assert (made["apiVersion"], made["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
    assert meta["generation"] == 1 and len(meta["uid"]) == 36 and meta["creationTimestamp"].endswith("Z")
    assert int(meta["resourceVersion"]) == store.version
    assert store.get(INFERENCE_SERVICE, "demo", "a") == made


def test_changing_a_read_object_does_not_change_the_stored_one(store: Store) -> None:
    body = isvc()
    store.create(INFERENCE_SERVICE, body)["spec"]["x"] = 1

    store.list(INFERENCE_SERVICE)[0]["spec"]["x"] = 1

    assert store.get(INFERENCE_SERVICE, "demo", "a")["spec"] == {"predictor": {}}
    assert body == isvc()


def test_a_name_is_generated(store: Store) -> None:
    body = {"metadata": {"generateName": "x-", "namespace": "demo"}}

    names = {store.create(INFERENCE_SERVICE, body)["metadata"]["name"] for _ in range(20)}

    assert len(names) == 20 and all(name.startswith("x-") and len(name) == 7 for name in names)


def test_creating_twice_is_refused(store: Store) -> None:
    store.create(INFERENCE_SERVICE, isvc())

    with pytest.raises(AlreadyExistsError):
        store.create(INFERENCE_SERVICE, isvc())


def test_a_namespace_must_exist_and_not_be_going(store: Store) -> None:
    store.create(NAMESPACE, {"metadata": {"name": "going", "finalizers": ["x/y"]}})
    store.delete(NAMESPACE, None, "going")

    with pytest.raises(NotFoundError, match='namespaces "absent" not found'):
        store.create(CONFIG_MAP, {"metadata": {"name": "c", "namespace": "absent"}})
    with pytest.raises(StatusError, match="because it is being terminated") as refused:
        store.create(CONFIG_MAP, {"metadata": {"name": "c", "namespace": "going"}})
    assert refused.value.code == 403


def test_generation_counts_only_changes_of_the_spec(store: Store) -> None:
    made = store.create(INFERENCE_SERVICE, isvc())

    labelled = store.update(INFERENCE_SERVICE, made | {"metadata": made["metadata"] | {"labels": {"a": "b"}}})
    changed = store.update(INFERENCE_SERVICE, labelled | {"spec": {"predictor": {"minReplicas": 2}}})
    seen = store.update_status(INFERENCE_SERVICE, changed | {"status": {"url": "http://x"}})

    assert [obj["metadata"]["generation"] for obj in (labelled, changed, seen)] == [1, 2, 2]


def test_update_leaves_status_and_update_status_leaves_the_rest(store: Store) -> None:
    made = store.create(INFERENCE_SERVICE, isvc())

    store.update_status(INFERENCE_SERVICE, made | {"spec": {}, "status": {"url": "http://x"}})
    changed = store.update(INFERENCE_SERVICE, isvc() | {"status": {"url": "http://y"}})

    assert (changed["status"], changed["spec"]) == ({"url": "http://x"}, {"predictor": {}})


def test_an_update_that_changes_nothing_writes_nothing(store: Store) -> None:
    made = store.create(INFERENCE_SERVICE, isvc())

    assert store.update(INFERENCE_SERVICE, isvc()) == made
    assert store.update_status(INFERENCE_SERVICE, made) == made
    assert store.version == int(made["metadata"]["resourceVersion"])


def test_an_old_version_conflicts_and_so_does_another_uid(store: Store) -> None:
    old = store.create(INFERENCE_SERVICE, isvc())
    store.update_status(INFERENCE_SERVICE, old | {"status": {"a": 1}})

    with pytest.raises(ConflictError):
        store.update(INFERENCE_SERVICE, old | {"spec": {}})
    with pytest.raises(StatusError, match="Precondition failed: UID in precondition: u,"):
        store.update(INFERENCE_SERVICE, isvc(uid="u"))


def test_a_dry_run_stores_nothing(store: Store) -> None:
    version = store.version

    made = store.create(INFERENCE_SERVICE, isvc(), dry_run=True)

    assert made["metadata"]["uid"] and store.find(INFERENCE_SERVICE, "demo", "a") is None and store.version == version


def test_admission_sees_and_changes_every_write_but_status() -> None:
    seen: list[str] = []

    def admit(operation: str, kind: Kind, new: Object, old: Object | None, objects: Objects, *, dry_run: bool = False,
              warnings: list[str] | None = None) -> Object:
        seen.append(f"{operation} {kind.plural} {'old' if old else 'new'}")
        if warnings is not None:
            warnings.append("admitted")
        return new | {"spec": {"admitted": True}}

    store, warnings = Store(None, admission=admit), []
    store.create(NAMESPACE, {"metadata": {"name": "demo"}})
    made = store.create(INFERENCE_SERVICE, isvc(), warnings=warnings)
    store.update_status(INFERENCE_SERVICE, made | {"status": {"a": 1}})
    store.delete(INFERENCE_SERVICE, "demo", "a")

    assert made["spec"] == {"admitted": True}
    assert warnings == ["admitted"]
    assert seen == ["CREATE namespaces new", "CREATE inferenceservices new", "DELETE inferenceservices old"]


def test_finalizers_keep_an_object_until_the_last_is_gone(store: Store) -> None:
    store.create(INFERENCE_SERVICE, isvc(finalizers=["a/b"]))

    left = store.delete(INFERENCE_SERVICE, "demo", "a")
    assert left is not None and left["metadata"]["deletionTimestamp"]
    assert left["metadata"]["deletionGracePeriodSeconds"] == 0
    assert store.delete(INFERENCE_SERVICE, "demo", "a") == left

    store.update(INFERENCE_SERVICE, left | {"metadata": left["metadata"] | {"finalizers": []}})
    assert store.find(INFERENCE_SERVICE, "demo", "a") is None


def test_a_pod_that_runs_is_given_time_to_end(store: Store) -> None:
    store.create(POD, pod(nodeName="n", terminationGracePeriodSeconds=300))

    first = store.delete(POD, "demo", "p")
    assert first is not None and first["metadata"]["deletionGracePeriodSeconds"] == 300
    shorter = store.delete(POD, "demo", "p", grace_period_s=5)
    assert shorter is not None and shorter["metadata"]["deletionGracePeriodSeconds"] == 5
    assert store.delete(POD, "demo", "p", grace_period_s=60) == shorter

    assert store.delete(POD, "demo", "p", grace_period_s=0) is None


@pytest.mark.parametrize("phase, node", [("Pending", None), ("Failed", "n"), ("Succeeded", "n")])
def test_a_pod_that_does_not_run_is_removed_immediately(store: Store, phase: str, node: str | None) -> None:
    made = store.create(POD, pod(**({"nodeName": node} if node else {})))
    store.update_status(POD, made | {"status": {"phase": phase}})

    assert store.delete(POD, "demo", "p") is None


def test_delete_sends_a_request_for_the_right_object(store: Store) -> None:
    store.create(INFERENCE_SERVICE, isvc())

    with pytest.raises(StatusError, match="Precondition failed"):
        store.delete(INFERENCE_SERVICE, "demo", "a", uid="another")
    with pytest.raises(NotFoundError):
        store.delete(INFERENCE_SERVICE, "demo", "b")
    with pytest.raises(StatusError, match="may not be deleted"):
        store.create(NAMESPACE, {"metadata": {"name": "default"}})
        store.delete(NAMESPACE, None, "default")


def test_lists_are_ordered_and_select_by_labels(store: Store) -> None:
    store.create(NAMESPACE, {"metadata": {"name": "alpha"}})
    for namespace, name, app in (("demo", "b", "x"), ("demo", "a", "x"), ("alpha", "z", "x"), ("alpha", "y", "w")):
        store.create(INFERENCE_SERVICE, {"metadata": {"name": name, "namespace": namespace, "labels": {"app": app}}})

    def names(*args: Any) -> list[str]:
        return [obj["metadata"]["name"] for obj in store.list(INFERENCE_SERVICE, *args)]

    assert names() == ["y", "z", "a", "b"]
    assert names("demo") == ["a", "b"]
    assert names(None, {"app": "x"}) == ["z", "a", "b"]


def test_a_watch_starts_with_existing_objects_and_continues_with_changes(store: Store) -> None:
    store.create(INFERENCE_SERVICE, isvc("a"))

    async def scenario() -> list[tuple[str, str]]:
        seen = []
        async for event in store.watch(INFERENCE_SERVICE, CONFIG_MAP):
            seen.append((event.type, event.object["metadata"]["name"]))
            if len(seen) == 1:
                store.create(CONFIG_MAP, {"metadata": {"name": "c", "namespace": "demo"}})
                store.update(INFERENCE_SERVICE, isvc("a", labels={"x": "y"}))
                store.delete(INFERENCE_SERVICE, "demo", "a")
            if len(seen) == 4:
                break
        return seen

    assert asyncio.run(asyncio.wait_for(scenario(), 10)) == [
        ("ADDED", "a"), ("ADDED", "c"), ("MODIFIED", "a"), ("DELETED", "a")]


def test_versions_grow_with_every_write_of_any_kind(store: Store) -> None:
    begin = store.version

    store.create(INFERENCE_SERVICE, isvc())
    store.create(CONFIG_MAP, {"metadata": {"name": "c", "namespace": "demo"}})
    store.delete(INFERENCE_SERVICE, "demo", "a")

    assert store.version == begin + 3
    last = store.history.since(INFERENCE_SERVICE, begin)[-1]
    assert (last.type, last.entry.version) == ("DELETED", begin + 3)


def test_the_bytes_of_objects_take_no_more_than_their_length() -> None:
    some = [{"number": number, "text": "x" * 900} for number in range(100)]

    tracemalloc.start()
    kept = [encode(obj) for obj in some]
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert taken < 1.5 * sum(map(len, kept))


def test_history_forgets(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "KEPT_PER_KIND", 2)
    begin = store.version

    for number in range(4):
        store.create(INFERENCE_SERVICE, isvc(f"i{number}"))

    assert [change.entry.name for change in store.history.since(INFERENCE_SERVICE, begin + 2)] == ["i2", "i3"]
    assert store.history.since(CONFIG_MAP, begin) == []
    with pytest.raises(ExpiredError, match=rf"too old resource version: {begin} \({begin + 2}\)"):
        store.history.since(INFERENCE_SERVICE, begin)


def test_history_forgets_large_objects_sooner(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.create(INFERENCE_SERVICE, isvc("i0"))
    size = len(store.entry(INFERENCE_SERVICE, "demo", "i0").data)
    monkeypatch.setattr(history_module, "KEPT_BYTES_PER_KIND", int(2.5 * size))

    for number in range(1, 5):
        store.create(INFERENCE_SERVICE, isvc(f"i{number}"))

    latest = store.version
    assert [change.entry.name for change in store.history.since(INFERENCE_SERVICE, latest - 2)] == ["i3", "i4"]
    with pytest.raises(ExpiredError):
        store.history.since(INFERENCE_SERVICE, latest - 3)


def test_old_events_are_forgotten(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def record(name: str, last: str) -> None:
        store.create(EVENT, {"metadata": {"name": name, "namespace": "demo"}, "lastTimestamp": last})

    record("old", "2020-01-01T00:00:00Z")
    record("new", utc(store_module.time.time()))

    assert [event["metadata"]["name"] for event in store.list(EVENT)] == ["new"]


def test_objects_and_versions_survive(tmp_path: Path) -> None:
    first = Store(tmp_path / "store.db")
    first.create(NAMESPACE, {"metadata": {"name": "demo"}})
    made = first.create(INFERENCE_SERVICE, isvc(labels={"a": "b"}))
    first.create(INFERENCE_SERVICE, isvc("gone"))
    first.delete(INFERENCE_SERVICE, "demo", "gone")
    first.close()

    second = Store(tmp_path / "store.db")

    assert second.list(INFERENCE_SERVICE, None, {"a": "b"}) == [made]
    assert second.find(INFERENCE_SERVICE, "demo", "gone") is None
    assert second.version == first.version == FIRST_VERSION + 4
    with pytest.raises(ExpiredError):
        second.history.since(INFERENCE_SERVICE, FIRST_VERSION)


def test_an_acknowledged_write_survives_kill_9(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from kserve_nb.clusters.embedded.api.store.store import Store;"
        "from kserve_nb.clusters.embedded.apimachinery.kinds import NAMESPACE\n"
        "store, number = Store(Path(sys.argv[1])), 0\n"
        "while True:\n"
        "    store.create(NAMESPACE, {'metadata': {'name': f'n{number}'}}); print(number, flush=True); number += 1\n")
    command = [sys.executable, "-c", script, str(tmp_path / "s.db")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            if int(line) >= 50:
                os.kill(writer.pid, signal.SIGKILL)
                break
        answered = max(int(line) for line in [line, *writer.stdout])

    store = Store(tmp_path / "s.db")

    assert len(store.list(NAMESPACE)) in (answered + 1, answered + 2)
    assert store.version == FIRST_VERSION + len(store.list(NAMESPACE))


@pytest.mark.parametrize("labels, text", [
    ({"a": "x" * 64}, "metadata.labels: Invalid value: \"" + "x" * 64 + "\": must be no more than 63 characters"),
    ({"a b": "x"}, "metadata.labels: Invalid value: \"a b\": name part must consist of"),
])
def test_labels_are_checked(store: Store, labels: dict[str, str], text: str) -> None:
    with pytest.raises(StatusError) as refused:
        store.create(INFERENCE_SERVICE, isvc(labels=labels))

    assert refused.value.code == 422 and text in refused.value.message


def test_owners_are_whole(store: Store) -> None:
    with pytest.raises(StatusError) as refused:
        store.create(INFERENCE_SERVICE, isvc(ownerReferences=[{"apiVersion": "v1", "kind": "Pod", "name": "p"}]))

    assert refused.value.code == 422
    assert 'metadata.ownerReferences.uid: Invalid value: "": must not be empty' in refused.value.message


@pytest.mark.parametrize("version", ["v1", "0", "-1", ""])
def test_a_resource_version_that_is_no_version_is_ignored_when_creating(version: str) -> None:
    body = {"metadata": {"name": "demo", "resourceVersion": version}}

    assert Store(None).create(NAMESPACE, body)["metadata"]["resourceVersion"].isdecimal()


def test_a_resource_version_is_refused_when_creating() -> None:
    with pytest.raises(StatusError, match="resourceVersion should not be set on objects to be created") as refused:
        Store(None).create(NAMESPACE, {"metadata": {"name": "demo", "resourceVersion": "7"}})

    assert (refused.value.code, refused.value.reason) == (500, "")


def damage(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize("data", ["x'7b'", "x'5b5d'", "x'7b7d'"])
def test_a_row_that_cannot_be_read_costs_one_object_and_is_reported(
        data: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(tmp_path / "store.db")
    for name in ("good", "bad"):
        store.create(NAMESPACE, {"metadata": {"name": name}})
    store.close()
    damage(tmp_path / "store.db", f"UPDATE objects SET data = {data} WHERE name = 'bad'")

    reopened = Store(tmp_path / "store.db")

    assert [obj["metadata"]["name"] for obj in reopened.list(NAMESPACE)] == ["good"]
    assert "Cannot read namespaces bad from the store" in caplog.text
    assert [line in caplog.text for line in reopened.unreadable] == [True]
    reopened.create(NAMESPACE, {"metadata": {"name": "bad"}})


def test_a_store_without_a_schema_version_is_migrated(tmp_path: Path) -> None:
    Store(tmp_path / "store.db").create(NAMESPACE, {"metadata": {"name": "demo"}})
    damage(tmp_path / "store.db", "PRAGMA user_version = 0")

    assert [obj["metadata"]["name"] for obj in Store(tmp_path / "store.db").list(NAMESPACE)] == ["demo"]
    with sqlite3.connect(tmp_path / "store.db") as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    connection.close()


def test_a_store_of_a_newer_version_is_refused_and_kept(tmp_path: Path) -> None:
    Store(tmp_path / "store.db").create(NAMESPACE, {"metadata": {"name": "demo"}})
    damage(tmp_path / "store.db", "PRAGMA user_version = 99")

    with pytest.raises(StoreError, match=r"a newer version of kserve-nb wrote it \(schema 99; this version reads"):
        Store(tmp_path / "store.db")


def test_a_file_that_is_no_database_is_refused_with_the_next_step(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"garbage " * 1000)

    with pytest.raises(StoreError, match=r"Cannot open the cluster's store .*store.db: file is not a database"):
        Store(tmp_path / "store.db")


def test_a_full_disk_is_named_and_changes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db")
    store.create(NAMESPACE, {"metadata": {"name": "demo"}})
    pages = store._database._connection.execute("PRAGMA page_count").fetchone()[0]
    store._database._connection.execute(f"PRAGMA max_page_count = {pages}")
    version = store.version

    with pytest.raises(StatusError, match=r"Cannot store namespaces 'big' in .*store.db: database or disk is full"):
        store.create(NAMESPACE, {"metadata": {"name": "big", "annotations": {"a": "x" * 100_000}}})

    assert (store.version, [obj["metadata"]["name"] for obj in store.list(NAMESPACE)]) == (version, ["demo"])
    store._database._connection.execute("PRAGMA max_page_count = 100000")
    store.create(NAMESPACE, {"metadata": {"name": "small"}})


def test_a_reader_that_stops_is_closed_before_it_fills_memory() -> None:
    async def run() -> tuple[bool, int]:
        store = Store(None)
        subscription = store.history.subscribe([NAMESPACE], most_bytes=50_000)
        for number in range(100):
            store.create(NAMESPACE, {"metadata": {"name": f"n{number}", "annotations": {"a": "x" * 1000}}})
        return subscription.closed, len(await subscription.batch())

    assert asyncio.run(run()) == (True, 0)
