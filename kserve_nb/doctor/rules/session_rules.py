"""Rules about Jupyter, Binder and the notebooks of the folder (J01 to J11)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kserve_nb.doctor.fact_check import offline_check
from kserve_nb.doctor.facts import Facts
from kserve_nb.doctor.finding import Finding
from kserve_nb.doctor.remedy import Remedy
from kserve_nb.doctor.rule import declare
from kserve_nb.doctor.session import Notebook, Session

LOST_WIDGET = declare("J01", "widgets of an earlier session cannot be displayed")
NO_EXTENSION = declare("J02", "JupyterLab has no widget extension")
OLD_IPYKERNEL = declare("J03", "this ipykernel cannot update widgets from threads")
BLOCKING_CELL = declare("J04", "a blocking cell stops the widgets")
EAGER_SLIDER = declare("J05", "a slider sends a request for each step of a drag")
WAITS_FOR_INPUT = declare("J06", "a cell that waits for input runs into its timeout")
COMPARED_OUTPUT = declare("J07", "an output that differs from run to run is compared")
NO_PARAMETERS = declare("J08", "no cell takes the parameters")
OTHER_KERNEL = declare("J09", "the notebook names a kernel that may not be installed")
LITTLE_MEMORY = declare("J10", "Binder gives little memory, for a short time")
NO_DOCKER = declare("J11", "Binder has no Docker")

_PACKAGE = "kserve_nb"  # named in a code cell; other notebooks are not examined
_VIEW, _STATE = "application/vnd.jupyter.widget-view+json", "application/vnd.jupyter.widget-state+json"
_WIDGETS = re.compile(r"TrafficSlider|PodTable|DoctorPanel|ipywidgets")
_BLOCKING = re.compile(r"time\.sleep\(|kubectl .*(?:--watch\b|-w\b)|asyncio\.run\(")
_DRAGGED = re.compile(r"\binteract\(|\b(?:Int|Float)\w*Slider\((?!.*continuous_update=False).*\)")
_INPUT = re.compile(r"\b(?:input|getpass)\(")
_COMPARED = "NBVAL_CHECK_OUTPUT"
_CHANGING = re.compile(r"\b\d\d:\d\d:\d\d\b|\b0x[0-9a-f]{6,}\b|-deployment-[0-9a-f]{8,10}-\w{5}\b")
_GIB = 1 << 30
_LITTLE = 2 * _GIB  # the most that mybinder.org gives
_IPYKERNEL = 7  # the first version in which a slider works during await


@offline_check
def session(facts: Facts) -> Iterator[Finding]:
    """All rules about the session and about each notebook that uses this package."""
    if facts.session is None:
        return
    yield from _packages(facts.session)
    yield from _binder(facts.session)
    for name, notebook in facts.session.notebooks.items():
        if any(_PACKAGE in source for _, source, _ in _cells(notebook)):
            for rule in (_saved_views, _blocking_cells, _compared_outputs, _metadata):
                yield from rule(name, notebook)


def _packages(session: Session) -> Iterator[Finding]:
    """J02 and J03: the installed packages."""
    if not session.widget_extension:
        yield Finding(
            NO_EXTENSION, "warning", "notebook", "JupyterLab", "@jupyter-widgets/jupyterlab-manager is not installed",
            "A widget appears as its text, VBox(children=…. Tables and the methods of the rollout still work.",
            Remedy("install it, then reload the page", "pip install ipywidgets"),
        )  # fmt: skip
    major = session.ipykernel.partition(".")[0]
    if major.isdigit() and int(major) < _IPYKERNEL:
        yield Finding(
            OLD_IPYKERNEL, "warning", "notebook", "ipykernel", session.ipykernel,
            "Before version 7 a slider does not work while a cell awaits, and threads print into the wrong cell.",
            Remedy("install it, then restart the kernel", f'pip install "ipykernel>={_IPYKERNEL}"'),
        )  # fmt: skip


def _binder(session: Session) -> Iterator[Finding]:
    """J10 and J11: the limits of BinderHub."""
    if not session.on_binder:
        return
    if session.memory_bytes is not None and session.memory_bytes <= _LITTLE:
        yield Finding(
            LITTLE_MEMORY, "note", "notebook", "memory.max", f"{session.memory_bytes / _GIB:.1f} GiB",
            "Binder stops a session after 10 minutes without use and deletes its files. The tutorial needs 1 GiB.",
            Remedy("keep the tab open, and download a notebook to keep it"),
        )  # fmt: skip
    if not session.tools:
        yield Finding(
            NO_DOCKER, "note", "notebook", "PATH", "neither docker nor kind",
            "A kind cluster is not possible here. The embedded cluster is, and connect() starts it.",
            Remedy("", "kserve-nb up", "lab = connect()"),
        )  # fmt: skip


def _saved_views(name: str, notebook: Notebook) -> Iterator[Finding]:
    """J01: outputs that name a widget whose state was not saved."""
    widgets = (notebook.get("metadata") or {}).get("widgets") or {}
    saved = (widgets.get(_STATE) or {}).get("state") or {}
    for _, _, outputs in _cells(notebook):
        views = [(output.get("data") or {}).get(_VIEW) for output in outputs]
        lost = [view["model_id"] for view in views if view and view["model_id"] not in saved]
        if lost:
            yield Finding(
                LOST_WIDGET, "note", "notebook", name, f"widget view {lost[0]}, without its state",
                'Reopened, it shows "Error displaying widget: model not found": a widget belongs to its kernel.',
                Remedy("run the cell again; its text and HTML stay readable"),
            )  # fmt: skip
            return


def _blocking_cells(name: str, notebook: Notebook) -> Iterator[Finding]:
    """J04, J05 and J06: cells that block the kernel, send too much, or wait for input."""
    cells = _cells(notebook)
    live = any(_WIDGETS.search(source) for _, source, _ in cells)
    canary = any("canary" in source for _, source, _ in cells)
    for number, source, _ in cells:
        where = f"{name}, cell {number}"
        for line in source.splitlines():
            if live and _BLOCKING.search(line):
                yield Finding(
                    BLOCKING_CELL, "warning", "notebook", where, line,
                    "While a cell blocks, the kernel handles no widget events. During await it does.",
                    Remedy("wait with a deadline", cell="await rollout.wait(timeout_s=60)"),
                )  # fmt: skip
            if canary and _DRAGGED.search(line):
                yield Finding(
                    EAGER_SLIDER, "warning", "notebook", where, line,
                    "Each step of a drag sends a message, and here a write: the front end slows down, and the cluster "
                    "gets many changes.",
                    Remedy("use TrafficSlider, or continuous_update=False with a button"),
                )  # fmt: skip
            if _INPUT.search(line):
                yield Finding(
                    WAITS_FOR_INPUT, "warning", "notebook", where, line,
                    "Without a front end, as with papermill or nbval, it waits until its timeout.",
                    Remedy("make it a parameter in the cell tagged parameters"),
                )  # fmt: skip


def _compared_outputs(name: str, notebook: Notebook) -> Iterator[Finding]:
    """J07: outputs that nbval compares and that differ in each run."""
    for number, source, outputs in _cells(notebook):
        if _COMPARED not in source:
            continue
        for output in outputs:
            text = "".join(output.get("text") or (output.get("data") or {}).get("text/plain") or [])
            changing = _CHANGING.search(text)
            if changing or output.get("name") == "stderr":
                yield Finding(
                    COMPARED_OUTPUT, "warning", "notebook", f"{name}, cell {number}",
                    changing[0] if changing else text,
                    "Times, ids, names of pods and stderr differ from run to run, so nbval will fail.",
                    Remedy("print something that stays the same, or remove NBVAL_CHECK_OUTPUT"),
                )  # fmt: skip


def _metadata(name: str, notebook: Notebook) -> Iterator[Finding]:
    """J08 and J09: the tag and the kernel that papermill needs."""
    tags = [(cell.get("metadata") or {}).get("tags") or [] for cell in notebook.get("cells") or []]
    connects = any("connect(" in source for _, source, _ in _cells(notebook))  # others have no parameters to set
    if connects and not any("parameters" in row for row in tags):
        yield Finding(
            NO_PARAMETERS, "warning", "notebook", name, "no cell has the tag parameters",
            "papermill then sets parameters above everything else, where a later assignment overwrites them silently.",
            Remedy('tag the first code cell: {"tags": ["parameters"]}'),
        )  # fmt: skip
    kernel = ((notebook.get("metadata") or {}).get("kernelspec") or {}).get("name", "")
    if kernel != "python3":
        yield Finding(
            OTHER_KERNEL, "warning", "notebook", name, f'kernelspec: "{kernel}"',
            "Only python3 exists wherever ipykernel is installed. Elsewhere Jupyter reports No such kernel.",
            Remedy("choose Python 3 (ipykernel) and save the notebook"),
        )  # fmt: skip


def _cells(notebook: Notebook) -> list[tuple[int, str, list[Any]]]:
    """Number, source and outputs of each code cell."""
    cells = [cell for cell in notebook.get("cells") or [] if cell.get("cell_type") == "code"]
    return [(number, "".join(cell.get("source") or []), cell.get("outputs") or [])
            for number, cell in enumerate(cells, start=1)]  # fmt: skip
