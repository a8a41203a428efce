"""Names of children, as Kubernetes and Knative derive them from their parents'."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from kserve_nb.clusters.embedded.dns_names import SUFFIX_ALPHABET

LONGEST, _MD5 = 63, 32


def child_name(parent: str, suffix: str) -> str:
    """`parent` + `suffix`, cut and hashed where that is longer than a label may be.

    Source: knative.dev/pkg kmeta/names.go `ChildName`.
    """
    if len(parent) + len(suffix) <= LONGEST:
        return parent + suffix
    head = LONGEST - _MD5
    if head - len(suffix) <= 0:
        digest = hashlib.md5((parent + suffix).encode(), usedforsecurity=False).hexdigest()
        return (parent[:head] + digest + suffix)[:LONGEST].rstrip("-._")
    digest = hashlib.md5(parent.encode(), usedforsecurity=False).hexdigest()
    return parent[:head - len(suffix)] + digest + suffix


def deployment_name(revision: str) -> str:
    """The Deployment of a revision."""
    return child_name(revision, "-deployment")


def template_hash(template: Mapping[str, Any]) -> str:
    """The pod-template-hash of a pod template: equal templates have equal hashes.

    Source: kubernetes pkg/controller/controller_utils.go `ComputeHash`, apimachinery rand.go `SafeEncodeString`. The
    hash is of the template's JSON, so it is not the one that a real cluster would compute, but looks like it.
    """
    digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).digest()
    value = int.from_bytes(digest[:4], "big")
    return "".join(SUFFIX_ALPHABET[ord(digit) % len(SUFFIX_ALPHABET)] for digit in str(value))


def pod_name(replica_set: str, *seed: object) -> str:
    """`<replica set>-<5 characters>`: the characters follow from `seed`, so that deciding stays a pure function.

    Source: apiserver pkg/storage/names/generate.go `simpleNameGenerator` (the base is cut to 58 characters).
    """
    digest = hashlib.sha256(repr(seed).encode()).digest()
    return f"{replica_set}-"[:LONGEST - 5] + "".join(SUFFIX_ALPHABET[byte % len(SUFFIX_ALPHABET)] for byte in digest[:5])
