"""A learner's copy of the course: without outputs, and never over the learner's own work."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner
from jupyterlab_server.workspaces_handler import WorkspacesManager

from kserve_nb.cli import lab_command, main
from kserve_nb.clusters.state import Record
from kserve_nb.runner.course import CourseError, copy_course, find_course, stripped

FIRST = "00_setup.ipynb"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "mine"


def test_a_copy_has_every_notebook_and_no_output_and_no_tag_of_a_test(folder: Path) -> None:
    copied = copy_course(find_course(), folder)

    notebooks = sorted(path.name for path in folder.glob("*.ipynb"))
    assert notebooks == sorted(path.name for path in find_course().glob("*.ipynb"))
    assert {FIRST, "iris-input.json", "page-status.json", "img/canary.svg"} <= set(copied.written)
    for path in folder.glob("*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            assert not cell.get("outputs"), (path.name, cell.id)
            assert set(cell.metadata.get("tags", [])) <= {"parameters"}, (path.name, cell.id)


def test_the_original_has_outputs_to_strip() -> None:
    original = (find_course() / FIRST).read_text()

    assert any(cell.get("outputs") for cell in json.loads(original)["cells"])
    assert not any(cell.get("outputs") for cell in json.loads(stripped(original))["cells"])


@pytest.mark.slow
def test_a_second_copy_writes_nothing(folder: Path) -> None:
    copy_course(find_course(), folder)

    again = copy_course(find_course(), folder)

    assert again.written == again.kept == ()
    assert "up to date" in again.text


@pytest.mark.slow
def test_an_edited_notebook_is_kept_and_named(folder: Path) -> None:
    copy_course(find_course(), folder)
    (folder / FIRST).write_text("mine")

    for _ in range(2):
        again = copy_course(find_course(), folder)
        assert again.kept == (FIRST,)

    assert (folder / FIRST).read_text() == "mine"
    assert FIRST in again.text


@pytest.mark.slow
def test_a_newer_course_replaces_unedited_notebooks(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "notebooks"
    copy_course(find_course(), source)  # any folder with the course's files
    (source / ".course.json").unlink()
    copy_course(source, folder)
    (source / "iris-input.json").write_text("{}")

    again = copy_course(source, folder)

    assert again.written == ("iris-input.json",)
    assert (folder / "iris-input.json").read_text() == "{}"


def test_a_deleted_notebook_comes_back(folder: Path) -> None:
    copy_course(find_course(), folder)
    (folder / FIRST).unlink()

    assert copy_course(find_course(), folder).written == (FIRST,)


@pytest.mark.slow
def test_fresh_starts_over_and_keeps_the_former_copy(folder: Path) -> None:
    copy_course(find_course(), folder)
    (folder / FIRST).write_text("mine")

    again = copy_course(find_course(), folder, fresh=True)

    assert again.set_aside == folder.with_name("mine-1")
    assert (folder.with_name("mine-1") / FIRST).read_text() == "mine"
    assert (folder / FIRST).read_text() != "mine"
    assert copy_course(find_course(), folder, fresh=True).set_aside == folder.with_name("mine-2")


def test_a_folder_with_other_files_is_not_touched(folder: Path) -> None:
    folder.mkdir()
    (folder / "thesis.tex").write_text("mine")

    with pytest.raises(CourseError, match=r"has other files. Choose another folder: --folder"):
        copy_course(find_course(), folder)

    assert [path.name for path in folder.iterdir()] == ["thesis.tex"]


def test_the_original_is_no_place_for_a_copy() -> None:
    with pytest.raises(CourseError, match="it is the original"):
        copy_course(find_course(), find_course())


def test_lab_opens_a_copy_with_collapsed_side_bars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lab_command, "usable_or_started", lambda name: Record(name, "attach", "kubeconfig", ""))
    monkeypatch.setattr(lab_command.os, "execve", lambda program, argv, environment: started.append(argv))

    done = CliRunner().invoke(main, ["lab", "--no-browser"])

    assert done.exit_code == 0, done.output
    folder = tmp_path / "kserve-canary-course"
    assert "course      kserve-canary-course (" in done.output
    assert f"--ServerApp.root_dir={folder}" in started[0]
    layout = WorkspacesManager(str(folder / ".jupyterlab-workspaces")).load("default")["data"]["layout-restorer:data"]
    assert layout["left"]["collapsed"] and layout["right"]["collapsed"]


def test_lab_in_place_opens_the_original(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(lab_command, "usable_or_started", lambda name: Record(name, "attach", "kubeconfig", ""))
    monkeypatch.setattr(lab_command.os, "execve", lambda program, argv, environment: started.append(argv))

    CliRunner().invoke(main, ["lab", "--in-place", "--no-browser"])

    assert f"--ServerApp.root_dir={find_course()}" in started[0]


def test_there_is_no_copy_to_start_over_in_place() -> None:
    done = CliRunner().invoke(main, ["lab", "--in-place", "--fresh"])

    assert done.exit_code == 2
    assert "--fresh does not go with --in-place" in done.output
