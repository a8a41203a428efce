"""Checks of what the learner wrote or read: two manifests that mean the same, and the columns of `kubectl get isvc`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from kserve_nb.checks.check import CheckFailed, Outcome, step
from kserve_nb.values.manifest import to_new_schema
from kserve_nb.values.rollout_status import RolloutStatus
from kserve_nb.values.text.render import COLUMNS, row_line, status_row

Manifest = Mapping[str, Any] | str  # a document, or its YAML


def same_object(old: Manifest, new: Manifest, hint: bool) -> Outcome:
    """Pass when both manifests, brought to the new schema, have the same spec."""
    first, second = (
        to_new_schema(yaml.safe_load(text) if isinstance(text, str) else text)["spec"] for text in (old, new)
    )
    if first != second:
        raise CheckFailed(
            "The two manifests do not describe the same object",
            f"{second}",
            f"{first}",
            step("compare storageUri and percent", "the block sklearn: becomes model: with modelFormat", hint),
        )
    return "old and new schema describe the same object", {"spec": first}


def columns(status: RolloutStatus, read: Mapping[str, str], hint: bool) -> Outcome:
    """Pass when the values that the learner read are those of the row."""
    row = status_row(status)
    wrong = [name for name in row if read[name] != row[name]]
    if wrong:
        raise CheckFailed(
            f"{' and '.join(wrong)}: the row has another value",
            'the row of kubectl get isvc, an empty column as ""',
            row_line(read),
            step(COLUMNS[wrong[0]], f"the row has {row_line(row)}", hint),
        )
    return "you read the row correctly", row
