"""The text of a kubeconfig file, parsed: its contexts, each with the cluster and the user that it refers to.

>>> config = parse('''
... current-context: mine
... contexts: [{name: mine, context: {cluster: here}}]
... clusters: [{name: here, cluster: {server: "https://127.0.0.1:6443"}}]
... ''')
>>> config.context().server
'https://127.0.0.1:6443'
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

_LISTS = {"context": "contexts", "cluster": "clusters", "user": "users"}


@dataclass(frozen=True)
class KubeContext:
    """One context of a kubeconfig, with the cluster entry and the user entry that it refers to."""

    name: str
    entry: Mapping[str, Any] = field(default_factory=dict)  # the context's own fields: cluster, user, namespace
    cluster: Mapping[str, Any] = field(default_factory=dict)
    user: Mapping[str, Any] = field(default_factory=dict)  # empty if the context names no user

    @property
    def server(self) -> str:
        """The URL of the API server."""
        return str(self.cluster.get("server") or "")

    @property
    def namespace(self) -> str:
        """The namespace that kubectl uses if no option names one."""
        return str(self.entry.get("namespace") or "default")


@dataclass(frozen=True)
class Kubeconfig:
    """A parsed kubeconfig file."""

    document: Mapping[str, Any]

    @property
    def current_context(self) -> str:
        """The name of the current context; empty if the file names none."""
        return str(self.document.get("current-context") or "")

    @property
    def context_names(self) -> tuple[str, ...]:
        """The names of all contexts, in the order of the file."""
        return self._names("context")

    def context(self, name: str | None = None) -> KubeContext:
        """The named context, or the current one.

        Raises:
            LookupError: the file has no such context, or not the cluster or user that the context refers to.
        """
        wanted = name or self.current_context
        entry = self._entry("context", wanted)
        user = self._entry("user", entry["user"]) if entry.get("user") else {}
        return KubeContext(wanted, entry, self._entry("cluster", entry.get("cluster")), user)

    def _entry(self, kind: str, name: Any) -> dict[str, Any]:
        for row in self._rows(kind):
            if row.get("name") == name:
                return dict(row.get(kind) or {})
        raise LookupError(
            f"There is no {kind} {name!r}. The {_LISTS[kind]} are: {', '.join(self._names(kind)) or 'none'}."
        )

    def _names(self, kind: str) -> tuple[str, ...]:
        return tuple(str(row.get("name")) for row in self._rows(kind))

    def _rows(self, kind: str) -> list[Mapping[str, Any]]:
        rows = self.document.get(_LISTS[kind])
        return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []


def parse(text: str) -> Kubeconfig:
    """The kubeconfig of that text. Raises ValueError if the text is not YAML or not a mapping."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"it is not YAML: {error}") from None
    if not isinstance(document, Mapping):
        raise ValueError("it has no mapping at its top level")
    return Kubeconfig(document)
