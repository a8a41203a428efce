"""What is installed: every version and address stands in `versions.json`, and nowhere else.

KServe 0.20 is tested by its authors with this cert-manager, Knative and kind (kserve-deps.env of its release); Istio is
the one that this net-istio brings for kind: one replica and small requests, where its release file has three of each.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class Part:
    """One thing that is installed, at its pinned version."""

    name: str
    version: str
    manifests: tuple[tuple[str, str], ...] = ()  # file name and address, in the order in which they are applied
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


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads((files(__package__) / "versions.json").read_text())
    return table
