"""Events: the stored fields, and the count of equal events."""

from __future__ import annotations

from kserve_nb.clusters.embedded.api.store.store import Store
from kserve_nb.clusters.embedded.apimachinery.kinds import CONFIG_MAP, EVENT, NAMESPACE
from kserve_nb.clusters.embedded.apimachinery.objects import Object, Settings, utc
from kserve_nb.clusters.embedded.control.framework.event_recorder import record
from kserve_nb.clusters.embedded.control.framework.reconciler import Moment

NOW = 1_800_000_000.0


def about(store: Store) -> Object:
    store.create(NAMESPACE, {"metadata": {"name": "test"}})
    return store.create(CONFIG_MAP, {"metadata": {"name": "thing", "namespace": "test"}})


def moment(after_s: float = 0) -> Moment:
    return Moment(NOW + after_s, Settings())


def test_equal_events_are_one_with_a_count() -> None:
    store = Store(None)
    thing = about(store)

    for after_s in (0, 5, 9):
        record(store, moment(after_s), (thing, "Warning", "Broken", "it broke", "some-controller"))
    record(store, moment(9), (thing, "Warning", "Broken", "it broke otherwise", "some-controller"))

    counted = {e["message"]: (e["count"], e["firstTimestamp"], e["lastTimestamp"]) for e in store.list(EVENT, "test")}
    assert counted == {"it broke": (3, utc(NOW), utc(NOW + 9)),
                       "it broke otherwise": (1, utc(NOW + 9), utc(NOW + 9))}


def test_another_object_of_the_same_name_has_its_own_events() -> None:
    store = Store(None)
    thing = about(store)
    record(store, moment(), (thing, "Normal", "Made", "made", "some-controller"))
    store.delete(CONFIG_MAP, "test", "thing")
    again = store.create(CONFIG_MAP, {"metadata": {"name": "thing", "namespace": "test"}})

    record(store, moment(), (again, "Normal", "Made", "made", "some-controller"))

    assert [e["count"] for e in store.list(EVENT, "test")] == [1, 1]


def test_the_schedulers_events_have_the_newer_form() -> None:
    store = Store(None)

    record(store, moment(), (about(store), "Normal", "Scheduled", "assigned", "default-scheduler"))

    event = store.list(EVENT, "test")[0]
    assert event["action"] == "Binding"
    assert (event["source"], event["firstTimestamp"], event["eventTime"]) == ({}, None, "2027-01-15T08:00:00.000000Z")


def test_an_event_about_something_that_is_gone_is_dropped() -> None:
    store = Store(None)
    thing = about(store)
    thing["metadata"]["namespace"] = "gone"

    record(store, moment(), (thing, "Normal", "Made", "made", "some-controller"))

    assert store.list(EVENT) == []
