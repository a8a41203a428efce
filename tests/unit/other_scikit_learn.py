"""Models as another version of scikit-learn saves them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock


@contextmanager
def saved_with(version: str) -> Iterator[None]:
    """Let estimators that are pickled meanwhile name this version."""
    with mock.patch("sklearn.base.__version__", version):
        yield
