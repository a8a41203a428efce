import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from kserve_nb.clusters import state
from kserve_nb.clusters.state import ClusterError, Record, RecordError


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


@pytest.mark.parametrize("text", ["{", "[]", "null", "3", '{"name": "one"}', "", '{"name": ',
                                  '{"name": "one", "cluster": "kind"}', '{"format": null}',
                                  '{"name": "two", "cluster": "embedded", "kubeconfig": "/k", "ingress": "h:1"}',
                                  '{"name": "one", "cluster": "embedded", "kubeconfig": "/k", "ingress": 5}'])
def test_a_damaged_record_is_reported_without_advice_to_delete_it(text):
    state.folder("one").mkdir(parents=True)
    (state.folder("one") / "cluster.json").write_text(text)

    with pytest.raises(RecordError, match=r"Cannot read .*cluster\.json: .*were not changed") as raised:
        state.read("one")

    assert "down" not in str(raised.value) and not raised.value.newer


def test_fields_of_a_newer_version_are_kept():
    state.folder("one").mkdir(parents=True)
    state.write(Record("one", "embedded", "/k", "127.0.0.1:8080"))
    file = state.folder("one") / "cluster.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"newfield": {"a": 1}}))

    record = state.read("one")
    state.write(replace(record, speed=3.0))

    assert json.loads(file.read_text())["newfield"] == {"a": 1}
    assert state.read("one").speed == 3.0


def test_a_record_of_a_newer_format_is_refused_without_advice_to_delete_it():
    state.folder("one").mkdir(parents=True)
    state.write(Record("one", "embedded", "/k", "127.0.0.1:8080"))
    file = state.folder("one") / "cluster.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": state.RECORD_FORMAT + 1}))

    with pytest.raises(RecordError, match="a newer version of kserve-nb wrote") as raised:
        state.read("one")

    assert raised.value.newer and "down" not in str(raised.value)


@pytest.mark.parametrize("text", [None, "{", "[]"])
def test_a_record_that_was_removed_or_damaged_is_read_from_its_second_copy(text):
    state.folder("one").mkdir(parents=True)
    record = Record("one", "embedded", "/k", "127.0.0.1:8080")
    state.write(record)
    file = state.folder("one") / "cluster.json"
    file.unlink() if text is None else file.write_text(text)

    assert state.read("one") == record
    assert state.names() == ["one"]


def test_a_record_that_cannot_be_written_is_a_cluster_error(tmp_path):
    with pytest.raises(ClusterError, match=r"Cannot use the files of cluster 'one': .*cluster.*No such file"):
        state.write(Record("one", "embedded", "/k", "127.0.0.1:8080"))


@pytest.mark.parametrize("name", ["", "Capital", "-a", "a/b", "..", "a" * 33])
def test_a_name_that_cannot_be_a_folder_is_refused(name):
    with pytest.raises(ClusterError, match="is not a valid cluster name"):
        state.folder(name)


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


def test_one_process_at_a_time_holds_the_start_lock_even_if_its_file_is_removed():
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


def test_locks_of_clusters_that_no_longer_exist_are_removed_but_none_that_is_in_use():
    base = state.folder("one").parent
    base.mkdir(parents=True)
    for name in ("gone", "kept", "starting"):
        (base / f".{name}.lock").touch()
    (base / "kept").mkdir()

    with state.lock("starting"):
        state.remove_unused_locks()
        assert sorted(path.name for path in base.glob(".*")) == [".kept.lock", ".starting.lock"]
