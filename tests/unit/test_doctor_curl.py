"""The doctor on pasted curl commands, with a namespace that was recorded in the middle of a canary."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kserve_nb.doctor import Facts, Finding, Report, Session, examine
from kserve_nb.doctor.commands.curl_command import CurlCommand
from kserve_nb.doctor.commands.curl_rules import explain
from kserve_nb.magics.command_line import CommandError
from tests.fake_api import FakeApi
from tests.fake_gateway import FakeGateway
from tests.unit.doctor_cases import BODY, COMMANDS, GOOD, HOST, INGRESS, JSON, PREDICT
from tests.unit.doctor_fixtures import ROLLOUT, recorded


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

    assert {rule, "R07"} <= found or rule in ("R04", "R01") or BODY not in line


def test_the_tutorials_own_command_has_no_finding(folder: Path) -> None:
    assert _explain(GOOD, folder) == []
    assert _explain(GOOD.replace(" http", " \\\n  http"), folder) == []


@pytest.mark.parametrize(("rule", "line"), COMMANDS)
def test_the_remedy_is_a_valid_command(rule: str, line: str, folder: Path) -> None:
    for notebook in (False, True):
        corrected = _explain(line, folder)[0].remedy.command(notebook)

        assert not corrected or not _explain(corrected, folder), corrected


@pytest.mark.parametrize("prompt", ["$ ", "! ", "!", "%", "%%", "%%curl\n"])
def test_a_prompt_that_was_copied_along_is_passed_over(prompt: str, folder: Path) -> None:
    assert _explain(f"{prompt}{GOOD}", folder) == []


@pytest.mark.parametrize(("environ", "told"), [
    ({"http_proxy": "http://proxy:3128"}, ["R12"]),
    ({"http_proxy": "http://proxy:3128", "no_proxy": "localhost,127.0.0.1"}, []),
    ({"HTTP_PROXY": "http://proxy:3128"}, []),  # curl ignores it on purpose, because of CGI
])
def test_a_proxy_that_takes_the_request_away_is_noted(environ: dict[str, str], told: list[str], folder: Path) -> None:
    facts = replace(recorded(ROLLOUT / "02-canary-10"), ingress=INGRESS, session=Session(environ=environ))

    found = list(explain(CurlCommand.read(GOOD, {}, folder), facts))

    assert [finding.id for finding in found if finding.severity == "note"] == told == [f.id for f in found]


def test_text_that_is_no_curl_command_is_refused(folder: Path) -> None:
    with pytest.raises(CommandError, match="option --no-such-option: is unknown"):
        _explain("curl --no-such-option http://127.0.0.1", folder)


CURLY = GOOD.translate(str.maketrans("'\"", "’”"))
ALSO_GOOD = (
    GOOD.replace(" -H", " \\\r\n -H"), GOOD.replace("'", '"').replace(" -H", " ^\r\n -H"),
    GOOD.replace("curl", "curl.exe").replace(BODY, "-d '{\\\"instances\\\": [[6.8, 2.8, 4.8, 1.4]]}'"),
    GOOD.replace(" '", " $'"), f"NAME={HOST}; {GOOD.replace(HOST, '$NAME').replace(chr(39), chr(34))}",
    f"for i in $(seq 10); do {GOOD}; done", f"{GOOD} | jq .",
)  # fmt: skip
ODD = (
    "curl", "curl http://[::1", "curl http://127.0.0.1:99999/x", "curl http://127.0.0.1:abc/x", "curl ftp://x/y",
    "curl \x00 http://x", f"curl -H 'Host:' {PREDICT}", f"{GOOD.replace(BODY, '')} -d '{'[' * 5000}'",
    f"curl -d @/ http://{INGRESS}", "curl -H @headers.txt http://a", "curl http://\ud800",
)  # fmt: skip


@pytest.mark.parametrize("line", ALSO_GOOD)
def test_the_quotes_and_line_ends_of_other_shells_are_read(line: str, folder: Path) -> None:
    assert _explain(line, folder) == []


@pytest.mark.parametrize("line", ODD)
def test_an_odd_command_has_a_finding(line: str, folder: Path) -> None:
    assert _explain(line, folder)


def test_typographic_quotes_are_replaced(folder: Path) -> None:
    found = _explain(CURLY, folder)

    assert found[0].id == "R26" and _explain(found[0].remedy.shell, folder) == [], found[0].lines()


@pytest.mark.parametrize("change", ["curl -K curlrc", "curl -H @headers.txt", "curl --config curlrc"])
def test_options_in_a_file_are_not_read_and_nothing_else_is_claimed(change: str, folder: Path) -> None:
    (found,) = _explain(GOOD.replace("curl", change), folder)

    assert found.id == "R27" and found.saw in ("curlrc", "headers.txt")


@pytest.mark.parametrize(("change", "reason"), [
    (("-d @./iris-input.json", "-d @-"), "its body comes from another program"),
    (("curl", "curl -H 'X-Name: Jürgen 推'"), "a header has characters outside Latin-1"),
    (("/v1/models/sklearn-iris:predict", "/metrics"), "it does not call a model"),
])  # fmt: skip
def test_a_command_that_is_not_sent_is_not_called_right(
    api: FakeApi, gateway: FakeGateway, folder: Path, change: tuple[str, str], reason: str
) -> None:
    line = GOOD.replace(*change) if "metrics" not in change[1] else f"curl -H 'Host: {HOST}' http://{INGRESS}/metrics"

    report = _sent(api, gateway, line, folder)

    assert reason in report.not_examined and "gets its answer" not in report.examined, report.text


def _explain(line: str, folder: Path) -> list[Finding]:
    facts: Facts = replace(recorded(ROLLOUT / "02-canary-10"), ingress=INGRESS)
    return list(explain(CurlCommand.read(line, {}, folder), facts))


def _sent(api: FakeApi, gateway: FakeGateway, line: str, folder: Path) -> Report:
    api.load("02-canary-10")
    api.logs["/version"] = '{"gitVersion": "v1.35.4"}'
    return examine(api.cluster(gateway.address), curl=line.replace(INGRESS, gateway.address), folder=folder)


def test_a_curl_command_that_gets_an_answer_has_no_finding(
    api: FakeApi, gateway: FakeGateway, folder: Path
) -> None:
    for host in (HOST, "sklearn-iris.kserve-test.example.com"):  # the second one is not in this namespace's status
        report = _sent(api, gateway, GOOD.replace(HOST, host), folder)

        assert report.findings[0].hop != "command" and "the command gets its answer" in report.examined, report.text


def test_a_curl_command_to_a_port_without_a_listener(api: FakeApi, gateway: FakeGateway, folder: Path) -> None:
    report = _sent(api, gateway, GOOD.replace(INGRESS, "localhost:1"), folder)

    assert report.findings[0].id == "R09" and gateway.address in report.findings[0].remedy.shell, report.text


def test_a_response_without_a_rule_is_shown(api: FakeApi, gateway: FakeGateway, folder: Path) -> None:
    gateway.failing = True

    assert _sent(api, gateway, GOOD, folder).findings[0].id == "R10"

    gateway.refusal = (422, b'{"detail": "Field required"}')
    report = _sent(api, gateway, GOOD, folder)
    assert report.findings[0].id == "R08" and "422" in report.findings[0].saw, report.text


def test_a_command_to_a_model_without_pods_is_not_sent(api: FakeApi, gateway: FakeGateway, folder: Path) -> None:
    api.load("02-canary-10")
    api.forget_pods()

    examine(api.cluster(gateway.address), curl=GOOD.replace(INGRESS, gateway.address), folder=folder)

    assert gateway.seen == []
