"""Names of child objects, derived from the parent's name as Kubernetes and Knative do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

_MAX_LENGTH, _MD5_LENGTH = 63, 32
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # no vowels and no 0, 1, 3, so that suffixes do not spell words


def child_name(parent: str, suffix: str) -> str:
    """The parent's name with a suffix, shortened with a hash if it would exceed 63 characters.

    Source: knative.dev/pkg kmeta/names.go `ChildName`.
    """
    if len(parent) + len(suffix) <= _MAX_LENGTH:
        return parent + suffix
    head = _MAX_LENGTH - _MD5_LENGTH
    if head - len(suffix) <= 0:
        digest = hashlib.md5((parent + suffix).encode(), usedforsecurity=False).hexdigest()
        return (parent[:head] + digest + suffix)[:_MAX_LENGTH].rstrip("-._")
    digest = hashlib.md5(parent.encode(), usedforsecurity=False).hexdigest()
    return parent[:head - len(suffix)] + digest + suffix


def deployment_name(revision: str) -> str:
    """The name of a revision's Deployment."""
    return child_name(revision, "-deployment")


def template_hash(template: Mapping[str, Any]) -> str:
    """The pod-template-hash of a pod template. Equal templates have equal hashes.

    Source: kubernetes pkg/controller/controller_utils.go `ComputeHash`, apimachinery rand.go `SafeEncodeString`. A real
    cluster hashes Go's representation of the template; this hash has the same form but another value.
    """
    digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).digest()
    value = int.from_bytes(digest[:4], "big")
    return "".join(_ALPHABET[ord(digit) % len(_ALPHABET)] for digit in str(value))


def pod_name(replica_set: str, *seed: object) -> str:
    """`<replica set>-<5 characters>`. The characters are computed from `seed`, so that reconcilers stay pure functions.

    Source: apiserver pkg/storage/names/generate.go `simpleNameGenerator` (the base is cut to 58 characters).
    """
    digest = hashlib.sha256(repr(seed).encode()).digest()
    return f"{replica_set}-"[:_MAX_LENGTH - 5] + "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest[:5])
