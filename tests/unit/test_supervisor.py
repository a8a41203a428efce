"""The supervisor: it restarts processes, reports failures, stops only for a reason, and never removes objects."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from kserve_nb.clusters import process_identity, state
from kserve_nb.clusters.embedded import log_rotation
from kserve_nb.clusters.embedded.supervision import health, processes, supervised_process, supervisor
from kserve_nb.clusters.embedded.supervision.health import PartHealth
from kserve_nb.clusters.embedded.supervision.supervised_process import SupervisedProcess
from kserve_nb.clusters.embedded.supervision.supervisor import StopConditions, Supervisor
from kserve_nb.clusters.embedded.supervision.supervisor_lock import LOCK_FILE, hold_lock
from kserve_nb.clusters.state import ClusterError, Record

DEADLINE_S = 60.0


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Record:
    """The record of a cluster in a state folder of this test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    record = Record("lab", "embedded", "kubeconfig", "127.0.0.1:8080", token="secret", idle_s=100)
    state.folder("lab").mkdir(parents=True)
    state.write(record)
    (state.folder("lab") / "store.db").write_text("precious")
    return record


class Clock:
    """A clock that a test moves."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


async def until(claim: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not claim():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S:.0f} s: {what}"
        await asyncio.sleep(0.01)


def supervise(folder: Path, argv: list[str], scene: Callable[[Supervisor], Awaitable[None]],
              is_ready: Callable[[], bool] = lambda: True) -> None:
    """Run a supervisor of one process while a scene plays."""
    async def ready() -> bool:
        return is_ready()

    def parts(report: Callable[[], None]) -> list[SupervisedProcess]:
        return [SupervisedProcess("server", argv, folder / "server.log", ready, report)]

    async def play() -> None:
        supervisor = Supervisor(folder, parts)
        with hold_lock(folder) as lock:
            record = state.read("lab")
            assert record is not None
            running = asyncio.create_task(supervisor.run(StopConditions(record, folder, lock)))
            try:
                await scene(supervisor)
            finally:
                supervisor.stop()
                await running

    asyncio.run(play())


def only_part(folder: Path) -> PartHealth:
    found = health.read(folder)
    return PartHealth("none") if found is None else found.parts[0]


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


SLEEP = python("import time; time.sleep(1000)")


@pytest.mark.slow
def test_a_process_that_cannot_be_started_is_retried_until_it_can(record: Record) -> None:
    folder = state.folder("lab")
    program = folder / "program"

    async def scene(supervisor: Supervisor) -> None:
        await until(lambda: only_part(folder).state == "crash-looping", "the failure is reported")
        assert only_part(folder).reason == "cannot be started: No such file or directory"
        program.write_text("#!/bin/sh\nexec sleep 1000\n")
        program.chmod(0o700)
        await until(lambda: only_part(folder).state == "ready", "the process runs")

    supervise(folder, [str(program)], scene)

    assert (folder / "store.db").read_text() == "precious"


def test_the_logs_of_a_clusters_processes_are_rotated(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = state.folder("lab")
    monkeypatch.setattr(supervisor, "CHECK_S", 0.02)
    monkeypatch.setattr(log_rotation, "MAX_BYTES", 1000)
    (folder / "supervisor.log").write_text("x" * 1001)

    async def scene(_: Supervisor) -> None:
        await until((folder / "server.log.1").exists, "the log of the process is rotated")
        await until(lambda: (folder / "server.log").stat().st_size > 0, "the process keeps writing")

    supervise(folder, python("while True: print('x' * 100, flush=True); import time; time.sleep(0.01)"), scene)

    assert (folder / "supervisor.log").read_text() == "" and (folder / "supervisor.log.1").read_text() == "x" * 1001
    assert not (folder / "server.log.2").exists()


def test_a_crash_loop_is_reported_with_the_last_line_of_the_log(record: Record) -> None:
    folder = state.folder("lab")

    async def scene(supervisor: Supervisor) -> None:
        await until(lambda: only_part(folder).state == "crash-looping", "the crash loop is reported")

    supervise(folder, python("print('starting'); print('port 1 is taken'); raise SystemExit(3)"), scene, lambda: False)

    part = only_part(folder)
    assert (part.reason, part.last_log) == ("ended with exit code 3", "port 1 is taken")
    assert part.restarts >= supervised_process.CRASH_LOOP
    assert (folder / health.FILE).stat().st_mode & 0o777 == 0o600


def test_the_last_line_of_a_log_is_no_frame_of_an_exception_group(tmp_path: Path) -> None:
    (tmp_path / "server.log").write_text("  | ValueError: port 1 is taken\n  +-----\n\n")

    assert health.last_line(tmp_path / "server.log") == "ValueError: port 1 is taken"


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"pid": 1, "parts": 3, "stopped": ""}',
                                    '{"pid": 1, "parts": [{"name": 1}], "stopped": ""}'])
def test_a_damaged_health_record_is_none(tmp_path: Path, damage: str) -> None:
    (tmp_path / health.FILE).write_text(damage)

    assert health.read(tmp_path) is None


def test_a_health_record_with_a_wrong_value_is_none(tmp_path: Path) -> None:
    health.write(tmp_path, health.Health(1, (health.PartHealth("envoy", since="now"),)))  # type: ignore[arg-type]

    assert health.read(tmp_path) is None


def test_a_killed_process_is_restarted_and_reported_ready(record: Record) -> None:
    folder = state.folder("lab")

    async def scene(supervisor: Supervisor) -> None:
        await until(lambda: only_part(folder).state == "ready", "it is ready")
        first = supervisor.parts[0].pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: only_part(folder).restarts == 1 and only_part(folder).state == "ready", "it runs again")
        assert supervisor.parts[0].pid != first
        assert only_part(folder).reason == "ended by signal 9"

    supervise(folder, SLEEP, scene)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux hands orphans to an ancestor")
def test_children_of_a_killed_process_end_with_it(record: Record) -> None:
    folder = state.folder("lab")
    code = ("import subprocess, sys, time\n"
            "child = subprocess.Popen(['sleep', '1000'], start_new_session=True)\n"
            f"open({str(folder / 'child')!r}, 'w').write(f'{{child.pid}} ')\ntime.sleep(1000)")

    async def scene(supervisor: Supervisor) -> None:
        processes.adopt_orphans()
        await until(lambda: (folder / "child").exists() and (folder / "child").read_text().endswith(" "), "started")
        orphan = psutil.Process(int((folder / "child").read_text()))
        assert supervisor.parts[0].pid is not None
        os.kill(supervisor.parts[0].pid, signal.SIGKILL)
        await until(lambda: not orphan.is_running(), "the orphan has ended")

    try:
        supervise(folder, python(code), scene)
    finally:  # later tests must not leave their orphans to this process
        ctypes.CDLL(None).prctl(processes._PR_SET_CHILD_SUBREAPER, 0)


def test_a_stopped_cluster_has_a_reason_and_keeps_its_objects(record: Record) -> None:
    folder = state.folder("lab")
    state.write(replace(record, owner=2**22 - 1, owner_started="an earlier process"))

    async def scene(supervisor: Supervisor) -> None:
        await until(lambda: (health.read(folder) or health.Health()).stopped, "it has stopped")

    supervise(folder, SLEEP, scene)

    found = health.read(folder)
    assert found is not None and found.stopped == f"its owner, process {2**22 - 1}, has ended"
    assert [part.state for part in found.parts] == ["stopped"]
    assert (folder / "store.db").read_text() == "precious"


def test_a_health_record_that_cannot_be_written_stops_nothing(record: Record, caplog: pytest.LogCaptureFixture) -> None:
    folder = state.folder("lab")
    (folder / f".{health.FILE}.tmp").mkdir()

    async def scene(supervisor: Supervisor) -> None:
        await until(lambda: supervisor.parts[0].health.state == "ready", "it runs")

    supervise(folder, SLEEP, scene)

    assert "cannot write the health record" in caplog.text


def conditions(record: Record, clock: Clock) -> StopConditions:
    folder = state.folder("lab")
    return StopConditions(record, folder, hold_lock(folder), clock)


def test_an_idle_cluster_stops_whatever_the_wall_clock_shows(record: Record) -> None:
    clock, used = Clock(), state.folder("lab") / "used"
    used.touch()
    found = conditions(record, clock)

    os.utime(used, (1, 1))  # the wall clock has been put back by decades
    assert found.check() == ""
    clock.now_s += 99
    assert found.check() == ""
    clock.now_s += 2

    assert found.check() == "it was not used for 0.0278 hours"


def test_each_use_begins_the_idle_time_again(record: Record) -> None:
    clock, used = Clock(), state.folder("lab") / "used"
    used.touch()
    found = conditions(record, clock)

    clock.now_s += 99
    os.utime(used, (5, 5))
    found.check()
    clock.now_s += 99

    assert found.check() == ""


def test_a_missing_use_file_is_no_reason_to_stop(record: Record) -> None:
    found = conditions(record, Clock())

    assert found.check() == ""


def test_a_cluster_that_was_taken_over_outlives_its_owner(record: Record) -> None:
    with subprocess.Popen(SLEEP) as owner:
        owned = replace(record, owner=owner.pid, owner_started=process_identity.start_mark(owner.pid))
        state.write(owned)
        found = conditions(owned, Clock())
        assert found.check() == ""
        state.write(replace(owned, owner=None))
        owner.kill()

    assert found.check() == ""


@pytest.mark.parametrize("damage", ["{", "[]", '{"name": "lab"}'])
def test_a_record_that_cannot_be_read_is_no_reason_to_stop(record: Record, damage: str) -> None:
    found = conditions(record, Clock())

    (state.folder("lab") / "cluster.json").write_text(damage)

    assert found.check() == ""


def test_a_record_that_was_removed_is_written_again(record: Record) -> None:
    found = conditions(record, Clock())

    (state.folder("lab") / "cluster.json").unlink()

    assert found.check() == ""
    assert state.read("lab") == record


def test_the_record_of_another_cluster_in_the_folder_stops_this_one(record: Record) -> None:
    found = conditions(record, Clock())

    state.write(replace(record, token="another"))

    assert found.check() == "its state folder was removed or replaced"


def test_a_replaced_folder_stops_the_cluster_of_the_old_folder(record: Record) -> None:
    found = conditions(record, Clock())

    (state.folder("lab") / LOCK_FILE).unlink()
    assert found.check() == "its state folder was removed or replaced"
    (state.folder("lab") / LOCK_FILE).touch()

    assert found.check() == "its state folder was removed or replaced"


def test_only_one_supervisor_runs_a_cluster(record: Record) -> None:
    folder = state.folder("lab")

    with hold_lock(folder), pytest.raises(ClusterError, match="another supervisor"):
        hold_lock(folder)

    with contextlib.closing(hold_lock(folder)):
        pass
    assert (folder / LOCK_FILE).stat().st_mode & 0o777 == 0o600
