"""A cluster as all code outside `clusters/` sees it: a kubeconfig and an ingress address."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

UNKNOWN_HOST = "no-such-model.example.com"  # a Host that no route has: the gateway answers it with an empty 404
_PRODUCTION = re.compile(r"(?<![a-z])(prod(uction)?|prd|live)(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True)
class Cluster:
    """How to reach a cluster, and the facts about it to show."""

    kubeconfig: Path
    ingress: str  # HOST:PORT, without a scheme; empty until it is discovered
    namespace: str = "kserve-test"
    kind: str = "attach"  # embedded, kind or attach; for display only: no code may branch on it
    name: str = "default"
    speed: float = 1  # waiting periods are this many times shorter
    gateway: str = "istio"  # the form of the URLs: istio or kourier
    read_only: str = ""  # why nothing can be changed here; empty if it can


def looks_like_production(name: str) -> bool:
    """Whether the name of a context, a cluster or a server suggests that users depend on it.

    >>> looks_like_production("prod-eu"), looks_like_production("product-demo")
    (True, False)
    """
    return bool(_PRODUCTION.search(name))
