"""Leaves a package out of this process: imports of it succeed and find empty classes.

`import kserve` brings the whole Kubernetes client, which a model server never uses: 37 MB in the memory of every
cluster, and a quarter of the runtime's start.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Sequence


class _Empty(types.ModuleType):
    __path__: list[str] = []  # noqa: RUF012  # what makes a module a package

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


class _Omission(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self, package: str):
        self._package = package

    def find_spec(self, name: str, path: Sequence[str] | None,
                  target: types.ModuleType | None = None) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] != self._package:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _Empty(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """There is nothing in it."""


def omit(package: str) -> None:
    """From now on, imports of this package in this process find nothing."""
    sys.meta_path.insert(0, _Omission(package))
