"""The doctor's explanations of pasted messages, as programs print them."""

from __future__ import annotations

import json
import logging
import re
import subprocess
from functools import cache
from typing import Any

import ipywidgets
import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from nbclient.exceptions import CellTimeoutError
from papermill.parameterize import parameterize_notebook

from kserve_nb.doctor import Finding, explain, titles
from kserve_nb.doctor.finding import HOPS
from kserve_nb.doctor.messages.http_answers import http_rows
from kserve_nb.doctor.messages.message_table import Names, rows, searchable
from kserve_nb.rollout.sampling import Tally
from kserve_nb.values.split import Split
from tests.unit.doctor_fixtures import TEXTS

NAMES = [f"{row['rule']} {row['said_by']}" for row in TEXTS]
KNOWN = Names("kserve-test", "sklearn-iris", "sklearn-iris-predictor-00001", "pod-1", "a.example.com", "127.0.0.1:80")


@pytest.mark.parametrize("row", TEXTS, ids=NAMES)
def test_a_message_is_explained_by_its_rule(row: dict[str, str]) -> None:
    found = explain(row["text"])

    assert found and found[0].id == row["rule"], [finding.id for finding in found]
    assert found[0].saw in searchable(row["text"])


@pytest.mark.slow
def test_a_message_is_explained_beside_another() -> None:
    other = "{\"error\":\"could not convert string to float: np.str_('a')\"}"

    for row in TEXTS:
        found = {finding.id for finding in explain(f"{other}\n{row['text']}")}
        assert {row["rule"], "R08"} <= found, row["text"]


@pytest.mark.slow
def test_every_row_of_the_tables_explains_a_message() -> None:
    causes = {(finding.id, finding.why) for finding in _found()}

    for table in (rows(), http_rows()):
        missed = [row.why for row in table if not any(
            id_ == row.id and _fits(row.why, why) for id_, why in causes)]  # fmt: skip
        assert not missed


@pytest.mark.slow
def test_a_command_has_no_placeholder_and_can_be_parsed() -> None:
    remedies = [finding.remedy for row in TEXTS for finding in explain(row["text"], names=KNOWN)]
    commands = sorted({command for remedy in remedies for command in (remedy.shell, remedy.cell) if command})

    for command in commands:
        assert not re.search(r"\{\w+\}|\b(?:NAME|POD|NAMESPACE|HOST)\b|…", command), command
    script = "\n".join(sorted({remedy.shell for remedy in remedies}))
    parsed = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
    assert parsed.returncode == 0, parsed.stderr


@pytest.mark.slow
def test_a_command_with_an_unknown_name_is_left_out() -> None:
    for finding in _found():
        shown = (finding.remedy.shown(), finding.remedy.shown(notebook=True))
        assert not any("{name}" in text or "{namespace}" in text for text in shown), shown


def test_a_404_with_a_body_does_not_come_from_the_gateway() -> None:
    head = "HTTP/1.1 404 Not Found\nserver: envoy\n\n"

    assert [finding.hop for finding in explain(head)] == ["host"]
    assert [finding.hop for finding in explain(head + '{"detail":"Not Found"}')] == ["model"]


def test_the_last_answer_of_several_counts() -> None:
    text = "< HTTP/1.1 302 Found\n< location: /next\n\n< HTTP/1.1 503 Service Unavailable\n"

    assert [finding.id for finding in explain(text)] == ["R10"]


def test_the_first_match_in_a_line_counts() -> None:
    text = 'strict decoding error: unknown field "spec.predictor.model.canaryTrafficPercent"'

    assert [finding.id for finding in explain(text)] == ["C12"]


