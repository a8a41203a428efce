"""Checks of the namespace and of the ingress gateway."""

from __future__ import annotations

from kserve_nb.access.api_client import Client
from kserve_nb.access.ingress import Ingress
from kserve_nb.checks.check import CheckFailed, Outcome, step
from kserve_nb.values.cluster import UNKNOWN_HOST

_GATEWAY_TIMEOUT_S = 10


def namespace(client: Client, hint: bool) -> Outcome:
    """Pass when the namespace exists and KServe may download models in it."""
    found = client.require_namespace()
    name, labels = client.namespace, found["metadata"].get("labels") or {}
    if "control-plane" in labels:
        raise CheckFailed(
            f"Namespace {name} has the label control-plane",
            "a namespace without that label: KServe downloads no model into a namespace that has it",
            f"control-plane={labels['control-plane']}",
            step("remove the label, or use another namespace", f"kubectl label ns {name} control-plane-", hint),
        )
    return f"namespace {name} is ready for models", {"labels": labels}


def gateway(ingress: Ingress, hint: bool) -> Outcome:
    """Pass when the gateway answers an unknown host with its empty 404."""
    answer = ingress.send("GET", UNKNOWN_HOST, "/", timeout_s=_GATEWAY_TIMEOUT_S)
    if answer.status != 404 or answer.text:
        raise CheckFailed(
            "This is not the ingress gateway",
            f"404 with an empty body for the unknown host {UNKNOWN_HOST}",
            f"{answer.status}: {answer.text.strip()[:80] or 'an empty body'}",
            step("find out which program listens there", 'lab = connect(ingress="HOST:PORT")', hint),
        )
    return "the gateway answers: an unknown host gets a 404 with an empty body", {"address": ingress.address}
