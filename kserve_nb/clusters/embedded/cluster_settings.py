"""The settings that the parts of an embedded cluster read, derived from the cluster's record."""

from __future__ import annotations

from kserve_nb.clusters.embedded.apimachinery.objects import Settings
from kserve_nb.clusters.state import Record


def settings_of(record: Record) -> Settings:
    """Return the settings of the cluster that the record describes."""
    host, _, port = record.ingress.rpartition(":")
    return Settings(record.speed, "kourier" if record.gateway == "kourier" else "istio", host, int(port))
