"""Cells can run again in any order until one changes the cluster, and a new kernel can continue."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

from tests.notebooks.conftest import TUTORIAL, Runner

CHANGES = re.compile(
    r"%%kubectl apply|lab\.(?:ensure|reset)\(|rollout\.(?:deploy|canary|promote|pin|tag|apply)\("
    r"|slider\.apply|second\.deploy|\.delete\(\)")
DIES = ["03_canary", "06_promote", "07_rollback", "08_tag_routing"]
HARDEST = "07_rollback"  # two passes of a pin; `make faults` tries all


@contextmanager
def kernel(path: Path, runner: Runner) -> Iterator[tuple[NotebookClient, list[NotebookNode]]]:
    """Start a new kernel on the tests' cluster, and return it with the notebook's code cells."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, kernel_name="python3", timeout=180,
                            resources={"metadata": {"path": str(path.parent)}})
    with client.setup_kernel(env={**os.environ, "KSERVE_NB_NAME": runner.cluster}):
        yield client, [cell for cell in notebook.cells if cell.cell_type == "code"]


def run(client: NotebookClient, cell: NotebookNode) -> None:
    """Run one cell. Raises with the cell's name if it fails."""
    index = client.nb.cells.index(cell)
    for outputs in client._display_id_map.values():  # as front ends do; nbclient would update outputs that are gone
        outputs.pop(index, None)
    try:
        client.execute_cell(cell, index)
    except Exception as failed:
        raise AssertionError(f"cell {cell.id}: {failed}") from None


def steps(cells: list[NotebookNode]) -> list[list[NotebookNode]]:
    """Return the cells in groups; each group starts with a cell that changes the cluster."""
    parted: list[list[NotebookNode]] = [[]]
    for cell in cells:
        if CHANGES.search(cell.source):
            parted.append([])
        parted[-1].append(cell)
    return parted


@pytest.mark.parametrize("path", TUTORIAL, ids=lambda path: path.stem)
def test_cells_of_a_step_can_be_run_again_in_any_order(path: Path, runner: Runner):
    with kernel(path, runner) as (client, cells):
        for first, *others in steps(cells):
            for cell in (first, *others, *reversed(others)):
                run(client, cell)


@pytest.mark.parametrize("path", [
    pytest.param(path, marks=() if path.stem == HARDEST else pytest.mark.long, id=path.stem)
    for path in TUTORIAL if path.stem in DIES])
def test_a_new_kernel_continues_after_one_died_during_an_apply(path: Path, runner: Runner):
    with kernel(path, runner) as (client, cells):
        for cell in cells:
            run(client, cell)
            if cell.source.startswith("%%kubectl apply"):
                break  # traffic is moving

    with kernel(path, runner) as (client, cells):
        for cell in cells:
            run(client, cell)
