"""`kserve-nb doctor` when no cluster is running."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from kserve_nb.cli import main


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: str) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def doctor(*options: str, **known: str) -> Result:
    return CliRunner().invoke(main, ["doctor", "--name", "nobody", *options], **known)


def test_a_cluster_that_is_not_running_is_named() -> None:
    result = doctor()

    assert result.exit_code == 1 and result.output.startswith("✖ K02"), result.output
    assert "kserve-nb up" in result.output


def test_json_is_for_programs() -> None:
    loaded = json.loads(doctor("-o", "json").output)

    assert [finding["id"] for finding in loaded["findings"]] == ["K02"] and not loaded["healthy"]


@pytest.mark.slow
def test_a_pasted_message_comes_first() -> None:
    result = doctor("--error", "-", input="curl: (6) Could not resolve host: a.b.example.com")

    assert result.output.startswith("✖ R03") and "then: ✖ K02" in result.output, result.output


def test_a_pasted_command_comes_first() -> None:
    result = doctor("--curl", "curl -H 'Host: a-predictor-default.b.example.com' http://127.0.0.1:1/v1/models/a:predict")

    assert result.output.startswith("✖ R05"), result.output


def test_text_that_is_no_command_is_reported() -> None:
    assert "option --no-such-option: is unknown" in doctor("--curl", "curl --no-such-option http://127.0.0.1").output


def test_an_empty_message_is_not_healthy() -> None:
    result = doctor("--error", " ")

    assert result.exit_code == 3 and "the text is empty" in result.output
