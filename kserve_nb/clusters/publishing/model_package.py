"""A model to publish: its name, its files as one archive, and the names and versions in its pickle."""

from __future__ import annotations

import io
import os
import re
import sys
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kserve_nb.clusters.publishing.pickle_contents import PickleContents, contents_of, problem_of, unpacked
from kserve_nb.values.text.readable_error import ReadableError, short_repr

SUFFIXES = (".joblib", ".pkl", ".pickle")  # the model files that KServe's scikit-learn server loads
MOST_BYTES = 1 << 30  # the limit of all files of a model together
_FILE = "model.joblib"
_OTHER_LIBRARIES = {".bst", ".json", ".ubj", ".txt", ".onnx", ".pt", ".pth", ".h5", ".keras", ".pmml", ".cbm"}
_PART = r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?"
_NAME = re.compile(f"{_PART}/{_PART}")
_SERVED = {"sklearn", "numpy", "scipy", "joblib", "pandas", *sys.stdlib_module_names}  # modules of KServe's server


class PublishError(ReadableError, ValueError):
    """A model that cannot be published; the message names it, says why, and what to do.

    >>> check_name("wine")
    Traceback (most recent call last):
    ...
    kserve_nb.clusters.publishing.model_package.PublishError: 'wine' is not a valid name of a model version. ...
    """


class ModelWarning(UserWarning):
    """A model that was published and may not work on the cluster."""


@dataclass(frozen=True)
class ModelPackage:
    """The files of a model under the name that they get."""

    name: str  # NAME/VERSION
    archive: bytes  # a tar archive
    contents: PickleContents

    def doubts(self, scikit_learn: str) -> Iterator[str]:
        """Why the model may not work on a server that has this scikit-learn version; empty if that is not known."""
        trained = self.contents.scikit_learn
        if trained and scikit_learn and trained != scikit_learn:
            yield (f"{self.name} was saved with scikit-learn {trained}, and this cluster's model server has "
                   f"{scikit_learn}. It may not load, or answer differently. Train and save it again with the server's "
                   f"version: pip install scikit-learn=={scikit_learn}")
        if others := sorted(self.contents.modules - _SERVED):
            yield (f"{self.name} needs the Python module {', '.join(others)}, which the model server has to import. "
                   "KServe's image kserve/sklearnserver has scikit-learn, numpy, scipy and pandas only. Use a runtime "
                   "whose image contains it.")


def package(model: Any, name: str) -> ModelPackage:
    """Check and pack a fitted estimator, or the file or folder of a model. No file is unpickled.

    Raises:
        PublishError: the name is not valid, or the model server could not load this model.
    """
    check_name(name)
    files = _read(model, name) if isinstance(model, str | Path) else {_FILE: _dumped(model, name)}
    file, pickled = next((path, data) for path, data in files.items() if path.endswith(SUFFIXES) and "/" not in path)
    plain = unpacked(pickled)
    contents = contents_of(plain)
    if contents.own_names:
        named = ", ".join(filter(None, contents.own_names)) or "a function or class"
        raise PublishError(
            f"Cannot publish {name}: the model uses {named}, defined in this notebook or script. A pickle contains "
            "only the name of a function or class, not its code, so the model server cannot load it. Use "
            "scikit-learn's own transformers, or put the code into a package that the server's image contains.")
    if problem := problem_of(plain) if isinstance(model, str | Path) else "":
        raise PublishError(f"Cannot publish {name}: the model server cannot load {file}: {problem}. Save the fitted "
                           "estimator again: joblib.dump(model, \"model.joblib\").")
    if len(files) == 1:
        files = {_FILE: pickled}  # one name, so that the version does not depend on the name of the file
    return ModelPackage(name, _packed(files), contents)


