"""The workflows use the right Python versions, existing files, and options that the commands have."""

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
    kinds = r"(?:tests|notebooks|kserve_nb|bin)/[^\s\"]+\.(?:py|ipynb)\b|\.ci/run|(?:\.github/)?[\w-]+\.lock"
    named = re.findall(kinds, file.read_text())

    assert named and all(list(ROOT.glob(path)) for path in named)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_commands_have_the_options_they_are_given(file: Path) -> None:
    for verb, rest in re.findall(r"\.venv/bin/kserve-nb ([\w-]+)(.*)", file.read_text()):
        shown = CliRunner().invoke(main, [verb, "--help"]).output
        assert all(option in shown for option in re.findall(r" (--[\w-]+|-\w)\b", rest)), (verb, rest)


def steps(file: Path) -> list[dict[str, Any]]:
    return [step for job in jobs(file.name).values() for step in job.get("steps", [])]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_actions_are_pinned_by_commit_with_the_version_beside_it(file: Path) -> None:
    used = re.findall(r"uses: *(.*)", file.read_text())

    assert used and all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each) for each in used), used


def test_one_version_of_each_action_is_used() -> None:
    used = {each for file in FILES for each in re.findall(r"uses: *(.*)", file.read_text())}

    assert len({each.partition("@")[0] for each in used}) == len(used), sorted(used)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_only_jobs_that_publish_may_write(file: Path) -> None:
    workflow = yaml.safe_load(file.read_text())
    allowed = {"release.yml": {"attest", "publish", "github"}, "page-drift.yml": {"report"}, "site.yml": {"publish"}}
    writing = {name for name, job in workflow["jobs"].items() if "write" in (job.get("permissions") or {}).values()}

    assert workflow["permissions"] in ({}, {"contents": "read"})
    assert writing <= allowed.get(file.name, set())
    assert all("checkout" not in step.get("uses", "") for name in writing for step in workflow["jobs"][name]["steps"])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_scripts_contain_no_expressions(file: Path) -> None:
    """GitHub replaces an expression before the shell reads the script, so a branch's name could run commands."""
    assert [step["run"] for step in steps(file) if "${{" in step.get("run", "")] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_credentials_stay_in_a_checkout_and_no_job_runs_for_hours(file: Path) -> None:
    checkouts = [step for step in steps(file) if "actions/checkout@" in step.get("uses", "")]

    assert all(step["with"]["persist-credentials"] is False for step in checkouts)
    assert all(job["timeout-minutes"] <= 90 for job in jobs(file.name).values())


def test_a_release_is_published_after_it_was_installed_on_each_system_and_python() -> None:
    release = jobs("release.yml")
    matrix = release["install"]["strategy"]["matrix"]

    assert [release[name]["needs"] for name in ("install", "attest", "publish", "github")] == [
        "build", "install", "attest", "publish"]
    assert matrix["python"] == jobs("ci.yml")["test"]["strategy"]["matrix"]["python"]
    assert matrix["system"] == ["ubuntu-latest", "macos-latest"]


def test_a_release_attests_the_provenance_which_gh_verifies_by_default_and_the_sbom() -> None:
    attested = [step["with"] for step in jobs("release.yml")["attest"]["steps"] if "actions/attest@" in step["uses"]]

    assert attested == [{"subject-path": "dist/*"}, {"subject-path": "dist/*", "sbom-path": "sbom.cdx.json"}]
