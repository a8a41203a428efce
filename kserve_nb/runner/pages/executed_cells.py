"""The cells of the notebooks that `kserve-nb run` has executed, with their outputs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from kserve_nb.runner.pages.page_source import PageError
from kserve_nb.runner.run_result import Cell, cells_of


def executed_cells(folder: Path, notebooks: Iterable[str]) -> dict[str, tuple[Cell, ...]]:
    """The code cells of each notebook, by the notebook's name. Raises PageError.

    Args:
        folder: the folder of the executed notebooks.
        notebooks: the names, without `.ipynb`.
    """
    return {name: _cells(folder / f"{name}.ipynb") for name in notebooks}


def _cells(path: Path) -> tuple[Cell, ...]:
    import nbformat  # slow to import

    try:
        cells = cells_of(nbformat.read(path, as_version=4), failed=False)
    except OSError as error:
        raise PageError(f"Cannot read the executed notebook {path}: {error.strerror}. "
                        "Run the notebooks first: kserve-nb run") from None
    except Exception as error:  # nbformat raises its own errors, and those of json and jsonschema
        raise PageError(f"Cannot read the executed notebook {path}: {error}. "
                        "Run the notebooks again: kserve-nb run") from None
    if not any(cell.state == "passed" for cell in cells):
        raise PageError(f"The notebook {path} was not executed. "
                        "Name the folder that kserve-nb run has written: --executed")
    return cells
