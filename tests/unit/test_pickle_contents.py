"""What a pickle refers to is found without loading it."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import joblib
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from kserve_nb.values.pickle_contents import PickleContents, contents_of
from tests.unit.other_scikit_learn import saved_with

ROWS, CLASSES = [[0.0, 1.0], [1.0, 0.0]], [0, 1]


class Trap:
    """An object whose pickle runs code when it is loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("raise SystemExit('loaded')",)


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)])
def test_the_version_and_the_modules_of_a_joblib_file_are_found(compress: Any, tmp_path: Path) -> None:
    file = tmp_path / "model.joblib"
    with saved_with("1.5.2"):
        joblib.dump(make_pipeline(StandardScaler(), SVC()).fit(ROWS, CLASSES), file, compress=compress)

    found = contents_of(file.read_bytes())

    assert found.scikit_learn == "1.5.2"
    assert found.modules >= {"sklearn", "numpy"} and not found.own_names


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_the_version_of_a_plain_pickle_is_found(protocol: int) -> None:
    with saved_with("1.9.rc1"):
        data = pickle.dumps(SVC().fit(ROWS, CLASSES), protocol=protocol)

    assert contents_of(data).scikit_learn == "1.9.rc1"


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_functions_of_the_notebook_are_named(protocol: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import __main__

    def halved(rows: Any) -> Any:
        return rows

    halved.__module__, halved.__qualname__ = "__main__", "halved"
    monkeypatch.setattr(__main__, "halved", halved, raising=False)
    data = pickle.dumps(make_pipeline(FunctionTransformer(halved), SVC()).fit(ROWS, CLASSES), protocol=protocol)

    assert contents_of(data).own_names == ("halved",)


def test_a_pickle_that_runs_code_is_read_without_running_it() -> None:
    data = pickle.dumps(Trap())

    with pytest.raises(SystemExit, match="loaded"):
        pickle.loads(data)
    assert contents_of(data).modules == {"builtins"}


@pytest.mark.parametrize("data", [b"", b"x", b"\x1f\x8bno", b"BZno", b"]\x00\x00no", b"\xfd7zXZno", b"\x80\x04garbage"])
def test_other_bytes_have_no_contents(data: bytes) -> None:
    assert contents_of(data) == PickleContents()
