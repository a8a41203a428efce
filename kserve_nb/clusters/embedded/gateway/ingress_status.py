"""The status that a gateway writes into an Ingress, with the texts of net-kourier.

Source: net-kourier pkg/reconciler/ingress/ingress.go, knative.dev/networking ingress_lifecycle.go.
"""

from __future__ import annotations

from kserve_nb.clusters.embedded.apimachinery.objects import Object, Settings, is_true, utc

_BALANCERS = {
    "kourier": ("kourier.kourier-system.svc.cluster.local", "kourier-internal.kourier-system.svc.cluster.local"),
    "istio": ("istio-ingressgateway.istio-system.svc.cluster.local",
              "knative-local-gateway.istio-system.svc.cluster.local"),
}
_WAITING = {"status": "Unknown", "reason": "Uninitialized", "message": "Waiting for load balancer to be ready"}
_TRUE = {"status": "True"}


def is_programmed(ingress: Object) -> bool:
    """Whether the status says that the gateway serves the current spec."""
    observed = (ingress.get("status") or {}).get("observedGeneration")
    return observed == ingress["metadata"].get("generation") and is_true(ingress, "Ready")


def waiting(ingress: Object, now: float) -> Object:
    """The status while Envoy loads the routes."""
    return _status(ingress, now, {"LoadBalancerReady": _WAITING, "NetworkConfigured": _TRUE, "Ready": _WAITING})


def rejected(ingress: Object, now: float, message: str) -> Object:
    """The status after Envoy has rejected the routes."""
    failed = {"status": "False", "reason": "ReconcileFailed", "message": message}
    return _status(ingress, now, {"LoadBalancerReady": failed, "NetworkConfigured": _TRUE, "Ready": failed})


def programmed(ingress: Object, now: float, settings: Settings) -> Object:
    """The status once Envoy uses the routes."""
    status = _status(ingress, now, {"LoadBalancerReady": _TRUE, "NetworkConfigured": _TRUE, "Ready": _TRUE})
    for field, domain in zip(("publicLoadBalancer", "privateLoadBalancer"), _BALANCERS[settings.gateway], strict=True):
        status[field] = {"ingress": [{"domainInternal": domain}]}
    return status


def _status(ingress: Object, now: float, wanted: dict[str, Object]) -> Object:
    old = dict(ingress.get("status") or {})
    before = {c["type"]: c for c in old.get("conditions", [])}
    conditions = []
    for type_, fields in sorted(wanted.items()):
        same = {k: v for k, v in before.get(type_, {}).items() if k not in ("type", "lastTransitionTime")} == fields
        since = before[type_]["lastTransitionTime"] if same else utc(now)
        conditions.append({"lastTransitionTime": since, **fields, "type": type_})
    return {**old, "conditions": conditions, "observedGeneration": ingress["metadata"]["generation"]}
