"""`kserve-nb ls`, `stop` and `status`."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kserve_nb.cli import main
from kserve_nb.clusters import Record, state

DAY_S = 86400


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def cluster(name: str, unused_days: float = 0, **fields: object) -> Record:
    """The record of an embedded cluster that is not running."""
    record = Record(name, "embedded", "/k", "127.0.0.1:8080", pid=2**22 + 1, started="never", **fields)  # type: ignore[arg-type]
    state.folder(name).mkdir(parents=True)
    state.write(record)
    (state.folder(name) / "store.db").write_bytes(bytes(3 * 2**20))
    then = time.time() - unused_days * DAY_S
    for path in [*state.folder(name).iterdir(), state.folder(name)]:
        os.utime(path, (then, then))
    return record


def cli(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def test_a_missing_cluster_is_reported() -> None:
    assert cli("ls").output == "There is no cluster. Start one: kserve-nb up\n"
    assert json.loads(cli("ls", "-o", "json").output) == []


def test_every_cluster_has_a_row_and_old_ones_the_command_that_deletes_them() -> None:
    cluster("fresh", created=time.time() - 2 * 3600)
    cluster("old", unused_days=45, owner=123, created=time.time() - 50 * DAY_S)
    cluster("recent", unused_days=29)

    lines = cli("ls").output.splitlines()

    assert lines[0].split() == ["NAME", "KIND", "STATE", "OWNER", "AGE", "LAST", "USED", "SIZE"]
    assert lines[1].split() == ["fresh", "embedded", "stopped", "-", "2h", "0s", "ago", "3.0", "MiB"]
    assert lines[2].split() == ["old", "embedded", "stopped", "process", "123", "50d", "45d", "ago", "3.0", "MiB"]
    assert lines[4:] == ["Cluster 'old' has not been used for 45 days. Delete it with its objects: "
                         "kserve-nb down --name old"]


def test_clusters_with_a_lost_or_unreadable_record_are_listed() -> None:
    cluster("damaged")
    for file in state.folder("damaged").glob("cluster*.json"):
        file.write_text("{")
    state.folder("empty").mkdir()

    rows = {row["name"]: row for row in json.loads(cli("ls", "-o", "json").output)}

    assert {name: row["state"] for name, row in rows.items()} == {"damaged": "unreadable", "empty": "no record"}
    assert "Cannot read" in rows["damaged"]["problem"]


def test_a_cluster_that_does_not_exist_cannot_be_stopped_and_is_named() -> None:
    cluster("one")

    refused = cli("stop", "--name", "two")

    assert refused.exit_code == 1
    assert refused.output == "kserve-nb: cluster 'two' is not running. Start it: kserve-nb up --name two\n"


def test_a_cluster_that_is_stopped_already_can_be_stopped() -> None:
    cluster("one")

    done = cli("stop", "--name", "one")

    assert (done.exit_code, done.output) == (
        0, "cluster 'one' is stopped, with its objects kept. Resume it: kserve-nb up --name one\n")


def test_an_attached_cluster_is_not_stopped() -> None:
    state.folder("one").mkdir(parents=True)
    state.write(Record("one", "attach", "/k", "127.0.0.1:8080"))

    refused = cli("stop", "--name", "one")

    assert refused.exit_code == 1 and "Cannot stop cluster 'one': kserve-nb did not start it." in refused.output


def test_the_state_of_a_stopped_cluster_names_the_reason() -> None:
    cluster("one")
    (state.folder("one") / "health.json").write_text(json.dumps(
        {"pid": 7, "parts": [], "stopped": "it was not used for 12 hours"}))

    shown = cli("status", "--name", "one")
    asked = json.loads(cli("status", "--name", "one", "-o", "json").output)

    assert shown.exit_code == 1
    assert "no: it is stopped (it was not used for 12 hours). Start it: kserve-nb up --name one" in shown.output
    assert (asked["ready"], asked["parts"]) == (False, []) and "12 hours" in asked["reason"]
