"""A new kernel names the cell to run, restores the evidence, and reports what others changed."""

from __future__ import annotations

import atexit
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from kserve_nb.access.api_client import Client
from kserve_nb.access.ingress import Ingress
from kserve_nb.magics import unconnected
from kserve_nb.magics.command_line import CommandError
from kserve_nb.observe import kept_evidence
from kserve_nb.observe.kept_evidence import EndedProbe
from kserve_nb.observe.notebook_session import NotebookSession, evidence_file
from kserve_nb.observe.step_progress import StepProgress
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.rollout.sampling import Tally
from kserve_nb.values.split import Split
from tests.fake_api import ISVC, FakeApi, one
from tests.fake_gateway import FakeGateway

TALLY = Tally(Split({"a-00001": 9, "a-00002": 1}, failed=1), "a-00002", 10, "by a flower")
PROBE = EndedProbe(Split({}, 1, 400), ", from 10:00:00 to 10:00:01: 503", "1 of 401 requests failed")
CELLS = ("lab = connect(cluster)", "from kserve_nb import PodTable\ntable, user = PodTable(r), r.probe()",
         "url = %kubectl get isvc")


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    """A new shell in which the extension is loaded, for a notebook of CELLS."""
    settings = {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": ["percent = 10"]}
    cells = [settings, *({"cell_type": "code", "metadata": {}, "source": [text]} for text in CELLS)]
    notebook = tmp_path / "03_canary.ipynb"
    notebook.write_text(json.dumps({"cells": cells}))
    monkeypatch.setenv("JPY_SESSION_NAME", str(notebook))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.chdir(tmp_path)
    made = InteractiveShell()
    unconnected.load_ipython_extension(made)
    yield made
    atexit.unregister(made.atexit_operations)
    made.atexit_operations()


def shown(shell: InteractiveShell, code: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The traceback that running some code shows."""
    lines: list[str] = []
    monkeypatch.setattr(shell, "_showtraceback", lambda _type, _error, found: lines.extend(found))
    shell.run_cell(code)
    return " ".join(lines)


def test_a_new_kernel_names_the_cell_that_connects(shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(shell, "lab.doctor()", monkeypatch) == (
        "There is no `lab`: the kernel is new, or a cell was skipped. Run the cell with `lab = connect(…)`, then this "
        "cell again.")
    assert unconnected.CONNECT in shown(shell, "table.close()", monkeypatch)
    with pytest.raises(CommandError, match="not connected to a cluster"):
        shell.run_line_magic("kubectl", "get isvc")


def test_a_connected_kernel_names_the_cell_that_defines_the_name(
    shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.user_ns["lab"] = object()

    assert "the cell that begins with `from kserve_nb import PodTable`" in shown(shell, "user", monkeypatch)
    assert "the cell that begins with `url = %kubectl get isvc`" in shown(shell, "url", monkeypatch)


def test_another_mistake_keeps_its_traceback(shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "NameError" in shown(shell, "typo", monkeypatch)
    assert "ZeroDivisionError" in shown(shell, "1 / 0", monkeypatch)


def test_the_settings_of_the_notebook_are_there_from_the_beginning(shell: InteractiveShell) -> None:
    assert shell.user_ns["percent"] == 10 and "lab" not in shell.user_ns


def test_evidence_survives_a_kernel(tmp_path: Path) -> None:
    file = tmp_path / ".evidence" / "05.json"

    kept_evidence.save(file, "uid-1", kept_evidence.collected({"tally": TALLY, "user": PROBE, "_": TALLY, "n": 3}))

    assert kept_evidence.load(file, "uid-1") == {"tally": TALLY, "user": PROBE}
    assert kept_evidence.load(file, "uid-2") == {} == kept_evidence.load(tmp_path / "absent.json", "uid-1")
    assert repr(PROBE) == "1 of 401 requests failed"


class FakeShell:
    """The part of an IPython shell that a session uses."""

    def __init__(self) -> None:
        self.user_ns: dict[str, Any] = {}
        self.callbacks: dict[str, list[Any]] = {"pre_run_cell": [], "post_run_cell": []}
        self.events = self

    def register(self, name: str, callback: Any) -> None:
        self.callbacks[name].append(callback)

    def unregister(self, name: str, callback: Any) -> None:
        self.callbacks[name].remove(callback)

    def run(self, **variables: Any) -> None:
        """Run a cell that defines some variables."""
        for callback in self.callbacks["pre_run_cell"]:
            callback(None)
        self.user_ns.update(variables)
        for callback in self.callbacks["post_run_cell"]:
            callback(None)


@pytest.fixture
def rollout(api: FakeApi, gateway: FakeGateway) -> Rollout:
    api.load("02-canary-10")
    cluster = api.cluster(gateway.address)
    return Rollout(Client(cluster), Ingress(gateway.address))


def patched(api: FakeApi, percent: int) -> None:
    """Change the percent, as another user would."""
    changed = one("02-canary-10", "isvc")
    changed["spec"]["predictor"]["canaryTrafficPercent"] = percent
    changed["metadata"]["generation"] += 1
    api.put(f"{ISVC}/sklearn-iris", changed)


def notes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr("IPython.display.display", lambda content, **_options: found.append(content["text/plain"]))
    return found


def test_a_change_by_somebody_else_is_reported_before_the_next_cell(
    api: FakeApi, rollout: Rollout, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell, found = FakeShell(), notes(monkeypatch)
    NotebookSession(shell, rollout, None).start()
    shell.run()

    patched(api, 30)
    shell.run()
    shell.run()

    assert found == ["Note: since your last cell, sklearn-iris was changed: 10 % → 30 %, in another notebook or "
                     f"terminal ({rollout.status().changed_by})."]
    api.put(f"{ISVC}/sklearn-iris", {}, "DELETED")
    shell.run()
    assert found[1] == "Note: sklearn-iris was deleted since your last cell, in another notebook or terminal."


def test_changes_of_this_notebook_are_not_reported(
    api: FakeApi, rollout: Rollout, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell, found = FakeShell(), notes(monkeypatch)
    session = NotebookSession(shell, rollout, None)
    session.start()
    NotebookSession(shell, rollout, None).start()
    assert len(shell.callbacks["pre_run_cell"]) == 1

    rollout.canary(percent=40)  # a click in a widget, between two cells
    shell.run()
    session._before_cell(None)
    api.close()
    shell.run()

    assert found == []


def test_a_new_session_restores_what_the_former_one_counted(rollout: Rollout, tmp_path: Path) -> None:
    first, second, file = FakeShell(), FakeShell(), tmp_path / ".evidence" / "05.json"
    NotebookSession(first, rollout, file).start()
    first.run(tally=TALLY, user=PROBE)
    second.user_ns["user"] = "new"

    assert NotebookSession(second, rollout, file).restore() == ("tally",)
    assert second.user_ns == {"tally": TALLY, "user": "new"}


def test_evidence_is_kept_in_the_course_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JPY_SESSION_NAME", "/course/05_more.ipynb")
    monkeypatch.setenv("KSERVE_NB_COURSE", "1")
    assert evidence_file() == tmp_path / ".evidence" / "05_more.json"

    monkeypatch.delenv("KSERVE_NB_COURSE")
    assert evidence_file() is None


def test_a_gateway_that_has_moved_is_found_again(gateway: FakeGateway) -> None:
    ingress = Ingress("127.0.0.1:1")
    ingress.locate = lambda: gateway.address

    assert ingress.new_connection().send("GET", "x", "/").status
    assert ingress.send("GET", "x", "/").status and ingress.address == gateway.address


def test_progress_is_one_line_in_a_notebook_and_nothing_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []

    class Handle:
        def update(self, content: dict[str, str], **_options: Any) -> None:
            lines[-1:] = [content["text/plain"]]

    def display(content: dict[str, str], **_options: Any) -> Handle:
        lines.append(content["text/plain"])
        return Handle()

    monkeypatch.setattr("IPython.display.display", display)
    quiet, silent, shown = (StepProgress("pinned", notebook=flag) for flag in (True, False, True))
    quiet.end()
    silent.show("deleting")
    shown.show("deleting")
    assert lines == ["… pinned: deleting"]
    shown.end()

    assert lines == ["✔ pinned: reached after 0 s"]
