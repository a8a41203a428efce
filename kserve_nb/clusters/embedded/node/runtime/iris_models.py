"""The tutorial's two iris models, trained on this machine from scikit-learn's own data.

A pickled model only works with the scikit-learn version that wrote it, and the two published models answer the
tutorial's request alike. Both are therefore trained here, so that they differ on some flowers between versicolor and
virginica.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import stat
import tempfile
from pathlib import Path

import joblib
import platformdirs
import sklearn
from sklearn.svm import SVC

from kserve_nb.clusters.tutorial_models import BUCKETS, FILE, FOLDER, KERNELS

PAYLOAD = [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]
"""The tutorial's request: both models answer `[1, 1]`."""

DISAGREEMENT = [4.9, 2.5, 4.5, 1.7]
"""A flower on which the two models disagree: `model` answers 1 (versicolor), `model-2` correctly 2 (virginica)."""


def name_of(uri: str) -> str | None:
    """Return which of the two models a `gs://` URI refers to: `model`, `model-2`, or None for any other URI."""
    for bucket in BUCKETS:
        folder, _, name = uri.rstrip("/").rpartition("/")
        if folder == f"gs://{bucket}/{FOLDER}" and name in KERNELS:
            return name
    return None


def train(name: str) -> SVC:
    """Fit the model of that name, which takes some milliseconds."""
    from sklearn.datasets import load_iris  # used once per machine: not worth the memory of every pod

    features, species = load_iris(return_X_y=True)
    return SVC(kernel=KERNELS[name], gamma="scale").fit(features, species)


def save(name: str, destination: Path) -> None:
    """Copy the model of that name to a file, from the user's cache folder if possible.

    The cached model is a pickle, which runs code when it is loaded. It is therefore used only if no other user can have
    written it; otherwise the model is trained again.
    """
    cached = cache_folder() / name / FILE
    with contextlib.suppress(OSError):
        _make_private(cached.parent)
        if not _is_private(cached):
            _write(name, cached)
        shutil.copyfile(cached, destination)
        return
    _write(name, destination)


@functools.cache
def cache_folder() -> Path:
    """Return the folder in which trained models are kept: one per version of scikit-learn."""
    return Path(platformdirs.user_cache_dir("kserve-nb", appauthor=False)) / "models" / f"sklearn-{sklearn.__version__}"


def open_cache() -> Path:
    """Return the cache folder, created if possible: a sandbox can only give access to an existing folder."""
    with contextlib.suppress(OSError):
        _make_private(cache_folder())
    return cache_folder()


def _make_private(folder: Path) -> None:
    """Create a folder of the cache, and take write access to it and those above it from other users. Raises OSError."""
    base = cache_folder().parents[1]
    for each in (*reversed([f for f in folder.parents if f.is_relative_to(base)]), folder):
        each.mkdir(mode=0o700, parents=True, exist_ok=True)
        if each.stat().st_uid != os.geteuid():
            raise PermissionError(f"{each} belongs to another user")
        if not _is_private(each):
            each.chmod(0o700)
            for file in each.rglob(FILE):  # another user may have written it
                file.unlink()


def _is_private(path: Path) -> bool:
    """Whether a file or folder exists, belongs to this user, and cannot be written by others."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    return found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _write(name: str, path: Path) -> None:
    """Train a model into a file that appears as a whole or not at all, however many processes write it."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            joblib.dump(train(name), file)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink()
        raise
