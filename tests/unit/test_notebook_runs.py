"""Reports of executed notebooks as lines, HTML and JUnit XML: which cell failed, and why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from kserve_nb.doctor import summary
from kserve_nb.runner import html_report, junit_report, notebook_runner
from kserve_nb.runner.post_mortem import line
from kserve_nb.runner.run_result import Diagnosis, Run, cells_of, lines, verdict
from tests.fake_api import FakeApi

STREAM = {"output_type": "stream", "name": "stdout", "text": "✔ it \x1b[1mholds\x1b[0m\n"}
RAISED = {"output_type": "error", "ename": "CheckFailed", "evalue": "✖ no", "traceback": ["✖ no <b>", "  do: & look"]}
VALUE = {"output_type": "execute_result", "data": {"text/plain": "3"}, "metadata": {}, "execution_count": 1}


def cell(name: str, *outputs: dict[str, Any], seconds: float | None = 1.0, exception: bool = False) -> dict[str, Any]:
    """A code cell as papermill leaves it."""
    ran = {"duration": seconds, "exception": exception, "status": "completed"}
    return {"cell_type": "code", "id": name, "source": f"{name}()", "outputs": list(outputs),
            "metadata": {"papermill": ran, "tags": []}}


MARKDOWN = {"cell_type": "markdown", "id": "text", "source": "", "metadata": {"papermill": {"duration": 0.1}}}
INJECTED = cell("8f3a", STREAM) | {"metadata": {"papermill": {"duration": 0.5}, "tags": ["injected-parameters"]}}
AFTER = Diagnosis("✖ K13 the model <cannot> be downloaded", ("03:53:42  Warning  Failed  pod/a  no such model",))


def run_of(*cells: dict[str, Any], error: str = "") -> Run:
    found = cells_of({"cells": cells}, bool(error))
    return Run(Path("03_canary.ipynb"), Path("out/03_canary.ipynb"), 3.5, found, error, AFTER if error else Diagnosis())


PASSED = run_of(MARKDOWN, INJECTED, cell("check", STREAM, VALUE, seconds=2.25))
FAILED = run_of(cell("first"), cell("check", RAISED, exception=True), cell("rest", seconds=None), error="✖ no <b>\ndo")
NEVER_STARTED = Run(Path("04_old.ipynb"), Path("out/04_old.ipynb"), 0.0, (), "Notebook is not JSON: \x00")


def test_code_cells_are_reported_with_their_output() -> None:
    assert [(c.name, c.state, c.seconds, c.output) for c in PASSED.cells] == [
        ("injected-parameters", "passed", 0.5, "✔ it holds"),
        ("check", "passed", 2.25, "✔ it holds\n3"),
    ]
    assert PASSED.passed and PASSED.failed_cell is None
    assert PASSED.slowest is not None and PASSED.slowest.name == "check"


def test_a_failing_cell_is_reported_and_later_cells_are_not_run() -> None:
    assert [c.state for c in FAILED.cells] == ["passed", "failed", "not run"]
    assert FAILED.failed_cell is not None and FAILED.failed_cell.output == "✖ no <b>\n  do: & look"


def test_a_cell_that_took_its_kernel_along_fails_though_nothing_marks_it() -> None:
    died = run_of(cell("first"), cell("last", STREAM), cell("rest", seconds=None), error="Kernel died")

    assert [c.state for c in died.cells] == ["passed", "failed", "not run"]


def test_a_terminal_shows_one_line_of_progress_and_the_details_of_a_failure() -> None:
    assert lines(PASSED) == "passed  03_canary.ipynb  3.5 s  (slowest: check 2.2 s)"
    assert [text.strip() for text in lines(FAILED).splitlines()] == [
        "FAILED  03_canary.ipynb  3.5 s  (slowest: first 1.0 s)", "cell check:", "✖ no <b>", "do",
        "✖ K13 the model <cannot> be downloaded", f"executed notebook: {FAILED.output}",
    ]
    assert lines(NEVER_STARTED).splitlines()[0] == "FAILED  04_old.ipynb  0.0 s"


def test_the_last_line_counts_passed_and_failed_notebooks() -> None:
    assert verdict([PASSED]) == "1 passed, 0 failed"
    assert verdict([PASSED, FAILED, NEVER_STARTED]) == "1 passed, 2 failed; 03_canary.ipynb; 04_old.ipynb"


def test_junit_has_a_suite_a_notebook_and_a_case_a_cell() -> None:
    root = ET.fromstring(junit_report.xml([PASSED, replace(FAILED, notebook=Path("05.ipynb")), NEVER_STARTED]))

    suites = {suite.get("name"): [(case.get("name"), *(child.tag for child in case)) for case in suite]
              for suite in root}
    assert suites == {
        "03_canary": [("injected-parameters",), ("check",)],
        "05": [("first",), ("check", "failure"), ("rest", "skipped")],
        "04_old": [("notebook", "failure")],
    }
    assert (root.get("tests"), root.get("failures")) == ("6", "2")
    failure = root.find("./testsuite[@name='05']/testcase/failure")
    assert failure is not None and failure.get("message") == "✖ no <b>"
    for told in ("check()", "do: & look", "K13", "no such model"):
        assert told in (failure.text or "")


def test_the_report_has_timings_and_all_about_a_failure_escaped() -> None:
    page = html_report.html([PASSED, FAILED], "two")

    for told in ("2.25 s", "1 passed, 1 failed", "check()", "✖ no &lt;b&gt;", "do: &amp; look", "no such model",
                 "✖ K13 the model &lt;cannot&gt; be downloaded", "2 of 3"):
        assert told in page
    assert "✖ no <b>" not in page and "<script" not in page


def test_events_are_printed_as_by_kubectl() -> None:
    event = {"type": "Warning", "reason": "BackOff", "count": 3, "message": "Back-off\n restarting", "lastTimestamp":
             "2025-01-02T03:04:05Z", "involvedObject": {"kind": "Pod", "name": "a-b"}, "metadata": {}}

    assert line(event) == "03:04:05  Warning  BackOff  pod/a-b  Back-off restarting (×3)"


def test_parameters_are_read_as_yaml_and_must_be_some_notebooks() -> None:
    notebooks = sorted((Path(__file__).parents[2] / "notebooks").glob("0[35]*.ipynb"))

    assert notebook_runner.read([("percent", "20"), ("requests", "[1]")], notebooks) == {"percent": 20, "requests": [1]}
    with pytest.raises(ValueError, match=r"There is no parameter percnt\. The parameters are: attempt, cluster, "):
        notebook_runner.read([("percnt", "20")], notebooks)
    with pytest.raises(ValueError, match="not valid YAML"):
        notebook_runner.read([("percent", "[20")], notebooks)


@pytest.mark.slow
def test_the_doctor_examines_the_cluster_and_the_error(api: FakeApi) -> None:
    api.load("broken-canary")

    found = summary.in_full(api.cluster(), 'kserve-test: namespaces "kserve-test" not found')

    assert found.splitlines()[0].startswith(("✖", "!", "·"))


def test_a_doctor_that_fails_hides_no_failure(monkeypatch: pytest.MonkeyPatch, api: FakeApi) -> None:
    def examine(*_args: Any, **_asked: Any) -> None:
        raise OSError("out of bandages")

    monkeypatch.setattr(summary.doctor, "examine", examine)

    assert summary.in_full(api.cluster(), "error") == "the doctor failed: OSError: out of bandages"
    assert summary.in_a_line(api.cluster()) == ""
