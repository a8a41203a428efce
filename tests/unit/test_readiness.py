"""An embedded cluster is ready when each of its parts is, and API server and gateway answer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kserve_nb.clusters import Record, process_identity
from kserve_nb.clusters.embedded import readiness, unreadable_objects
from kserve_nb.clusters.embedded.supervision import health
from kserve_nb.clusters.embedded.supervision.health import Health, PartHealth


@pytest.fixture
def record() -> Record:
    """A cluster whose supervisor is this process."""
    mark = process_identity.start_mark(os.getpid())
    return Record("lab", "embedded", "/k", "127.0.0.1:9", pid=os.getpid(), started=mark)


@pytest.fixture(autouse=True)
def answering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "answers", lambda *_: True)


def parts(runtime: PartHealth) -> tuple[PartHealth, ...]:
    return (runtime, PartHealth("envoy", "ready"), PartHealth("server", "ready"))


def test_all_parts_ready_and_answering_is_ready(record: Record, tmp_path: Path) -> None:
    health.write(tmp_path, Health(os.getpid(), parts(PartHealth("runtime", "ready"))))

    found = readiness.status(record, tmp_path)

    assert (found.state, found.ready, [part.name for part in found.parts]) == (
        "running", True, ["runtime", "envoy", "server"])


def test_stored_objects_that_cannot_be_read_are_problems_of_a_ready_cluster(record: Record, tmp_path: Path) -> None:
    health.write(tmp_path, Health(os.getpid(), parts(PartHealth("runtime", "ready"))))
    unreadable_objects.write(tmp_path, ["Cannot read namespaces a from the store"])
    assert readiness.status(record, tmp_path).problems == ("Cannot read namespaces a from the store",)

    unreadable_objects.write(tmp_path, [])

    assert readiness.status(record, tmp_path).problems == ()


def test_a_part_that_cannot_start_is_named_with_its_last_log_line(record: Record, tmp_path: Path) -> None:
    crashing = PartHealth("runtime", "crash-looping", restarts=4, reason="ended with exit code 1",
                          last_log="OSError: AF_UNIX path too long")
    health.write(tmp_path, Health(os.getpid(), parts(crashing)))

    found = readiness.status(record, tmp_path)

    assert not found.ready
    assert found.reason == "runtime is crash-looping: ended with exit code 1 | OSError: AF_UNIX path too long"
    assert found.parts[0].restarts == 4


def test_a_cluster_that_does_not_answer_is_not_ready(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    health.write(tmp_path, Health(os.getpid(), parts(PartHealth("runtime", "ready"))))
    monkeypatch.setattr(readiness, "answers", lambda *_: False)

    assert readiness.status(record, tmp_path).reason == "its API server or its gateway does not answer"


@pytest.mark.parametrize("pid", [None, 12])
def test_the_health_record_of_an_earlier_supervisor_counts_for_nothing(
    pid: int | None, record: Record, tmp_path: Path
) -> None:
    if pid is not None:
        health.write(tmp_path, Health(pid, parts(PartHealth("runtime", "ready"))))

    found = readiness.status(record, tmp_path)

    assert (found.ready, found.reason, found.parts) == (False, "it is starting", ())


def test_a_cluster_that_ended_without_a_reason_was_killed(tmp_path: Path) -> None:
    ended = Record("lab", "embedded", "/k", "127.0.0.1:9", pid=os.getpid(), started="another process")

    found = readiness.status(ended, tmp_path)

    assert found.state == "stopped" and "(its processes ended unexpectedly). Start it" in found.reason