def test_papermill_without_a_cell_for_parameters(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        parameterize_notebook(_notebook("x = 1"), {"x": 2})

    assert _first(caplog.text) == "J08"


def test_a_kernel_that_is_not_installed() -> None:
    with pytest.raises(NoSuchKernel) as raised:
        KernelSpecManager().get_kernel_spec("tutorial-env")

    assert _first(str(raised.value)) == "J09"


def test_a_cell_that_ran_into_its_timeout() -> None:
    cell = nbformat.v4.new_code_cell("input()")

    error = CellTimeoutError.error_from_timeout_and_cell("Cell execution timed out", 120, cell)

    assert _first(str(error)) == "J06"


def test_the_text_of_a_widget() -> None:
    assert _first(repr(ipywidgets.VBox([ipywidgets.IntSlider()]))) == "J02"


def test_a_sample_that_is_too_small() -> None:
    tally = Tally(Split({"a-00001": 10, "a-00002": 0}), "a-00002", 10, "by the models' answers")

    assert _first(repr(tally)) == "C02"


UNRELATED = (
    "Everything is fine.", "", "HTTP/1.1 200 OK", "lorem ipsum dolor sit amet", "my model is 92 % accurate",
    "fatal: not a git repository (or any of the parent directories): .git", "npm ERR! code ERESOLVE",
    "SyntaxError: invalid syntax (model.py, line 3)", "make: *** No rule to make target 'lab'.  Stop.",
    'Traceback (most recent call last):\n  File "train.py", line 10, in <module>\nZeroDivisionError: division by zero',
    "error[E0382]: borrow of moved value: `x`", "psql: FATAL: role \"alice\" does not exist", "KeyboardInterrupt",
    "Permission denied (publickey).", "E: Unable to locate package python3-foo", "bash: foo: command not found",
    "TypeError: unsupported operand type(s) for +: 'int' and 'str'", "IndexError: list index out of range",
    "sqlite3.OperationalError: no such table: users", "error: failed to push some refs", "AssertionError",
    "ERROR 1045 (28000): Access denied for user 'root'@'localhost'", "gcc: fatal error: no input files",
    "ssh: connect to host 10.0.0.1 port 22: Connection timed out", "Segmentation of customers gave 4 clusters",
)  # fmt: skip


@pytest.mark.parametrize("text", UNRELATED)
def test_other_texts_have_no_finding(text: str) -> None:
    assert explain(text) == ()


ODD = (
    "\x00\x01\xff\x1b[31m" * 99, "x" * 1_000_000, "-predictor-" * 3000, "." * 50_000,
    " " * 99_999, "\\" * 5000, "'" * 999 + '"' * 777, "(((([[[[", "{0} {name} %s {", "\ud800", "日本語 🚀",
)  # fmt: skip


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_an_odd_text_is_unknown(text: str) -> None:
    assert explain(text, names=KNOWN) == () and len(searchable(text)) <= 24 * 1024


def test_a_status_object_is_explained_by_its_message() -> None:
    message = 'inferenceservices.serving.kserve.io "nope" not found'
    status = json.dumps({"kind": "Status", "status": "Failure", "message": message, "reason": "NotFound", "code": 404})

    assert explain(status)[0].id == "R04" and explain(status)[0].saw == message
    assert [finding.id for finding in explain("Error:\r\nOOMKilled\r\n")] == ["K15"]


def test_every_row_has_a_rule_a_hop_and_a_cause() -> None:
    for row in (*rows(), *http_rows()):
        assert row.id in titles() and row.hop in HOPS and row.why, row


def test_a_cause_and_a_sentence_contain_no_command() -> None:
    for row in (*rows(), *http_rows()):
        assert not re.search(r"\b(?:kubectl|curl|kserve-nb) (?!-d|patch)[a-z-]+ ", f"{row.do}"), row.do


@cache
def _found() -> tuple[Finding, ...]:
    """The first finding about each message, without names for its command."""
    return tuple(finding for row in TEXTS for finding in explain(row["text"])[:1])


def _fits(template: str, why: str) -> bool:
    """Whether a cause is this template with its placeholders filled in."""
    return re.fullmatch(re.sub(r"\\\{\d\\\}", ".*", re.escape(template)), why, re.DOTALL) is not None


def _notebook(source: str) -> Any:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source, metadata={"tags": []})])
    notebook.metadata.kernelspec = {"name": "python3", "language": "python", "display_name": "Python 3"}
    notebook.metadata.papermill = {}
    return notebook


def _first(text: str) -> str:
    return next((finding.id for finding in explain(text)), "nothing")
