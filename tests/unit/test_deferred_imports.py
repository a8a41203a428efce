"""Postponed and omitted imports: the runtime starts without them, and a model that needs one still gets it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kserve_nb.clusters.embedded.node.runtime.deferred_imports import deferred

HEAVY = """
LOADED = True
class Frame:
    def __init__(self, rows=()): self.rows = rows
    @classmethod
    def empty(cls): return cls()
def size(frame): return len(frame.rows)
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a package that may be imported once."""
    name = f"heavy_{tmp_path.name.replace('-', '_')}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text(HEAVY)
    (tmp_path / name / "inner.py").write_text("INNER = 1\ndef double(number): return 2 * number\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name
    for module in [module for module in sys.modules if module.partition(".")[0] == name]:
        del sys.modules[module]


def user_of(package: str) -> dict[str, object]:
    """The names of a module that imports the package."""
    names: dict[str, object] = {}
    exec(f"import {package} as heavy\nfrom {package} import Frame, size\n"
         "def is_frame(value: heavy.Frame | None) -> bool: return isinstance(value, heavy.Frame)\n", names)
    return names


def is_loaded(package: str) -> bool:
    return hasattr(sys.modules.get(package), "__file__")


def test_a_deferred_package_is_loaded_by_the_first_call(package: str) -> None:
    with deferred(package):
        user = user_of(package)
    assert not is_loaded(package)

    frame = user["Frame"]([1, 2])  # type: ignore[operator]

    assert is_loaded(package)
    assert user["size"](frame) == 2  # type: ignore[operator]
    assert user["heavy"].LOADED  # type: ignore[attr-defined]


def test_an_isinstance_check_loads_nothing_and_is_right_afterwards(package: str) -> None:
    with deferred(package):
        user = user_of(package)

    assert not user["is_frame"]([])  # type: ignore[operator]
    assert not is_loaded(package)
    frame = user["Frame"].empty()  # type: ignore[attr-defined]
    assert user["is_frame"](frame)  # type: ignore[operator]


def test_a_subclass_check_loads_nothing_and_is_right_afterwards(package: str) -> None:
    with deferred(package):
        user = user_of(package)
    frame = user["Frame"]

    assert not issubclass(list, frame)  # type: ignore[arg-type]
    assert not is_loaded(package)
    assert issubclass(type(frame()), frame)  # type: ignore[arg-type, operator]


def test_a_deferred_module_inside_a_deferred_package_is_loaded_with_its_package(package: str) -> None:
    with deferred(package, f"{package}.inner"):
        names: dict[str, object] = {}
        exec(f"import {package}.inner as inner\nfrom {package}.inner import double", names)
        assert not is_loaded(package) and not is_loaded(f"{package}.inner")

        assert names["double"](2) == 4  # type: ignore[operator]
        assert is_loaded(package) and names["inner"].INNER == 1  # type: ignore[attr-defined]


def test_imports_after_the_context_find_the_package_itself(package: str) -> None:
    with deferred(package):
        user = user_of(package)

    later: dict[str, object] = {}
    exec(f"from {package} import Frame\nimport {package}.inner", later)

    assert isinstance(later["Frame"], type)
    assert isinstance(later["Frame"](), user["Frame"])  # type: ignore[arg-type]


def test_a_class_that_inherits_from_a_deferred_one_is_a_real_subclass(package: str) -> None:
    with deferred(package):
        user = user_of(package)
        exec("class Own(Frame): pass", user)

    assert user["Own"]([1]).rows == [1]  # type: ignore[operator]


def test_a_module_inside_a_deferred_package_can_be_imported(package: str) -> None:
    with deferred(package):
        names: dict[str, object] = {}
        exec(f"from {package}.inner import INNER", names)

    assert names["INNER"] == 1


@pytest.mark.slow
def test_the_runtime_does_not_import_rarely_used_packages() -> None:
    code = """
import sys
from kserve_nb.clusters.embedded.node.runtime import child
child.preload()
print([name for name in ("pandas", "scipy.stats", "scipy.optimize", "scipy.special", "httpx", "requests", "grpc",
                                "narwhals.stable.v2", "fastapi.openapi.models", "kubernetes.client.models")
       if hasattr(sys.modules.get(name), "__file__")])
from kserve.utils.utils import get_predict_input, get_predict_response
from kserve.protocol.infer_type import InferInput, InferRequest
request = InferRequest("m", [InferInput("a", [1], "FP32", [1.5])], parameters={"content_type": "pd"})
print(get_predict_input(request).a.tolist())
import pandas, scipy.stats
print(get_predict_response({}, pandas.DataFrame({"b": [2]}), "m"), scipy.stats.rankdata([3, 1]).tolist())
"""

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)

    assert done.stdout.splitlines() == ["[]", "[1.5]", "{'predictions': [{'b': 2}]} [2.0, 1.0]"], done.stderr
