"""Knative Revisions: each is an immutable model with its settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kserve_nb.values.condition import Condition, conditions_of
from kserve_nb.values.labels import SOURCE_URI


@dataclass(frozen=True)
class Revision:
    """One Knative Revision."""

    name: str
    ready: bool
    model: str = ""  # its storageUri
    reason: str = ""
    message: str = ""
    failed: bool = False  # its Ready condition is False, not only Unknown

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> Revision:
        """Read a `revisions.serving.knative.dev` object."""
        ready = conditions_of(obj).get("Ready", Condition("Ready", "Unknown"))
        uri = (obj["metadata"].get("annotations") or {}).get(SOURCE_URI, "")
        is_ready, failed = ready.status == "True", ready.status == "False"
        return cls(obj["metadata"]["name"], is_ready, uri, ready.reason, ready.message, failed)


def short(revision: str) -> str:
    """The number at the end of a revision's name.

    >>> short("sklearn-iris-predictor-00001")
    '00001'
    """
    return revision.rpartition("-")[2] or revision
