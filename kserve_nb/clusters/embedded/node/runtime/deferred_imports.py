"""Imports that are postponed until something uses what they define.

KServe and scikit-learn import large packages, such as pandas, for a few functions that a model server hardly ever
calls. While `deferred` is in effect, importing one of these packages yields a stand-in. Names imported from it can be
called, inherited from and passed to `isinstance`; only then the package is imported.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Iterator, Sequence
from typing import Any


@contextlib.contextmanager
def deferred(*packages: str) -> Iterator[None]:
    """Postpone imports of these packages within the context; imports after it find the packages themselves."""
    finder = _Finder(frozenset(packages))
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for package in packages:
            _forget(package)


def _forget(package: str) -> None:
    """Have the next import of a package find the package itself."""
    parent, _, name = package.rpartition(".")
    if isinstance(sys.modules.get(package), _StandIn):
        del sys.modules[package]
        if parent in sys.modules:
            with contextlib.suppress(AttributeError):
                delattr(sys.modules[parent], name)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self, packages: frozenset[str]):
        self._packages = packages

    def find_spec(self, name: str, path: Sequence[str] | None,
                  target: types.ModuleType | None = None) -> importlib.machinery.ModuleSpec | None:
        if name in self._packages:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        parent = name.rpartition(".")[0]
        if parent in self._packages and not _is_loaded(parent):  # a module inside the package: postponing it has failed
            return importlib.machinery.PathFinder.find_spec(name, _load(parent).__path__)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Execute nothing: a stand-in has no code."""


class _StandIn(types.ModuleType):
    """A module whose attributes are deferred names until the package is loaded, and its real ones afterwards."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if _is_loaded(self.__name__):
            return getattr(sys.modules[self.__name__], name)
        return _DeferredName(self.__name__, name)


class _DeferredName:
    """A class or function of a package that is not loaded yet."""

    def __init__(self, package: str, name: str):
        self._package, self._name = package, name

    def _resolve(self) -> Any:
        return getattr(_load(self._package), self._name)

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self._resolve()(*args, **options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._resolve(), name)

    def __instancecheck__(self, value: object) -> bool:
        return _is_loaded(self._package) and isinstance(value, self._resolve())

    def __subclasscheck__(self, class_: type) -> bool:
        return _is_loaded(self._package) and issubclass(class_, self._resolve())

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self._resolve(),)

    def __or__(self, other: Any) -> Any:
        return self._resolve() | other

    def __ror__(self, other: Any) -> Any:
        return other | self._resolve()


def _is_loaded(package: str) -> bool:
    return not isinstance(sys.modules.get(package), _StandIn | None)


def _load(package: str) -> types.ModuleType:
    """Import the package itself, and the packages that contain it, also while imports of them are deferred."""
    if not _is_loaded(package):
        parent = package.rpartition(".")[0]
        if isinstance(sys.modules.get(parent), _StandIn):
            _load(parent)
        finders = [finder for finder in sys.meta_path if isinstance(finder, _Finder)]
        for finder in finders:
            sys.meta_path.remove(finder)
        try:
            _forget(package)
            importlib.import_module(package)
        finally:
            sys.meta_path[:0] = finders
    return sys.modules[package]
