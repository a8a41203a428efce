"""What a kubeconfig says of its current context: its name, its server, and whom its user acts as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_OF_ONE_VALUE = {"as": "Impersonate-User", "as-uid": "Impersonate-Uid"}


@dataclass(frozen=True)
class Context:
    """The current context of a kubeconfig."""

    name: str = ""
    server: str = ""
    user: Mapping[str, Any] = field(default_factory=dict)

    @property
    def impersonation(self) -> dict[str, str]:
        """The headers for `as` and its like, which the official client passes over and kubectl does not.

        Raises:
            ValueError: one of them cannot be sent; without it more might be allowed than the file says.
        """
        groups = self.user.get("as-groups") or []
        if len(groups) > 1 or self.user.get("as-user-extra"):
            raise ValueError(f"context {self.name}: several as-groups, and as-user-extra, are not supported here.")
        found = {header: str(self.user[key]) for key, header in _OF_ONE_VALUE.items() if self.user.get(key)}
        return found | ({"Impersonate-Group": str(groups[0])} if groups else {})


def current(kubeconfig: Path) -> Context:
    """The current context; one without a name where the file does not tell."""
    try:
        config = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return Context()
    if not isinstance(config, dict):
        return Context()
    name = str(config.get("current-context") or "")
    chosen = _named(config, "contexts", "context", name)
    server = _named(config, "clusters", "cluster", chosen.get("cluster")).get("server") or ""
    return Context(name, str(server), _named(config, "users", "user", chosen.get("user")))


def _named(config: Mapping[str, Any], many: str, one: str, name: str | None) -> dict[str, Any]:
    rows = config.get(many) or []
    return next((dict(row.get(one) or {}) for row in rows if row.get("name") == name), {})
