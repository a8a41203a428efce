"""A release is one tag, which gives the version and the section of the changelog."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.version import Version

ROOT = Path(__file__).parents[2]
version = runpy.run_path(str(ROOT / "bin" / "project_version.py"))["version"]
notes = runpy.run_path(str(ROOT / "bin" / "release_notes.py"))["notes"]
CHANGELOG = "# Changelog\n\n## Unreleased\n\n## 1.2.3 (2026-11-28)\n\n### Added\n\n- A thing.\n\n## 1.2.2\n\n- Other.\n"


def git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "one")
    return tmp_path


def test_the_version_of_a_tagged_commit_is_the_tags(repository: Path) -> None:
    git(repository, "tag", "v1.4.2")

    assert version(repository) == "1.4.2"


def test_a_commit_after_a_tag_is_a_development_version_of_the_next(repository: Path) -> None:
    git(repository, "tag", "v1.4.2")
    git(repository, "commit", "-q", "--allow-empty", "-m", "two")

    assert version(repository) == "1.4.3.dev1"
    assert Version("1.4.2") < Version(version(repository)) < Version("1.4.3")


def test_other_tags_are_no_versions(repository: Path) -> None:
    git(repository, "tag", "v1.4.2")
    for other in ("vendored", "v2.0.0-rc1", "v2", "v1.4.2.1", "v2.0.0rc1"):
        git(repository, "tag", "-a", "-m", "newer than v1.4.2", other)

    assert version(repository) == "1.4.2"


def test_without_git_or_tags_the_version_is_a_development_version(repository: Path, tmp_path: Path) -> None:
    (repository / "unpacked").mkdir()
    git(repository, "tag", "v1.4.2")

    assert Version(version(repository / "unpacked")).is_devrelease


def test_the_changelogs_section_is_the_text_of_the_release() -> None:
    assert notes(CHANGELOG, "1.2.3") == "### Added\n\n- A thing.\n"
    assert notes(CHANGELOG, "1.2.2") == "- Other.\n"


@pytest.mark.parametrize("missing", ["1.2", "1.2.4", "Unreleased"])
def test_a_version_without_text_is_not_released(missing: str) -> None:
    with pytest.raises(ValueError, match=f"no text for {missing}"):
        notes(CHANGELOG, missing)


def test_the_command_gives_the_next_step_for_a_version_without_text() -> None:
    done = subprocess.run([sys.executable, str(ROOT / "bin" / "release_notes.py"), "v99.0.0"], capture_output=True,
                          text=True, check=False)

    assert done.returncode == 1
    assert "Rename the heading `## Unreleased` to `## 99.0.0`" in done.stderr
