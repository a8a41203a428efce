"""Placeholder Services: one Service of type ExternalName for each host of a Route, which points to the gateway.

Source: knative.dev/serving pkg/reconciler/route/reconcile_resources.go (`reconcilePlaceholderServices`,
`updatePlaceholderServices`, `deleteOrphanedServices`) and resources/service.go.
"""

from __future__ import annotations

from collections.abc import Iterable

from kserve_nb.clusters.embedded.apimachinery.kinds import SERVICE
from kserve_nb.clusters.embedded.apimachinery.objects import Object, Objects, owner_reference
from kserve_nb.clusters.embedded.control.framework.reconciler import Changes
from kserve_nb.clusters.embedded.control.knative.knative_ingress import domain_name, hostname
from kserve_nb.values.labels import ROUTE_LABEL, VISIBILITY_LABEL

COMPONENT = "route-controller"


class NotOwnedError(Exception):
    """A Service of that name exists and does not belong to the Route."""


def write_placeholders(route: Object, tags: Iterable[str], ingress: Object | None, view: Objects, domain: str,
                       changes: Changes) -> None:
    """Write a Service for each tag, and delete those of removed tags. Raises NotOwnedError.

    Until the Ingress's status names its gateway, a new Service points to the target's own host.
    """
    meta = route["metadata"]
    held = {s["metadata"]["name"]: s for s in view.list(SERVICE, meta["namespace"], {ROUTE_LABEL: meta["name"]})}
    gateway = _gateway(ingress)
    for tag in sorted(tags):
        name = hostname(route, tag)
        existing = held.pop(name, None) or view.find(SERVICE, meta["namespace"], name)
        if existing is None:
            changes.create(SERVICE, _make(route, name, gateway or domain_name(route, tag, domain)))
            changes.event(route, "Normal", "Created", f'Created placeholder service "{name}"', COMPONENT)
        elif not any(o["uid"] == meta["uid"] for o in existing["metadata"].get("ownerReferences") or []):
            raise NotOwnedError(name)
        elif gateway is not None:
            _update(existing, _make(route, name, gateway), changes)
    for orphan in held.values():
        changes.delete(SERVICE, orphan)


def _gateway(ingress: Object | None) -> str | None:
    """The gateway's internal host, or None if the Ingress's status does not name it yet (`MakeK8sService`)."""
    status = (ingress or {}).get("status") or {}
    for balancer in ("privateLoadBalancer", "publicLoadBalancer"):
        for entry in (status.get(balancer) or {}).get("ingress") or []:
            if entry.get("domainInternal"):
                return str(entry["domainInternal"])
    return None


def _make(route: Object, name: str, external_name: str) -> Object:
    meta = route["metadata"]
    labels = {key: value for key, value in (meta.get("labels") or {}).items() if key != VISIBILITY_LABEL}
    return {
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": meta["namespace"], "labels": {**labels, ROUTE_LABEL: meta["name"]},
                     "annotations": dict(meta.get("annotations") or {}), "ownerReferences": [owner_reference(route)]},
        "spec": {
            "externalName": external_name, "sessionAffinity": "None", "type": "ExternalName",
            "ports": [{"appProtocol": "kubernetes.io/h2c", "name": "http2", "port": 80, "protocol": "TCP",
                       "targetPort": 80}],
        },
    }


def _update(existing: Object, desired: Object, changes: Changes) -> None:
    """Add labels and annotations to the Service and replace its spec, if anything differs."""
    have, want = existing["metadata"], desired["metadata"]
    meta = {**have, **{key: {**(have.get(key) or {}), **want[key]} for key in ("labels", "annotations")}}
    if meta != {"labels": {}, "annotations": {}, **have} or existing["spec"] != desired["spec"]:
        changes.update(SERVICE, {**existing, "metadata": meta, "spec": desired["spec"]})
