"""The names and versions in a pickle are found without loading it."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from kserve_nb.clusters.publishing import pickle_contents
from kserve_nb.clusters.publishing.pickle_contents import PickleContents, contents_of, problem_of, unpacked
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

    found = contents_of(unpacked(file.read_bytes()))

    assert found.scikit_learn == "1.5.2"
    assert found.modules >= {"sklearn", "numpy"} and not found.own_names


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_the_version_of_a_plain_pickle_is_found(protocol: int) -> None:
    with saved_with("1.9.rc1"):
        data = pickle.dumps(SVC().fit(ROWS, CLASSES), protocol=protocol)

    assert contents_of(unpacked(data)).scikit_learn == "1.9.rc1"


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_functions_of_the_notebook_are_named(protocol: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import __main__

    def halved(rows: Any) -> Any:
        return rows

    halved.__module__, halved.__qualname__ = "__main__", "halved"
    monkeypatch.setattr(__main__, "halved", halved, raising=False)
    data = pickle.dumps(make_pipeline(FunctionTransformer(halved), SVC()).fit(ROWS, CLASSES), protocol=protocol)

    assert contents_of(unpacked(data)).own_names == ("halved",)


def test_a_pickle_that_runs_code_is_read_without_running_it() -> None:
    data = pickle.dumps(Trap())

    with pytest.raises(SystemExit, match="loaded"):
        pickle.loads(data)
    assert contents_of(unpacked(data)).modules == {"builtins"}


@pytest.mark.parametrize("data", [b"", b"x", b"\x1f\x8bno", b"BZno", b"]\x00\x00no", b"\xfd7zXZno", b"\x80\x04garbage"])
def test_other_bytes_have_no_contents(data: bytes) -> None:
    assert contents_of(unpacked(data)) == PickleContents()


def joblib_file(*extra: Any) -> bytes:
    """A joblib file of a model with many kinds of arrays: aligned, empty, structured, and of texts and objects."""
    model = SVC().fit(ROWS, ["no.", "yes"])
    model.notes = extra or (
        np.array(["a.", 1, None], dtype=object), np.zeros((0, 3)), np.zeros(3, [("left", "i4"), ("right", "f8")]),
        np.array([(1, "a")], [("number", "i4"), ("what", "O")]), np.asfortranarray(np.eye(3)))
    buffer = io.BytesIO()
    joblib.dump(model, buffer)
    return buffer.getvalue()


def test_a_joblib_file_with_arrays_of_all_kinds_is_complete() -> None:
    assert problem_of(unpacked(joblib_file())) == ""


def test_a_joblib_file_that_is_cut_off_after_a_dot_is_found() -> None:
    data = joblib_file(np.frombuffer(b"." * 800))
    cuts = [place + 1 for place, byte in enumerate(data[:-1]) if byte == ord(".")]

    assert len(cuts) > 800
    assert {problem_of(unpacked(data[:cut])) for cut in cuts} == {"it is not a pickle, or it is cut off"}


def test_an_array_that_is_larger_than_what_is_read_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    data = joblib_file(np.frombuffer(b"." * 8000))
    monkeypatch.setattr(pickle_contents, "MOST_BYTES", 6000)

    assert problem_of(unpacked(data)) == ""
    assert problem_of(unpacked(data[:7000])) == "it is not a pickle, or it is cut off"


def test_nothing_of_a_pickle_is_imported_or_called_to_see_that_it_is_complete() -> None:
    assert problem_of(unpacked(pickle.dumps(Trap()))) == "it contains no estimator"
