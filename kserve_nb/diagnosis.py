"""What the doctor says of a failure: in one line to a failed check, in full to the report of a failed notebook."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from kserve_nb.model import Cluster

_DOCTOR = "kserve_nb.doctor"


def in_a_line(cluster: Cluster) -> str:
    """The first thing that blocks the way; empty where nothing does, or where there is no doctor."""
    try:
        report = _examine(cluster)
    except Exception:  # a failed check must not turn into another failure
        return ""
    blockers = [finding for finding in getattr(report, "findings", ()) if finding.severity == "blocker"]
    return f"{blockers[0].id} {blockers[0].title} ({blockers[0].where})" if blockers else ""


def in_full(cluster: Cluster, error: str) -> str:
    """All that the doctor finds, first what it knows of the error; empty where there is no doctor."""
    try:
        report = _examine(cluster, error=error)
    except Exception as raised:  # the report that asks is about another failure
        return f"the doctor could not look: {type(raised).__name__}: {raised}"
    return report.text if report is not None else ""


def _examine(cluster: Cluster, **asked: str) -> Any:
    """The doctor's report; None where this installation has no doctor."""
    if importlib.util.find_spec(_DOCTOR) is None:
        return None
    return importlib.import_module(_DOCTOR).examine(cluster, **asked)
