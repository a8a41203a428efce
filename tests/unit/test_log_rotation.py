"""Log files stay below a size, and their writers can continue."""

from __future__ import annotations

import os
from pathlib import Path

from kserve_nb.clusters.embedded import log_rotation
from kserve_nb.clusters.embedded.node import container_logs


def parts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.iterdir())}


def test_a_log_of_the_largest_size_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "0.log").write_text("x" * 100)

    assert not log_rotation.rotate(tmp_path / "0.log", max_bytes=100)
    assert not log_rotation.rotate(tmp_path / "1.log", max_bytes=100)
    assert list(parts(tmp_path)) == ["0.log"]


def test_as_many_files_are_kept_as_a_kubelet_keeps(tmp_path: Path) -> None:
    with open(tmp_path / "0.log", "a", buffering=1) as writer:
        for number in range(7):
            writer.write(f"{number}\n" * 10)
            assert log_rotation.rotate(tmp_path / "0.log", max_bytes=10)
        writer.write("now\n")

    assert {name: text[:2].strip() for name, text in parts(tmp_path).items()} == {
        "0.log": "no", "0.log.1": "6", "0.log.2": "5", "0.log.3": "4", "0.log.4": "3"}
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("0.log.*")} == {0o600}

    log_rotation.remove(tmp_path / "0.log")
    assert parts(tmp_path) == {}


def test_a_log_that_cannot_be_copied_is_emptied(tmp_path: Path) -> None:
    (tmp_path / "0.log").write_text("x" * 100)
    (tmp_path / "0.log.1").mkdir()  # in place of a full disk: nothing can be written there

    assert log_rotation.rotate(tmp_path / "0.log", max_files=2, max_bytes=10)

    assert (tmp_path / "0.log").read_text() == ""


def test_a_container_goes_on_when_its_log_cannot_be_written(tmp_path: Path) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    stream = container_logs.LogStream(full)

    assert stream.write("a line\n") == 7
    container_logs.append(tmp_path / "gone" / "0.log", "a line")
    os.close(full)


def test_a_long_line_is_written_and_read_in_entries(tmp_path: Path) -> None:
    """A long line becomes several entries, as with containerd."""
    log, most = tmp_path / "0.log", container_logs.ENTRY_CHARACTERS
    handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    stream = container_logs.LogStream(handle)
    texts = ["a", "", "x" * most, "y" * (2 * most + 1)]
    for text in texts:
        stream.write(text[:most + 5])
        stream.write(text[most + 5:] + "\n")
    os.close(handle)

    entries = [line.split(" ", 3) for line in log.read_text().splitlines()]
    assert max(len(text) for *_, text in entries) == most
    assert "".join(text + ("" if tag == "P" else "\n") for *_, tag, text in entries) == "\n".join(texts) + "\n"
    assert container_logs.last_lines(log) == "y" * (container_logs.MESSAGE_BYTES - 1) + "\n"
