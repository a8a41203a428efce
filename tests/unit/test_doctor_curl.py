"""The doctor on pasted curl commands, with a namespace that was recorded in the middle of a canary."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kserve_nb.doctor import Facts, Finding
from kserve_nb.doctor.curl_rules import explain, read
from kserve_nb.shell import CommandError
from tests.unit.doctor_fixtures import ROLLOUT, recorded

INGRESS = "127.0.0.1:8080"
HOST = "sklearn-iris-predictor.kserve-test.example.com"  # as recorded, with Kourier's URLs
PREDICT = f"http://{INGRESS}/v1/models/sklearn-iris:predict"
JSON = "-H 'Content-Type: application/json'"
BODY = "-d @./iris-input.json"
GOOD = f"curl -v -H 'Host: {HOST}' {JSON} {PREDICT} {BODY}"

COMMANDS: tuple[tuple[str, str], ...] = (
    ("R05", GOOD.replace("-predictor.", "-predictor-default.")),
    ("R04", GOOD.replace(HOST, "sklearn-irsi-predictor.kserve-test.example.com")),
    ("R04", GOOD.replace(f"-H 'Host: {HOST}' ", "")),
    ("R04", GOOD.replace("/sklearn-iris:", "/sklearn-irsi:")),
    ("R04", GOOD.replace(":predict", "")),
    ("R03", f"curl {JSON} http://{HOST}/v1/models/sklearn-iris:predict {BODY}"),
    ("R06", GOOD.replace(HOST, "sklearn-iris-predictor.kserve-test.svc.cluster.local")),
    ("R07", GOOD.replace(f"{JSON} ", "")),
    ("R07", GOOD.replace("application/json", "application/json; charset=utf-8")),
    ("R08", GOOD.replace(BODY, "-d @./iris.json")),
    ("R08", GOOD.replace(BODY, "-d '{\"instances\": [[6.8, 2.8], [6.0, 3.4, 4.5, 1.6]]}'")),
    ("R08", GOOD.replace(BODY, "-d '{\"rows\": []}'")),
    ("R08", GOOD.replace(BODY, "-d '{instances: 1}'")),
    ("C13", GOOD.replace(HOST, f"latest-{HOST}")),
    ("C03", GOOD.replace("curl -v", "curl -v -H 'Connection: keep-alive'")),
)
COVERED = {rule for rule, _ in COMMANDS}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "iris-input.json").write_text('{"instances": [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]}')
    return tmp_path


@pytest.mark.parametrize(("rule", "line"), COMMANDS)
def test_a_command_with_a_fault(rule: str, line: str, folder: Path) -> None:
    found = _explain(line, folder)

    assert found and found[0].id == rule, [finding.lines for finding in found]


@pytest.mark.parametrize(("rule", "line"), COMMANDS)
def test_a_command_with_two_faults(rule: str, line: str, folder: Path) -> None:
    two = line.replace(f"{JSON} ", "") if rule != "R07" else line.replace(BODY, "-d @./none.json")

    found = {finding.id for finding in _explain(two, folder)}

    assert {rule, "R07"} <= found or rule == "R04"


def test_nothing_is_said_of_the_tutorials_own_command(folder: Path) -> None:
    assert _explain(GOOD, folder) == []
    assert _explain(GOOD.replace(" http", " \\\n  http"), folder) == []


def test_what_to_do_is_a_command_without_the_fault(folder: Path) -> None:
    for rule, line in COMMANDS:
        if rule in ("R05", "R07"):
            mended = _explain(line, folder)[0].do
            assert rule not in {finding.id for finding in _explain(mended, folder)}, mended


def test_what_is_no_curl_command_is_refused(folder: Path) -> None:
    with pytest.raises(CommandError, match="Known here"):
        _explain("curl --upload-file x http://127.0.0.1", folder)


def _explain(line: str, folder: Path) -> list[Finding]:
    facts: Facts = replace(recorded(ROLLOUT / "02-canary-10"), ingress=INGRESS)
    return list(explain(read(line, {}, folder), facts))
