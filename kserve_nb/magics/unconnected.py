"""An IPython extension that names the cell to run when a name is missing: the kernel is new, or a cell was skipped.

`kserve-nb lab` and Binder load it into the kernels of the course. It also runs the notebook's settings, so that the
cell with `lab = connect(…)` is the only one to run after a restart.
"""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import NoReturn

from IPython.core.inputtransformer2 import TransformerManager
from IPython.core.interactiveshell import InteractiveShell

from kserve_nb.magics.command_line import CommandError
from kserve_nb.values.text.readable_error import wrapped

CONNECT = "Run the cell with `lab = connect(…)`, then this cell again."


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Called by IPython when the kernel starts."""
    for name in ("kubectl", "curl"):
        shell.register_magic_function(_refuse, "line_cell", name)  # type: ignore[arg-type]  # typed as a method
    shell.set_custom_exc((NameError,), _show_name_error)  # type: ignore[no-untyped-call]  # IPython does not type it
    for source in _cells(tag="parameters"):
        shell.ex(source)  # type: ignore[no-untyped-call]


def cell_that_defines(name: str, sources: Iterable[str]) -> str:
    """The first line of the first cell that assigns or imports a name; empty if no cell does.

    >>> cell_that_defines("table", ["a = 1", "from kserve_nb import PodTable\\ntable, user = PodTable(r), r.probe()"])
    'from kserve_nb import PodTable'
    """
    return next((source.strip().splitlines()[0] for source in sources if name in _names(source)), "")


def _refuse(line: str, cell: str = "") -> NoReturn:
    raise CommandError(f"This notebook is not connected to a cluster. {CONNECT}")


def _show_name_error(
    shell: InteractiveShell,
    type_: type[NameError],
    error: NameError,
    traceback: TracebackType,
    tb_offset: int | None = None,
) -> None:
    """Show one line instead of a traceback, if a cell of the notebook defines the missing name."""
    begin = cell_that_defines(error.name or "", _cells())
    if not begin:
        shell.showtraceback((type_, error, traceback), tb_offset=tb_offset)
        return
    missing = f"There is no `{error.name}`: the kernel is new, or a cell was skipped."
    if "lab" not in shell.user_ns:
        text = f"{missing} {CONNECT}"
    else:
        text = f"{missing} Run the cell that begins with `{begin}`, then this cell again."
    shell._showtraceback(type_, error, wrapped(text))


def _names(source: str) -> set[str]:
    """The names that a cell assigns or imports."""
    try:
        tree = ast.parse(TransformerManager().transform_cell(source))  # type: ignore[no-untyped-call]
    except SyntaxError:
        return set()
    nodes = list(ast.walk(tree))
    found = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    imports = [alias for node in nodes if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names]
    return found | {alias.asname or alias.name for alias in imports}


def _cells(tag: str = "") -> list[str]:
    """The sources of the notebook's code cells, or of those with a tag; none if the notebook cannot be read."""
    try:
        notebook = json.loads(Path(os.environ.get("JPY_SESSION_NAME", "")).read_text(encoding="utf-8"))
        cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        return ["".join(cell["source"]) for cell in cells if not tag or tag in cell["metadata"].get("tags", [])]
    except (OSError, ValueError, KeyError, TypeError):
        return []