def check_name(name: str) -> str:
    """Return the name of a model version. Raises PublishError if it is not valid."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or ".." in name:
        raise PublishError(
            f"{short_repr(name)} is not a valid name of a model version. Use NAME/VERSION, for example wine/v1: each "
            "part has at most 63 lower-case letters, digits, '-' and '.', with a letter or digit at both ends.")
    return name


def _dumped(model: Any, name: str) -> bytes:
    import joblib  # imports numpy, and most commands do not need it
    from sklearn.base import BaseEstimator
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    if isinstance(model, type) or not callable(getattr(model, "predict", None)):
        what = f"the class {model.__name__}" if isinstance(model, type) else _with_article(type(model).__name__)
        raise PublishError(f"Cannot publish {name}: {what} is not an estimator with a method predict. Pass a fitted "
                           f"estimator, or the path of a model file ({', '.join(SUFFIXES)}) or of its folder.")
    buffer = io.BytesIO()
    try:
        if isinstance(model, BaseEstimator):
            check_is_fitted(model)
        joblib.dump(model, buffer)
    except NotFittedError:
        raise PublishError(f"Cannot publish {name}: this {type(model).__name__} is not fitted. Call its fit() "
                           "first.") from None
    except Exception as error:  # the model's own __reduce__ can raise anything
        remedy = ("Use named functions of an installed package instead of a lambda." if "<lambda>" in str(error) else
                  f"Remove what cannot be saved from this {type(model).__name__}, such as open files, locks and "
                  "functions that are defined in other functions.")
        raise PublishError(
            f"Cannot publish {name}: joblib cannot save the model ({type(error).__name__}: {error}). A pickle contains "
            f"functions and classes by their import path. {remedy}") from None
    return buffer.getvalue()


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiouAEIO' else 'a'} {noun}"


def _read(source: str | Path, name: str) -> Mapping[str, bytes]:
    """The files at a path, by their place in the model's folder."""
    path = Path(source)
    if str(source) in ("", ".") or "\0" in str(source):
        raise PublishError(f"Cannot publish {name}: {str(source)!r} is not a path of a model. Pass the path of its "
                           "file or of its folder.")
    try:
        if not path.is_dir():
            path.stat()
            found = {path.name: path}
        else:
            found = {each.relative_to(path).as_posix(): each for each in sorted(path.rglob("*"))
                     if each.is_file() or each.is_symlink()}
        if problem := _path_problem(path, found):
            raise PublishError(f"Cannot publish {name}: KServe's scikit-learn server loads exactly one file "
                               f"*{', *'.join(SUFFIXES)}, and {problem}")
        _check_files(name, path, found)
        return {place: each.read_bytes() for place, each in found.items()}
    except OSError as error:
        raise PublishError(f"Cannot publish {name}: {error.filename or path}: {error.strerror}. Pass the path of a "
                           "model file or of its folder.") from None


def _check_files(name: str, path: Path, found: Mapping[str, Path]) -> None:
    """Raise PublishError if something is not a regular file, so that reading it may never end, or all are too large."""
    special = next((each for each in found.values() if not each.is_file()), None)
    if special is not None:
        what = "a link to a folder" if special.is_dir() else "not a regular file"
        raise PublishError(f"Cannot publish {name}: {special} is {what}. Copy the model's files into a new folder, and "
                           "pass its path.")
    size = sum(each.stat().st_size for each in found.values())
    if size > MOST_BYTES:
        raise PublishError(
            f"Cannot publish {name}: {path} has {size / 2**30:.1f} GiB, and published models have at most "
            f"{MOST_BYTES / 2**30:g} GiB, the size of their claim. Save the model compressed: "
            'joblib.dump(model, "model.joblib", compress=3)')


def _path_problem(path: Path, found: Mapping[str, Path]) -> str:
    """Why a file, or the files of a folder, are not a model; empty if they can be one."""
    models = [place for place in found if place.endswith(SUFFIXES) and "/" not in place]
    folder = path.is_dir()
    outside = [place for place, each in found.items() if folder and _leaves(each, path)]
    if outside:
        return (f"{outside[0]} in {path} is a link that leaves the folder. Copy the folder with the files that its "
                f"links lead to: cp -rL {path} COPY")
    if len(models) == 1:
        return ""
    if models:
        return f"{path} has {len(models)} ({', '.join(models)}). Pass the path of the one to publish."
    if any(Path(place).suffix in _OTHER_LIBRARIES for place in found):
        return (f"{path} has none. Models of XGBoost, LightGBM and other libraries need another server: "
                "docs/compatibility.md names them.")
    if not folder:
        return _suffix_problem(path)
    if deeper := [place for place in found if place.endswith(SUFFIXES)]:
        return f"the folder {path} has one in a sub-folder only ({deeper[0]}). Pass the path of that file."
    return f"the folder {path} {'has none' if found else 'is empty'}. Pass the path of a model file or of its folder."


def _leaves(file: Path, folder: Path) -> bool:
    """Whether a file is a link out of the folder, or one that leads to itself."""
    return not Path(os.path.realpath(file)).is_relative_to(os.path.realpath(folder))


def _suffix_problem(path: Path) -> str:
    if path.name.lower().endswith(SUFFIXES):
        return f"the suffix of {path} is not in lower case. Rename it: {path.stem}{path.suffix.lower()}"
    return (f"{path} has none of these suffixes. If joblib or pickle wrote this file, rename it: {path.stem}.joblib")


def _packed(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, data in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()
