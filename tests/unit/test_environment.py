"""Binder installs the dependencies that the project declares."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[2]


def _environment() -> list[Any]:
    loaded: dict[str, list[Any]] = yaml.safe_load((ROOT / "environment.yml").read_text())
    return loaded["dependencies"]


def _project() -> dict[str, Any]:
    loaded: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return loaded


def test_binder_installs_the_tested_versions_on_the_same_python():
    """Binder reads binder/environment.yml in place of the one in the root."""
    binder = yaml.safe_load((ROOT / "binder" / "environment.yml").read_text())["dependencies"]
    installed = re.findall(r"^python -m pip install (.*)$", (ROOT / "binder" / "postBuild").read_text(), re.MULTILINE)

    assert binder == [row for row in _environment() if not isinstance(row, dict)]
    assert "--no-deps --require-hashes --requirement requirements.lock" in installed[0]
    assert installed[1:] == ["--no-deps --editable ."]


def test_the_environment_lists_the_projects_dependencies():
    (pip,) = [row["pip"] for row in _environment() if isinstance(row, dict)]

    assert pip == _project()["dependencies"]


def test_the_environments_python_is_one_of_the_projects():
    (python,) = [row for row in _environment() if str(row).startswith("python=")]

    assert python.removeprefix("python=") in SpecifierSet(_project()["requires-python"])


def test_binders_scripts_can_be_run():
    for name in ("postBuild", "start", "verify"):
        assert (ROOT / "binder" / name).stat().st_mode & 0o111, f"binder/{name} is not executable"


def test_the_badges_lead_to_the_projects_repository():
    repository = _project()["urls"]["Repository"].removeprefix("https://github.com/")
    text = (ROOT / "README.md").read_text()
    addresses = dict(re.findall(r"\]\(https://(mybinder\.org|codespaces\.new)/([^?)]+)", text))

    assert addresses == {"mybinder.org": f"v2/gh/{repository}/HEAD", "codespaces.new": repository}
    assert "urlpath=lab%2Ftree%2Fnotebooks%2Findex.ipynb)" in text and (ROOT / "notebooks" / "index.ipynb").exists()
