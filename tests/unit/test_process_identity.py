"""A process is recognised by its id and the moment of its start, which no change of the clock affects."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import psutil
import pytest

from kserve_nb.clusters import process_identity


def test_a_process_that_has_ended_is_not_running() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    mark = process_identity.start_mark(process.pid)
    process.wait()

    assert not process_identity.is_running(process.pid, mark)
    assert process_identity.start_mark(process.pid) is None


def test_a_zombie_is_not_running() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    try:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

        assert not process_identity.is_running(process.pid, None)
    finally:
        process.wait()


def test_a_later_process_of_the_same_id_is_another_one() -> None:
    assert process_identity.is_running(os.getpid(), process_identity.start_mark(os.getpid()))
    assert not process_identity.is_running(os.getpid(), "another boot:123")


@pytest.mark.skipif(sys.platform != "linux", reason="psutil reads a fixed start time elsewhere")
def test_a_change_of_the_clock_changes_no_start_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    before = process_identity.start_mark(os.getpid())

    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(psutil, "boot_time", lambda: 10.0)
    monkeypatch.setattr(psutil.Process, "create_time", lambda _self: 10.0)

    assert process_identity.start_mark(os.getpid()) == before


def test_a_command_with_a_bracket_in_its_name_has_a_start_mark(tmp_path) -> None:
    program = tmp_path / "a) 1 2 (b"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([str(program), "60"]) as process:
        try:
            mark = process_identity.start_mark(process.pid) or ""
        finally:
            process.kill()

    assert mark.rpartition(":")[2].isdecimal() and int(mark.rpartition(":")[2]) > 0
