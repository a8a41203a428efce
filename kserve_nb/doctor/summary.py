"""Short forms of the doctor's report: a line for a failed check, the text for the report of a failed notebook."""

from __future__ import annotations

from kserve_nb import doctor
from kserve_nb.values.cluster import Cluster


def in_a_line(cluster: Cluster) -> str:
    """The first blocker in one line; empty when there is none."""
    try:
        report = doctor.examine(cluster, namespace=cluster.namespace, notebook=True)
    except Exception:  # a failed check must not turn into another failure
        return ""
    first = next((finding for finding in report.findings if finding.severity == "blocker"), None)
    return f"{first.id} {first.title} ({first.where})" if first else ""


def in_full(cluster: Cluster, error: str) -> str:
    """The report about a cluster and an error message."""
    try:
        return doctor.examine(cluster, error=error, namespace=cluster.namespace, notebook=True).text
    except Exception as raised:  # the report that needs this text is about another failure
        return f"the doctor failed: {type(raised).__name__}: {raised}"
