"""The versions and addresses of all that is installed, read from `versions.json`, their only place.

KServe's authors test 0.20 with this cert-manager and Knative (kserve-deps.env of the release). Istio is the variant for
kind of this net-istio release: one replica with small requests, where the normal variant has three.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class Part:
    """One program or image that is installed, at its pinned version."""

    name: str
    version: str
    manifests: tuple[tuple[str, str], ...] = ()  # file name and address, in the order of application
    image: str = ""


@cache
def part(name: str) -> Part:
    """The part of that name: kind, node, cert-manager, knative, istio, kourier or kserve."""
    row = _table()[name]
    version = row["version"]
    manifests = tuple((file, url.format(version=version)) for file, url in row.get("manifests", {}).items())
    return Part(name, version, manifests, row.get("image", ""))


def installed(gateway: str) -> tuple[Part, ...]:
    """The parts that a cluster with this gateway needs manifests of, in the order in which they are installed."""
    return tuple(part(name) for name in ("cert-manager", "knative", gateway, "kserve"))


def server_scikit_learn() -> str:
    """The scikit-learn version in the image kserve/sklearnserver (python/sklearnserver/uv.lock of KServe's release)."""
    found: str = _table()["kserve"]["scikit-learn"]
    return found


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads((files(__package__) / "versions.json").read_text())
    return table
