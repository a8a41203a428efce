"""The message with which the embedded cluster refuses objects that it cannot run."""

from __future__ import annotations

from kserve_nb.clusters.embedded.api.admission.review import denied
from kserve_nb.clusters.embedded.apimachinery.objects import StatusError

WEBHOOK = "embedded-cluster.kserve-nb.dev"
KIND_CLUSTER = "a kind cluster: kserve-nb up --cluster kind"


def refusal(reason: str, alternative: str) -> StatusError:
    """The error for an object that would not run: the reason, and an alternative."""
    return denied(WEBHOOK, f"the embedded cluster does not run {reason}. {alternative}, or use {KIND_CLUSTER}")
