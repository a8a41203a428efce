"""The conditions in an object's status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Condition:
    """One row of an object's `status.conditions`."""

    type: str
    status: str  # True, False or Unknown
    reason: str = ""
    message: str = ""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Condition:
        """Read one element of `status.conditions`."""
        return cls(row["type"], row["status"], row.get("reason") or "", row.get("message") or "")


def conditions_of(obj: Mapping[str, Any]) -> dict[str, Condition]:
    """An object's conditions by type."""
    rows = (obj.get("status") or {}).get("conditions") or []
    return {row["type"]: Condition.of(row) for row in rows}
