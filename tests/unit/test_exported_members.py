"""The public API is what the notebooks import, and every public name has an example that runs."""

from __future__ import annotations

import ast
import asyncio
import doctest
import importlib
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

import kserve_nb
from kserve_nb.lab import Lab
from kserve_nb.values.manifest import MODEL_2
from tests.fake_api import ISVC, FakeApi
from tests.fake_gateway import FakeGateway

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
# Folders whose modules have examples.
FOLDERS = ("values", "access", "rollout", "observe", "gates", "magics")
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def imported(notebook: Path) -> Iterator[str]:
    """The names that a notebook imports from the package, with their module if it is not the package itself."""
    for cell in nbformat.read(notebook, as_version=4).cells:
        if cell.cell_type != "code":
            continue
        for node in ast.walk(ast.parse(TransformerManager().transform_cell(cell.source))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "kserve_nb":
                inside = str(node.module).partition(".")[2]
                yield from (f"{inside} {alias.name}".strip() for alias in node.names)
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names if alias.name.startswith("kserve_nb"))


def test_the_public_names_are_what_the_notebooks_import() -> None:
    assert {name for notebook in NOTEBOOKS for name in imported(notebook)} == set(kserve_nb.__all__)


def test_every_public_name_exists() -> None:
    assert all(getattr(kserve_nb, name) is not None for name in kserve_nb.__all__)
    assert sorted(kserve_nb.__all__) == dir(kserve_nb)


def test_other_names_do_not_exist() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        kserve_nb.nope  # noqa: B018 - to read it is the test


def test_importing_the_package_imports_no_client_and_no_widgets() -> None:
    code = "import sys, kserve_nb; sys.exit(any(m in sys.modules for m in ('kubernetes', 'ipywidgets', 'IPython')))"

    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.slow
def test_a_script_does_not_import_ipython_to_connect() -> None:
    code = "import sys; from kserve_nb import connect; sys.exit('IPython' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("name", [name for name in kserve_nb.__all__ if name.upper() != name])
def test_every_public_class_and_function_has_an_example(name: str) -> None:
    assert ">>> " in (inspect.getdoc(getattr(kserve_nb, name)) or "")


def examples() -> list[Any]:
    """All doctests of the public classes and of the modules beneath them."""
    package = Path(kserve_nb.__file__).parent
    files = [package / "__init__.py", package / "lab.py"]
    files += [path for folder in FOLDERS for path in sorted((package / folder).rglob("*.py"))]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in files]
    names += [getattr(kserve_nb, name).__module__ for name in kserve_nb.__all__ if name.upper() != name]
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [test for name in dict.fromkeys(names) for test in finder.find(importlib.import_module(name), name)]
    return [pytest.param(test, id=test.name) for test in found if test.examples]


@pytest.fixture
def names(
    api: FakeApi, gateway: FakeGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """The variables of the examples: a cluster in the tutorial's third step, and a lab that is connected to it."""
    api.load("02-canary-10")
    isvc = api.objects[f"{ISVC}/sklearn-iris"]
    del isvc["spec"]["predictor"]["model"]["resources"]
    isvc["metadata"]["annotations"].clear()
    monkeypatch.delenv("KSERVE_NB_NAME", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    lab = Lab(api.cluster(gateway.address))
    return {"asyncio": asyncio, "kubeconfig": api.kubeconfig, "ingress": gateway.address, "MODEL_2": MODEL_2,
            "lab": lab, "rollout": lab.rollout()}


@pytest.mark.parametrize("example", examples())
@pytest.mark.slow
def test_an_examples_output_is_current(example: doctest.DocTest, names: dict[str, Any]) -> None:
    example.globs.update(names)

    result = doctest.DocTestRunner(optionflags=FLAGS).run(example, clear_globs=False)

    assert result.failed == 0
