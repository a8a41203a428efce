"""The workflows run what is there: the right Pythons, files that exist, options that commands have."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from kserve_nb.cli import main
from kserve_nb.clusters.kind.settings import INGRESS_CLASS

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def jobs(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text())["jobs"]
    return loaded


def test_every_supported_python_is_tested() -> None:
    required = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    low, high = (int(minor) for minor in re.findall(r"3\.(\d+)", required))

    assert jobs("ci.yml")["test"]["strategy"]["matrix"]["python"] == [f"3.{minor}" for minor in range(low, high)]


def test_both_gateways_are_tested_on_a_real_kserve() -> None:
    assert sorted(jobs("kind.yml")["kind"]["strategy"]["matrix"]["gateway"]) == sorted(INGRESS_CLASS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_files_that_are_named_exist(file: Path) -> None:
    named = re.findall(r"(?:tests|notebooks|kserve_nb)/[\w/]+\.py|\.ci/run", file.read_text())

    assert named and all((ROOT / path).exists() for path in named)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_commands_have_the_options_they_are_given(file: Path) -> None:
    for verb, rest in re.findall(r"\.venv/bin/kserve-nb (\w+)(.*)", file.read_text()):
        shown = CliRunner().invoke(main, [verb, "--help"]).output
        assert all(option in shown for option in re.findall(r" (--[\w-]+|-\w)\b", rest)), (verb, rest)
