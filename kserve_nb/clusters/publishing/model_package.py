"""A model to publish: its name, its files as one archive, and what its pickle refers to."""

from __future__ import annotations

import io
import pickle
import re
import sys
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kserve_nb.values.pickle_contents import PickleContents, contents_of
from kserve_nb.values.text.readable_error import ReadableError

SUFFIXES = (".joblib", ".pkl", ".pickle")  # of the files that KServe's scikit-learn server loads
_FILE = "model.joblib"
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
    """Check and pack a fitted estimator, or the file or folder of a model. Nothing that is read is unpickled.

    Raises:
        PublishError: the name is not valid, or the model server could not load this model.
    """
    check_name(name)
    files = _read(Path(model), name) if isinstance(model, str | Path) else {_FILE: _dumped(model, name)}
    pickled = next(data for path, data in files.items() if path.endswith(SUFFIXES) and "/" not in path)
    contents = contents_of(pickled)
    if contents.own_names:
        named = ", ".join(filter(None, contents.own_names)) or "a function or class"
        raise PublishError(
            f"Cannot publish {name}: the model uses {named}, defined in this notebook or script. A pickle contains "
            "only the name of a function or class, not its code, so the model server cannot load it. Use "
            "scikit-learn's own transformers, or put the code into a package that the server's image contains.")
    return ModelPackage(name, _packed(files), contents)


def check_name(name: str) -> str:
    """Return the name of a model version. Raises PublishError if it is not valid."""
    if not _NAME.fullmatch(name) or ".." in name:
        raise PublishError(
            f"{name!r} is not a valid name of a model version. Use NAME/VERSION, for example wine/v1: each part has at "
            "most 63 lower-case letters, digits, '-' and '.', with a letter or digit at both ends.")
    return name


def _dumped(model: Any, name: str) -> bytes:
    import joblib  # imports numpy, and most commands do not need it
    from sklearn.base import BaseEstimator
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    if isinstance(model, type) or not callable(getattr(model, "predict", None)):
        what = f"the class {model.__name__}" if isinstance(model, type) else f"a {type(model).__name__}"
        raise PublishError(f"Cannot publish {name}: {what} is no estimator with a method predict. Pass a fitted "
                           f"estimator, or the path of a model file ({', '.join(SUFFIXES)}) or of its folder.")
    buffer = io.BytesIO()
    try:
        if isinstance(model, BaseEstimator):
            check_is_fitted(model)
        joblib.dump(model, buffer)
    except NotFittedError:
        raise PublishError(f"Cannot publish {name}: this {type(model).__name__} is not fitted. Call its fit() "
                           "first.") from None
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise PublishError(
            f"Cannot publish {name}: joblib cannot save the model ({error}). A pickle contains functions and classes "
            "by their import path. Use named functions of an installed package instead of a lambda.") from None
    return buffer.getvalue()


def _read(path: Path, name: str) -> Mapping[str, bytes]:
    """The files at a path, by their place in the model's folder."""
    try:
        if not path.is_dir():
            found = {path.name: path.read_bytes()}
        else:
            found = {each.relative_to(path).as_posix(): each.read_bytes() for each in sorted(path.rglob("*"))
                     if each.is_file()}
    except OSError as error:
        raise PublishError(f"Cannot publish {name}: {path}: {error.strerror}. Pass the path of a model file or of its "
                           "folder.") from None
    models = [each for each in found if each.endswith(SUFFIXES) and "/" not in each]
    if len(models) != 1:
        count = "none" if not models else f"{len(models)} ({', '.join(models)})"
        raise PublishError(
            f"Cannot publish {name}: KServe's scikit-learn server loads exactly one file *{', *'.join(SUFFIXES)}, and "
            f"{path} has {count}. Models of XGBoost, LightGBM and other libraries need another server: "
            "docs/compatibility.md names them.")
    return found


def _packed(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, data in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()
