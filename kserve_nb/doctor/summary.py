"""What the doctor says of a failure: in one line to a failed check, in full to the report of a failed notebook."""

from __future__ import annotations

from kserve_nb import doctor
from kserve_nb.values.cluster import Cluster


def in_a_line(cluster: Cluster) -> str:
    """The first thing that blocks the way; empty where nothing does."""
    try:
        report = doctor.examine(cluster)
    except Exception:  # a failed check must not turn into another failure
        return ""
    first = next((finding for finding in report.findings if finding.severity == "blocker"), None)
    return f"{first.id} {first.title} ({first.where})" if first else ""


def in_full(cluster: Cluster, error: str) -> str:
    """All that the doctor finds, first what it knows of the error."""
    try:
        return doctor.examine(cluster, error=error).text
    except Exception as raised:  # the report that asks is about another failure
        return f"the doctor could not look: {type(raised).__name__}: {raised}"
