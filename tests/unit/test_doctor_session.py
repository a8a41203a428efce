"""The doctor on sessions: Binder, packages, and notebooks of the tutorial with an added fault."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipywidgets
import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell

from kserve_nb.doctor import Facts, session
from kserve_nb.doctor.session import Session
from tests.unit.doctor_fixtures import DATA, ids, report

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
LESSON = NOTEBOOKS / "03_canary.ipynb"  # it has a slider
BINDER = {  # variables that BinderHub sets in a pod, besides JupyterHub's own
    "BINDER_LAUNCH_HOST": "https://mybinder.org/", "BINDER_REPO_URL": "https://github.com/owner/name",
    "BINDER_REF_URL": "https://github.com/owner/name/tree/main", "BINDER_REQUEST": "v2/gh/owner/name/main",
}  # fmt: skip
Notebook = dict[str, Any]


def _add(source: str, *outputs: Any) -> Callable[[Notebook], None]:
    def change(notebook: Notebook) -> None:
        notebook["cells"].append(nbformat.v4.new_code_cell(source, outputs=list(outputs)))

    return change


def _show_widget(notebook: Notebook) -> None:
    data, metadata = InteractiveShell.instance().display_formatter.format(ipywidgets.IntSlider())  # type: ignore[union-attr]
    _add("slider", nbformat.v4.new_output("display_data", data, metadata=metadata))(notebook)


def _untag(notebook: Notebook) -> None:
    for cell in notebook["cells"]:
        cell["metadata"].pop("tags", None)


def _rename_kernel(notebook: Notebook) -> None:
    notebook["metadata"]["kernelspec"]["name"] = "tutorial-env"


_AGES = nbformat.v4.new_output("stream", text="NAME   AGE\nsklearn-iris-predictor-00001-deployment-74b7bc4498-4l2jw\n")
_WARNED = nbformat.v4.new_output("stream", name="stderr", text="Warning: unknown field\n")
FAULTS: tuple[tuple[str, Callable[[Notebook], None]], ...] = (
    ("J01", _show_widget),
    ("J04", _add("import time\nwhile not slider.status:\n    time.sleep(1)")),
    ("J05", _add("interact(lambda percent: rollout.canary(percent=percent), percent=(0, 100))")),
    ("J06", _add('input("drag the slider, then press Enter")')),
    ("J07", _add("# NBVAL_CHECK_OUTPUT\n%kubectl get pods", _AGES)),
    ("J07", _add("# NBVAL_CHECK_OUTPUT\n%kubectl apply -f model.yaml", _WARNED)),
    ("J08", _untag),
    ("J09", _rename_kernel),
)


@pytest.mark.parametrize(("rule", "fault"), FAULTS)
def test_a_notebook_with_a_fault(rule: str, fault: Callable[[Notebook], None], tmp_path: Path) -> None:
    found = report(_facts(_broken(tmp_path, fault)))

    assert ids(found) == [rule], found.text


@pytest.mark.parametrize(("rule", "fault"), FAULTS)
def test_a_notebook_with_two_faults(rule: str, fault: Callable[[Notebook], None], tmp_path: Path) -> None:
    second = _untag if rule != "J08" else _rename_kernel

    found = report(_facts(_broken(tmp_path, fault, second)))

    assert {rule, "J08"} <= set(ids(found)), found.text


def test_the_tutorials_notebooks_have_none() -> None:
    found = report(_facts(NOTEBOOKS))

    assert found.findings == (), found.text


def test_notebooks_of_others_are_left_alone(tmp_path: Path) -> None:
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("input()")]), tmp_path / "mine.ipynb")

    assert report(_facts(tmp_path)).findings == ()


def test_a_kernel_with_a_known_notebook_inspects_no_other_kernel(tmp_path: Path) -> None:
    folder = _broken(tmp_path, _untag)

    found = session.inspect_session({"JPY_SESSION_NAME": str(LESSON)}, folder)

    assert list(found.notebooks) == [LESSON.name]


def test_binder_has_little_memory_and_no_docker(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("2147483648\n")  # the limit of mybinder.org

    found = report(_facts(tmp_path, environ=BINDER | {"PATH": str(tmp_path)}, control_group=tmp_path))

    assert ids(found) == ["J10", "J11"] and found.healthy, found.text


def test_a_control_group_without_a_limit(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max\n")

    found = report(_facts(tmp_path, environ=BINDER | {"PATH": "/usr/bin"}, control_group=tmp_path))

    assert "J10" not in ids(found)


def test_an_old_ipykernel_and_a_jupyterlab_without_widgets(tmp_path: Path) -> None:
    found = report(_facts(tmp_path, labextensions=[str(tmp_path)], packages=[str(DATA / "packages")]))

    assert ids(found) == ["J02", "J03"] and "6.29.5" in found.text, found.text


def test_this_session_is_fine(tmp_path: Path) -> None:
    assert report(Facts("kserve-test", session=session.inspect_session(folder=tmp_path))).findings == ()


def _broken(folder: Path, *faults: Callable[[Notebook], None]) -> Path:
    notebook = copy.deepcopy(json.loads(LESSON.read_text(encoding="utf-8")))
    for fault in faults:
        fault(notebook)
    (folder / LESSON.name).write_text(json.dumps(notebook), encoding="utf-8")
    return folder


def _facts(folder: Path, **known: Any) -> Facts:
    """The facts of a healthy session, changed by the arguments."""
    environ = known.pop("environ", {})
    fine = session.inspect_session()
    seen: Session = session.inspect_session(environ, folder, **known)
    assert fine.widget_extension and fine.ipykernel
    return Facts("kserve-test", session=seen)
