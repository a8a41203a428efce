"""The limits of the package's layout: folders that fit on a screen, short modules and functions, no name used twice."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path

Definition = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
PACKAGE = Path(__file__).parents[2] / "kserve_nb"
MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if path.name != "__init__.py"]
MOST_MODULES_IN_A_FOLDER, MOST_CODE_LINES_IN_A_MODULE, MOST_LINES_IN_A_FUNCTION = 15, 300, 40


def test_no_folder_has_too_many_modules() -> None:
    counts = Counter(str(path.parent.relative_to(PACKAGE)) for path in MODULES)

    assert {folder: count for folder, count in counts.items() if count > MOST_MODULES_IN_A_FOLDER} == {}


def test_no_two_modules_have_one_name() -> None:
    assert _repeated(path.stem for path in MODULES if path.stem != "__main__") == []


def test_no_two_public_classes_have_one_name() -> None:
    assert _repeated(node.name for path in MODULES for node in _definitions(path)
                     if isinstance(node, ast.ClassDef) and not node.name.startswith("_")) == []


def test_no_module_is_too_long() -> None:
    lengths = {str(path.relative_to(PACKAGE)): len(_code_lines(path)) for path in MODULES}

    assert {name: lines for name, lines in lengths.items() if lines > MOST_CODE_LINES_IN_A_MODULE} == {}


def test_no_function_is_too_long() -> None:
    too_long = [f"{path.relative_to(PACKAGE)}:{node.lineno} {node.name}" for path in MODULES
                for node in _definitions(path)
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
                and (node.end_lineno or 0) - node.lineno >= MOST_LINES_IN_A_FUNCTION + len(_docstring_lines(node))]

    assert too_long == []


def test_each_folder_states_its_purpose() -> None:
    folders = {path.parent for path in MODULES}

    assert [str(folder) for folder in folders if not ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))
            ] == []


@cache
def _definitions(path: Path) -> list[Definition]:
    """A module, and all its classes and functions."""
    nodes: list[ast.AST] = [ast.parse(path.read_text())]
    for node in nodes:  # the list grows meanwhile; expressions are left out, because they contain no definitions
        nodes += [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr)]
    return [node for node in nodes if isinstance(node, Definition)]


def _repeated(names: Iterable[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)


def _code_lines(path: Path) -> set[int]:
    """The lines of a module that hold code: not comments, docstrings or empty lines."""
    texts = {line for node in _definitions(path) for line in _docstring_lines(node)}
    lines = path.read_text().splitlines()
    return {number for number, line in enumerate(lines, 1)
            if line.strip() and not line.strip().startswith("#") and number not in texts}


def _docstring_lines(node: Definition) -> range:
    if ast.get_docstring(node) is None:
        return range(0)
    return range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)
