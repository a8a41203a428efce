"""The images that the node has, and the role that each of them stands for: pods are processes, not containers."""

from __future__ import annotations

import re
from typing import Literal

Role = Literal["server", "storage-initializer", "queue-proxy", "gateway", "agent"]

_ROLES: dict[str, Role] = {
    "sklearnserver": "server",
    "storage-initializer": "storage-initializer",
    "queue": "queue-proxy",
    "queue-proxy": "queue-proxy",
    "proxyv2": "gateway",  # Istio's
    "envoy": "gateway",  # Kourier's
    "agent": "agent",  # KServe's, for the logger, the batcher and multi-model servers
}
_IMAGES_ONLY = {"xgbserver", "lgbserver", "pmmlserver", "paddleserver", "predictiveserver", "huggingfaceserver"}
_TAG = re.compile(r"latest|v?\d+(\.\d+)*([-+.].*)?")


def role_of(image: str) -> Role | None:
    """Return the role that the node runs for an image of any registry, or None if the node does not have the image."""
    name, at, _digest = image.partition("@")
    repository, _, tag = name.rpartition("/")[2].partition(":")
    role = _ROLES.get(repository)
    return role if at or not tag or _TAG.fullmatch(tag) else None


def pull_error(image: str, named: str) -> str:
    """Return the error of pulling an image that the node does not have.

    `named` is the image with its registry and tag.
    """
    repository = image.partition("@")[0].rpartition("/")[2].partition(":")[0]
    known = repository in _ROLES
    others = "no image for a model server but kserve/sklearnserver"
    if repository in _IMAGES_ONLY:
        others += (f": KServe publishes its {repository} as an image only, not as a Python package, and pods of an "
                   "embedded cluster are Python processes. Use a kind cluster: kserve-nb up --cluster kind")
    reason = (f"failed to resolve reference \"{named}\": {named}: not found" if known else
              f"this embedded cluster has no network, and {others}")
    return f'rpc error: code = NotFound desc = failed to pull and unpack image "{named}": {reason}'
