import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from kserve_nb.clusters import state
from kserve_nb.clusters.state import ClusterError, Record


@pytest.fixture(autouse=True)
def own_state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state with spaces"))


def test_a_record_is_read_back_as_it_was_written():
    record = Record("one", "embedded", "/k", "127.0.0.1:8080", speed=3, token="secret", pid=os.getpid())
    state.folder("one").mkdir(parents=True)

    state.write(record)

    assert state.read("one") == record
    assert state.names() == ["one"]
    assert (state.folder("one") / "cluster.json").stat().st_mode & 0o077 == 0


def test_a_damaged_record_says_how_to_forget_it():
    state.folder("one").mkdir(parents=True)
    (state.folder("one") / "cluster.json").write_text("{")

    with pytest.raises(ClusterError, match="kserve-nb down --name one"):
        state.read("one")


@pytest.mark.parametrize("name", ["", "Capital", "-a", "a/b", "..", "a" * 33])
def test_a_name_that_cannot_be_a_folder_is_refused(name):
    with pytest.raises(ClusterError, match="cannot name a cluster"):
        state.folder(name)


def test_a_process_that_ended_is_not_taken_for_a_running_one():
    process = subprocess.Popen([sys.executable, "-c", ""])
    assert state.same_process(os.getpid(), None)

    process.wait()

    assert not state.same_process(process.pid, None)


def test_a_later_process_of_the_same_id_is_another_one():
    assert not state.same_process(os.getpid(), 1.0)


def test_a_state_folder_that_cannot_be_made_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))

    with pytest.raises(ClusterError, match="XDG_STATE_HOME"), state.lock("one"):
        pass


def test_a_cluster_that_is_gone_leaves_no_lock():
    with state.lock("gone"):
        pass
    with state.lock("kept"):
        state.folder("kept").mkdir()

    assert sorted(path.name for path in state.folder("one").parent.iterdir()) == [".kept.lock", "kept"]


def test_a_lock_is_one_starters_at_a_time_though_its_file_comes_and_goes():
    inside = [0]

    def start(_number):
        with state.lock("one"):
            inside[0] += 1
            alone = inside[0] == 1
            os.sched_yield()
            inside[0] -= 1
            return alone

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(start, range(400)))
