"""The results of notebook runs as one HTML page, with everything needed to understand a failure."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from traitlets.config import Config

from kserve_nb.runner.run_result import Cell, Run, verdict
from kserve_nb.values.text.foreign_text import safe_html

_SIGNS = {"passed": "✔ passed", "failed": "✖ failed", "not run": "– not run"}
_SHOWN = ["text/html", "text/markdown", "image/svg+xml", "image/png", "text/plain"]  # widgets need a live kernel
_WIDEST_PX = 260


def html(runs: Sequence[Run], title: str) -> str:
    """The page: a table of the notebooks, each failure with its details, and every notebook as it was executed."""
    longest = max((cell.seconds for run in runs for cell in run.cells), default=0.0)
    failures = "".join(_failure(run) for run in runs if not run.passed)
    notebooks = "".join(_notebook(run, longest) for run in runs)
    return (
        f"<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'><title>{safe_html(verdict(runs))}</title>"
        f"<style>{_css()}</style></head><body><h1>{safe_html(verdict(runs))}</h1><p>{safe_html(title)}</p>"
        f"{_table(runs)}{'<h2>Failures</h2>' if failures else ''}{failures}<h2>Notebooks</h2>{notebooks}"
        "</body></html>"
    )


def _css() -> str:
    """The style sheet of the report, and the colours that nbconvert gives to code."""
    from pygments.formatters import HtmlFormatter  # slow to import, as nbconvert is

    return (files("kserve_nb.runner") / "report.css").read_text() + str(HtmlFormatter().get_style_defs(".highlight"))


def _table(runs: Sequence[Run]) -> str:
    rows = "".join(_row(run) for run in runs)
    total = sum(run.seconds for run in runs)
    head = "<tr><th>notebook</th><th></th><th>seconds</th><th>cells</th><th>slowest cell</th></tr>"
    return f"<table>{head}{rows}<tr><th>all</th><td></td><td class='s'>{total:.1f}</td><td></td><td></td></tr></table>"


def _row(run: Run) -> str:
    slow = f"{safe_html(run.slowest.name)}, {run.slowest.seconds:.1f} s" if run.slowest else ""
    ran = sum(cell.state != "not run" for cell in run.cells)
    name = safe_html(run.notebook.stem)
    return (f"<tr><td><a href='#{name}'>{name}</a></td><td>{_state('passed' if run.passed else 'failed')}</td>"
            f"<td class='s'>{run.seconds:.1f}</td><td>{ran} of {len(run.cells)}</td><td>{slow}</td></tr>")


def _failure(run: Run) -> str:
    cell = run.failed_cell
    where = f"{run.notebook.name}, cell {cell.name}" if cell else run.notebook.name
    details = [("cell", cell.source), ("output", cell.output)] if cell else [("error", run.error)]
    details += [("doctor", run.diagnosis.findings), ("last events", "\n".join(run.diagnosis.events))]
    shown = "".join(f"<h4>{title}</h4><pre>{safe_html(text)}</pre>" for title, text in details if text)
    return f"<section class='failure'><h3>{safe_html(where)}</h3>{shown}</section>"


def _notebook(run: Run, longest: float) -> str:
    cells = "".join(_cell(cell, longest) for cell in run.cells)
    name = safe_html(run.notebook.stem)
    return (f"<details id='{name}'><summary>{_state('passed' if run.passed else 'failed')} <b>{name}</b>, "
            f"{run.seconds:.1f} s</summary><table>{cells}</table>"
            f"<details><summary>executed notebook</summary><div class='notebook'>{_executed(run)}</div></details>"
            "</details>")


def _cell(cell: Cell, longest: float) -> str:
    width = round(_WIDEST_PX * cell.seconds / longest) if longest else 0
    return (f"<tr><td>{safe_html(cell.name)}</td><td>{_state(cell.state)}</td><td class='s'>{cell.seconds:.2f} s</td>"
            f"<td><span class='bar' style='width:{width}px'></span></td></tr>")


def _executed(run: Run) -> str:
    """The executed notebook as HTML by nbconvert; a widget appears as its text, which needs no JavaScript."""
    if not run.output.exists():
        return "<p>not executed</p>"
    import nbformat  # slow to import
    from nbconvert import HTMLExporter

    config = Config({"NbConvertBase": {"display_data_priority": _SHOWN}})
    exporter = HTMLExporter(template_name="basic", embed_images=True, config=config)
    notebook = nbformat.read(run.output, as_version=4)
    resources = {"metadata": {"path": str(run.notebook.resolve().parent), "name": run.notebook.stem}}
    body, _ = exporter.from_notebook_node(notebook, resources=resources)
    return str(body)


def _state(state: str) -> str:
    return f"<span class='{state.partition(' ')[0]}'>{_SIGNS[state]}</span>"
