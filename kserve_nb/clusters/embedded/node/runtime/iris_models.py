"""The tutorial's two iris models, trained on this machine from scikit-learn's own data.

A pickled model is tied to the scikit-learn that wrote it, and the published pair cannot be told apart by the
tutorial's request; so both are trained here, and they differ on flowers between versicolor and virginica.
"""

from __future__ import annotations

import contextlib
import os
import shutil
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
"""One flower on which the two disagree: `model` says 1 (versicolor), `model-2` says 2 (virginica), which it is."""


def name_of(uri: str) -> str | None:
    """Which of the two models a `gs://` URI means: `model`, `model-2`, or None for any other URI."""
    for bucket in BUCKETS:
        folder, _, name = uri.rstrip("/").rpartition("/")
        if folder == f"gs://{bucket}/{FOLDER}" and name in KERNELS:
            return name
    return None


def train(name: str) -> SVC:
    """The model of that name, fitted anew: some milliseconds."""
    from sklearn.datasets import load_iris  # needed once on a machine, not in the memory of every pod

    features, species = load_iris(return_X_y=True)
    return SVC(kernel=KERNELS[name], gamma="scale").fit(features, species)


def save(name: str, destination: Path) -> None:
    """Put the model of that name into a file: a copy of the one in the user's cache folder, which is made on first use.

    Where the cache folder cannot be written the model is trained straight into the file.
    """
    cached = cache_folder() / name / FILE
    with contextlib.suppress(OSError):
        if not cached.exists():
            _write(name, cached)
        shutil.copyfile(cached, destination)
        return
    _write(name, destination)


def cache_folder() -> Path:
    """Where trained models are kept: one folder for each version of scikit-learn."""
    return Path(platformdirs.user_cache_dir("kserve-nb", appauthor=False)) / "models" / f"sklearn-{sklearn.__version__}"


def _write(name: str, path: Path) -> None:
    """Train into a file that appears whole or not at all, whoever else writes it at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            joblib.dump(train(name), file)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink()
        raise
