"""Rules about Jupyter, Binder and the notebooks at hand (J…)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kserve_nb.doctor.facts import Facts
from kserve_nb.doctor.finding import Finding
from kserve_nb.doctor.session import Notebook, Session

_OURS = "kserve_nb"  # in a code cell: other notebooks are none of our business
_VIEW, _STATE = "application/vnd.jupyter.widget-view+json", "application/vnd.jupyter.widget-state+json"
_WIDGETS = re.compile(r"TrafficSlider|PodTable|DoctorPanel|ipywidgets")
_BLOCKING = re.compile(r"time\.sleep\(|kubectl .*(?:--watch\b|-w\b)|asyncio\.run\(")
_DRAGGED = re.compile(r"\binteract\(|\b(?:Int|Float)\w*Slider\((?!.*continuous_update=False).*\)")
_HAND = re.compile(r"\b(?:input|getpass)\(")
_COMPARED = "NBVAL_CHECK_OUTPUT"
_CHANGING = re.compile(r"\b\d\d:\d\d:\d\d\b|\b0x[0-9a-f]{6,}\b|-deployment-[0-9a-f]{8,10}-\w{5}\b")
_GIB = 1 << 30
_ENOUGH = 2 * _GIB  # what mybinder.org gives at most
_IPYKERNEL = 7  # the first one in which a slider lives during await


def packages(session: Session) -> Iterator[Finding]:
    """J02 and J03: what is installed beside the kernel."""
    if not session.widget_extension:
        yield Finding(
            "J02", "warning", "notebook", "JupyterLab", "@jupyter-widgets/jupyterlab-manager is not installed",
            "A widget shows as its text, VBox(children=…; tables and verbs work all the same.",
            "pip install ipywidgets, then load the page anew",
        )  # fmt: skip
    major = session.ipykernel.partition(".")[0]
    if major.isdigit() and int(major) < _IPYKERNEL:
        yield Finding(
            "J03", "warning", "notebook", "ipykernel", session.ipykernel,
            "Before 7 a slider is dead while a cell awaits, and what a thread shows lands in the wrong cell.",
            f'pip install "ipykernel>={_IPYKERNEL}", then restart the kernel',
        )  # fmt: skip


def binder(session: Session) -> Iterator[Finding]:
    """J10 and J11: what BinderHub gives."""
    if not session.on_binder:
        return
    if session.memory_bytes is not None and session.memory_bytes <= _ENOUGH:
        yield Finding(
            "J10", "note", "notebook", "memory.max", f"{session.memory_bytes / _GIB:.1f} GiB",
            "Binder ends after 10 minutes without use, and forgets everything; the tutorial needs about 1 GiB.",
            "keep the tab open; download a notebook to keep it",
        )  # fmt: skip
    if not session.tools:
        yield Finding(
            "J11", "note", "notebook", "PATH", "neither docker nor kind",
            "kind is not possible here; the embedded cluster is, and is what connect() starts.", "lab = connect()",
        )  # fmt: skip


def saved_views(name: str, notebook: Notebook) -> Iterator[Finding]:
    """J01: outputs that name a widget whose state was not saved."""
    widgets = (notebook.get("metadata") or {}).get("widgets") or {}
    saved = (widgets.get(_STATE) or {}).get("state") or {}
    for _, _, outputs in _cells(notebook):
        views = [(output.get("data") or {}).get(_VIEW) for output in outputs]
        lost = [view["model_id"] for view in views if view and view["model_id"] not in saved]
        if lost:
            yield Finding(
                "J01", "note", "notebook", name, f"widget view {lost[0]}, without its state",
                'Reopened, it says "Error displaying widget: model not found": a widget lives in its kernel.',
                "run the cell again; its text and HTML stay readable on GitHub",
            )  # fmt: skip
            return


def blocking_cells(name: str, notebook: Notebook) -> Iterator[Finding]:
    """J04, J05 and J06: cells that block, flood, or wait for a hand."""
    cells = _cells(notebook)
    live = any(_WIDGETS.search(source) for _, source, _ in cells)
    for number, source, _ in cells:
        where = f"{name}, cell {number}"
        for line in source.splitlines():
            if live and _BLOCKING.search(line):
                yield Finding(
                    "J04", "warning", "notebook", where, line,
                    "While a cell blocks, the kernel hears no widget; during await it does.",
                    "await rollout.wait(timeout_s=60)",
                )  # fmt: skip
            if _DRAGGED.search(line) and "canary" in "".join(source for _, source, _ in cells):
                yield Finding(
                    "J05", "warning", "notebook", where, line,
                    "Every pixel of a drag is a message, and here a write: the front end lags, the cluster is flooded.",
                    "TrafficSlider(rollout), or continuous_update=False and a button",
                )  # fmt: skip
            if _HAND.search(line):
                yield Finding(
                    "J06", "warning", "notebook", where, line,
                    "Run without a front end, by papermill or nbval, it waits until its timeout.",
                    "make it a parameter in the cell tagged parameters",
                )  # fmt: skip


def compared_outputs(name: str, notebook: Notebook) -> Iterator[Finding]:
    """J07: outputs that nbval compares, and that cannot be the same twice."""
    for number, source, outputs in _cells(notebook):
        if _COMPARED not in source:
            continue
        for output in outputs:
            text = "".join(output.get("text") or (output.get("data") or {}).get("text/plain") or [])
            changing = _CHANGING.search(text)
            if changing or output.get("name") == "stderr":
                yield Finding(
                    "J07", "warning", "notebook", f"{name}, cell {number}", changing[0] if changing else text,
                    "Times, ids, pods' names and stderr differ from run to run: nbval will fail.",
                    "render.text(render.pod_table(rollout.pods())), or drop NBVAL_CHECK_OUTPUT",
                )  # fmt: skip


def metadata(name: str, notebook: Notebook) -> Iterator[Finding]:
    """J08 and J09: what papermill needs."""
    tags = [(cell.get("metadata") or {}).get("tags") or [] for cell in notebook.get("cells") or []]
    if not any("parameters" in row for row in tags):
        yield Finding(
            "J08", "warning", "notebook", name, "no cell has the tag parameters",
            "papermill then sets parameters above everything else, where a later assignment wins silently.",
            'tag the first code cell: {"tags": ["parameters"]}',
        )  # fmt: skip
    kernel = ((notebook.get("metadata") or {}).get("kernelspec") or {}).get("name", "")
    if kernel != "python3":
        yield Finding(
            "J09", "warning", "notebook", name, f'kernelspec: "{kernel}"',
            "Only python3 is there wherever ipykernel is: elsewhere it is No such kernel.",
            "papermill --kernel python3 …, or choose Python 3 (ipykernel) and save",
        )  # fmt: skip


def session_rules(facts: Facts) -> Iterator[Finding]:
    """Every rule about the session and each of its notebooks."""
    session = facts.session
    if session is None:
        return
    yield from packages(session)
    yield from binder(session)
    for name, notebook in session.notebooks.items():
        if any(_OURS in source for _, source, _ in _cells(notebook)):
            for rule in (saved_views, blocking_cells, compared_outputs, metadata):
                yield from rule(name, notebook)


RULES = (session_rules,)


def _cells(notebook: Notebook) -> list[tuple[int, str, list[Any]]]:
    """Number, source and outputs of each code cell."""
    cells = [cell for cell in notebook.get("cells") or [] if cell.get("cell_type") == "code"]
    return [(number, "".join(cell.get("source") or []), cell.get("outputs") or [])
            for number, cell in enumerate(cells, start=1)]  # fmt: skip
