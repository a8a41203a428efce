"""The kinds of clusters: every module `backends/NAME_backend.py` is one."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from kserve_nb.clusters import backends
from kserve_nb.clusters.backend import Backend
from kserve_nb.clusters.state import ClusterError

DEFAULT = "embedded"
_SUFFIX = "_backend"


def kinds() -> tuple[str, ...]:
    """The names of all kinds of clusters, the default one first."""
    found = {module.name.removesuffix(_SUFFIX) for module in iter_modules(backends.__path__)
             if module.name.endswith(_SUFFIX)}
    return tuple(sorted(found, key=lambda name: (name != DEFAULT, name)))


def backend(kind: str) -> Backend:
    """The backend of that kind; its module is imported now. Raises ClusterError if there is no such kind."""
    if kind not in kinds():
        raise ClusterError(f"There is no kind of cluster {kind!r}. The kinds are: {', '.join(kinds())}.")
    found: Backend = import_module(f"{backends.__name__}.{kind}{_SUFFIX}").BACKEND
    return found
