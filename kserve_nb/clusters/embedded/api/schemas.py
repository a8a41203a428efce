"""Structural schemas: which fields an object may have, and of what type."""

from __future__ import annotations

from typing import Literal

from kserve_nb.clusters.embedded.objects import Kind, Object


def validate(kind: Kind, body: Object, mode: Literal["Strict", "Warn", "Ignore"]) -> tuple[Object, list[str]]:
    """The body without unknown fields, and a warning for each of them where `mode` is Warn."""
    return body, []
