"""No acknowledged write is lost when the server is killed, and every informer ends with the stored objects."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from kserve_nb import clusters
from kserve_nb.clusters import Record
from tests.faults.conftest import command_line, eventually
from tests.faults.informers import Kr8sInformer, OfficialInformer
from tests.faults.report import report
from tests.faults.writers import NAMESPACE, Counter, Writer, session_for

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(1200)]
WRITERS = 4


@pytest.fixture
def record() -> Iterator[Record]:
    started = clusters.start("data")
    session = session_for(started)
    base = f"https://127.0.0.1:{started.api_port}/api/v1"
    session.post(f"{base}/namespaces", json={"metadata": {"name": NAMESPACE}}).raise_for_status()
    session.post(f"{base}/namespaces/{NAMESPACE}/configmaps",
                 json={"metadata": {"name": "counter"}, "data": {"value": "0"}}).raise_for_status()
    yield started
    clusters.delete("data")


class Killer:
    """Kills the server whenever so many writes have been made, at a random moment after that."""

    def __init__(self, record: Record, every: int):
        self._record, self._every = record, every
        self._random, self._stopped = random.Random(1), threading.Event()
        self.kills = 0

    def run(self, writers: list[Writer]) -> None:
        while not self._stopped.wait(self._random.random() * 0.1):
            if sum(writer.writes for writer in writers) > (self.kills + 1) * self._every:
                for process in psutil.Process(self._record.pid).children():
                    if "embedded.server" in command_line(process):
                        process.kill()
                        self.kills += 1

    def stop(self) -> None:
        self._stopped.set()


def stored(record: Record) -> tuple[dict[str, str], dict[str, str]]:
    """The value and the resourceVersion of each ConfigMap."""
    url = f"https://127.0.0.1:{record.api_port}/api/v1/namespaces/{NAMESPACE}/configmaps"
    items = session_for(record).get(url, timeout=60).json()["items"]
    return ({item["metadata"]["name"]: item["data"]["value"] for item in items if "value" in item["data"]},
            {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in items})


@pytest.mark.parametrize(("count", "every"), [
    (400, 150), pytest.param(10_000, 250, marks=pytest.mark.long)])
def test_random_writes_survive_kills_of_the_server(record: Record, count: int, every: int) -> None:
    writers, counter = [Writer(record, number) for number in range(WRITERS)], Counter(record)
    killer = Killer(record, every)

    def write(writer: Writer) -> None:
        session = session_for(record)
        for number in range(count // WRITERS):
            writer.write()
            if number % 20 == 0:
                counter.increment(session)

    with OfficialInformer(record.kubeconfig, NAMESPACE) as official, Kr8sInformer(record.kubeconfig, NAMESPACE) as kr8s:
        with ThreadPoolExecutor(WRITERS + 1) as pool:
            killing = pool.submit(killer.run, writers)
            done = [pool.submit(write, writer) for writer in writers]
            try:
                for each in done:
                    each.result()
            finally:
                killer.stop()
            killing.result()
        values, versions = stored(record)
        assert eventually(lambda: official.versions == versions), "the official client's informer differs"
        assert eventually(lambda: kr8s.versions == versions), "kr8s's informer differs"

    assert [loss for writer in writers for loss in writer.lost(values)] == []
    assert counter.done <= int(values["counter"]) <= counter.done + counter.unanswered
    assert killer.kills >= count // every - 1
    report(f"{sum(writer.writes for writer in writers)} random writes, {killer.kills} kills of the server",
           objects=f"{len(versions)}, none lost", lost=f"{sum(writer.unanswered for writer in writers)} without answer",
           message=f"watches broken: official client {official.breaks}, kr8s {kr8s.breaks}")
