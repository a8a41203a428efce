"""A deletion removes the complete folder of the named cluster and no other, or reports what is left."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from kserve_nb import clusters
from kserve_nb.cli import main
from kserve_nb.clusters import ClusterError, Record, state


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def record() -> Record:
    """The record of a cluster without processes."""
    found = Record("one", "attach", "/k", "127.0.0.1:8080")
    state.folder("one").mkdir(parents=True)
    state.write(found)
    return found


def left() -> list[str]:
    return sorted(path.name for path in state.folder("one").parent.iterdir())


def test_nothing_is_left_of_a_deleted_cluster(record: Record) -> None:
    assert clusters.delete("one") == "forgotten here; it keeps running"

    assert left() == []
    assert clusters.delete("one") == ""


def test_another_cluster_that_has_the_name_by_now_is_left_alone(record: Record) -> None:
    assert clusters.delete("one", only="another id") == ""

    assert state.read("one") == record
    assert clusters.delete("one", only=record.id) != ""


def test_a_linked_folder_is_removed_with_its_target(record: Record, tmp_path: Path) -> None:
    elsewhere = tmp_path / "bigger disk"
    state.folder("one").rename(elsewhere)
    state.folder("one").symlink_to(elsewhere)

    clusters.delete("one")

    assert left() == [] and not elsewhere.exists()


def test_a_link_to_a_folder_without_a_record_is_not_followed(record: Record, tmp_path: Path) -> None:
    elsewhere = tmp_path / "documents"
    elsewhere.mkdir()
    shutil.rmtree(state.folder("one"))
    state.folder("one").symlink_to(elsewhere)

    with pytest.raises(ClusterError, match=r"it is a symbolic link to .*documents, and there is no record"):
        clusters.delete("one")

    assert elsewhere.exists()


def test_files_that_cannot_be_removed_are_named_and_removed_by_the_next_deletion(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted", str(path / "store.db"))

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", refuse)
        done = CliRunner().invoke(main, ["down", "--name", "one"])
    assert done.exit_code == 1 and "is deleted" not in done.output
    assert "store.db: Operation not permitted" in done.output and "what is left of it is in" in done.output
    assert clusters.names() == []  # it is no longer a cluster

    clusters.delete("one")

    assert left() == []


def test_a_folder_that_cannot_be_renamed_is_emptied_where_it_is(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy")  # a mount point

    monkeypatch.setattr(Path, "rename", refuse)

    clusters.delete("one")

    assert left() == []


def test_a_cluster_of_a_newer_version_is_not_deleted(record: Record) -> None:
    file = state.folder("one") / "cluster.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": state.RECORD_FORMAT + 1}))

    with pytest.raises(ClusterError, match="a newer version of kserve-nb wrote"):
        clusters.delete("one")

    assert file.exists()


def test_a_full_disk_is_named(record: Record, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(json.dumps({"current-context": "a", "contexts": [{"name": "a", "context": {"cluster": "c"}}],
                                      "clusters": [{"name": "c", "cluster": {}}]}))

    def full(_file: Path, _text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/state/cluster.json")

    monkeypatch.setattr("kserve_nb.clusters.private_files.write", full)
    done = CliRunner().invoke(main, ["up", "--name", "one", "--kubeconfig", str(kubeconfig)])

    assert done.exit_code == 1
    assert "/state/cluster.json: No space left on device. Free space there, then run the command again." in done.output
