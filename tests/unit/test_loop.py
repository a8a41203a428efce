"""The control loop: which reconcilers it queues, when they run, and what happens after a failure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from kserve_nb.clusters.embedded.api.store.store import Store
from kserve_nb.clusters.embedded.apimachinery.kinds import CONFIG_MAP, NAMESPACE, SECRET
from kserve_nb.clusters.embedded.apimachinery.objects import Object, Objects, Settings
from kserve_nb.clusters.embedded.control.framework.control_loop import ControlLoop
from kserve_nb.clusters.embedded.control.framework.reconciler import Changes, Moment, Reconciler

DEADLINE_S = 60.0


def thing(name: str = "a", **meta: object) -> Object:
    return {"metadata": {"name": name, "namespace": "test", **meta}}


def play(reconcilers: list[Reconciler], until: Callable[[Store], object], begin: Callable[[Store], object]) -> Store:
    """Run the loop until a condition holds; `begin` is called when the loop watches."""
    return asyncio.run(_play(reconcilers, until, begin))


async def _play(reconcilers: list[Reconciler], until: Callable[[Store], object],
                begin: Callable[[Store], object]) -> Store:
    store = Store(None)
    store.create(NAMESPACE, {"metadata": {"name": "test"}})
    recorded: list[object] = []
    loop = ControlLoop(store, Settings(), reconcilers, lambda objects, moment, event: recorded.append(event))
    task = asyncio.create_task(loop.run())
    try:
        async with asyncio.timeout(DEADLINE_S):
            await asyncio.sleep(0)
            begin(store)
            while not until(store):
                await asyncio.sleep(0.002)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        store.close()
    return store


class Counter:
    """A reconciler that counts its calls, and calls a function of the test."""

    def __init__(self, act: Callable[[Changes, int], None] = lambda changes, count: None):
        self.moments: list[float] = []
        self._act = act

    def __call__(self, obj: Object, view: Objects, moment: Moment) -> Changes:
        self.moments.append(moment.now)
        changes = Changes()
        self._act(changes, len(self.moments))
        return changes


def test_an_object_is_reconciled_after_its_creation_and_each_change() -> None:
    counter = Counter()

    def begin(store: Store) -> None:
        made = store.create(CONFIG_MAP, thing())
        asyncio.get_running_loop().call_later(0.02, store.update, CONFIG_MAP, {**made, "data": {"a": "b"}})

    play([Reconciler("r", CONFIG_MAP, counter)], lambda store: len(counter.moments) == 2, begin)


def test_a_child_wakes_its_owner() -> None:
    counter = Counter()

    def begin(store: Store) -> None:
        owner = store.create(CONFIG_MAP, thing())["metadata"]
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": owner["name"], "uid": owner["uid"]}
        asyncio.get_running_loop().call_later(
            0.02, store.create, SECRET, thing("child", ownerReferences=[reference]))

    play([Reconciler("r", CONFIG_MAP, counter, owns=(SECRET,))], lambda store: len(counter.moments) == 2, begin)


def test_a_lag_gathers_changes_into_one_pass() -> None:
    slow, quick = Counter(), Counter()

    def begin(store: Store) -> None:
        for value in "abc":
            made = store.find(CONFIG_MAP, "test", "a") or store.create(CONFIG_MAP, thing())
            store.update(CONFIG_MAP, {**made, "data": {"a": value}})

    play([Reconciler("slow", CONFIG_MAP, slow, delays_s={CONFIG_MAP: 0.1}), Reconciler("quick", CONFIG_MAP, quick)],
               lambda store: slow.moments, begin)

    assert len(slow.moments) == 1
    assert slow.moments[0] - quick.moments[0] >= 0.09


def test_a_refused_write_is_tried_again() -> None:
    def write(changes: Changes, count: int) -> None:
        changes.create(SECRET, {**thing("made"), "metadata": {"name": "made", "namespace": "none" if count < 3
                                                              else "test"}})

    counter = Counter(write)

    store = play([Reconciler("r", CONFIG_MAP, counter)], lambda store: store.list(SECRET),
                       lambda store: store.create(CONFIG_MAP, thing()))

    assert [s["metadata"]["name"] for s in store.list(SECRET)] == ["made"]


def test_requested_retries_back_off() -> None:
    counter = Counter(lambda changes, count: changes.retry())

    play([Reconciler("r", CONFIG_MAP, counter)], lambda store: len(counter.moments) >= 5,
               lambda store: store.create(CONFIG_MAP, thing()))

    pauses = [after - before for before, after in zip(counter.moments, counter.moments[1:], strict=False)]
    assert all(pause >= 0.009 * 2 ** index for index, pause in enumerate(pauses))


def test_a_broken_reconciler_does_not_stop_the_others() -> None:
    def fail(changes: Changes, count: int) -> None:
        raise ValueError("no")

    counter = Counter()

    play([Reconciler("broken", CONFIG_MAP, Counter(fail)), Reconciler("r", CONFIG_MAP, counter)],
               lambda store: counter.moments, lambda store: store.create(CONFIG_MAP, thing()))
