"""EndpointSlices: copies of Endpoints in the newer API, which `kubectl describe service` reads.

Sources: kubernetes staging/src/k8s.io/endpointslice/reconciler.go for Services that select pods, and
pkg/controller/endpointslicemirroring/utils.go for Services whose Endpoints have another owner, such as Knative.
"""

from __future__ import annotations

from collections.abc import Iterable

from kserve_nb.clusters.embedded.apimachinery.kinds import ENDPOINT_SLICE, ENDPOINTS, SERVICE
from kserve_nb.clusters.embedded.apimachinery.objects import Object, Objects, key_of, owner_reference
from kserve_nb.clusters.embedded.control.framework.child_names import pod_name
from kserve_nb.clusters.embedded.control.framework.reconciler import Changes, Key, Moment, Reconciler
from kserve_nb.clusters.embedded.control.kubernetes.endpoints import MANAGED_BY
from kserve_nb.values.labels import LAST_APPLIED

SERVICE_NAME = "kubernetes.io/service-name"
_SLICE_MANAGED_BY = "endpointslice.kubernetes.io/managed-by"


def reconcile(endpoints: Object, objects: Objects, _moment: Moment) -> Changes:
    """Write the EndpointSlice of Endpoints."""
    changes = Changes()
    ours = MANAGED_BY.items() <= (endpoints["metadata"].get("labels") or {}).items()
    owner = objects.find(SERVICE, *key_of(endpoints)) if ours else {**endpoints, "kind": "Endpoints"}
    if owner is None or "deletionTimestamp" in endpoints["metadata"]:
        return changes
    desired = make_slice(endpoints, {"apiVersion": "v1", "kind": "Service", **owner}, selected=ours)
    held = objects.find(ENDPOINT_SLICE, *key_of(desired))
    if held is None:
        if ours or desired["endpoints"]:
            changes.create(ENDPOINT_SLICE, desired)
    else:
        owners = desired["metadata"]["ownerReferences"]  # differs if the Service has been created again
        wanted = {**held, "metadata": {**held["metadata"], "ownerReferences": owners},
                  "endpoints": desired["endpoints"], "ports": desired["ports"]}
        if wanted != held:
            changes.update(ENDPOINT_SLICE, wanted)
    return changes


def reconcile_orphan(slice_: Object, objects: Objects, _moment: Moment) -> Changes:
    """Delete an EndpointSlice whose Endpoints object has been deleted."""
    changes = Changes()
    meta = slice_["metadata"]
    name = (meta.get("labels") or {}).get(SERVICE_NAME, "")
    made = name and meta["name"] == _name(meta["namespace"], name)
    if made and objects.find(ENDPOINTS, meta["namespace"], name) is None:
        changes.delete(ENDPOINT_SLICE, slice_)
    return changes


def make_slice(endpoints: Object, owner: Object, *, selected: bool) -> Object:
    """The EndpointSlice of Endpoints.

    Args:
        owner: the Service that selects the pods, else the Endpoints themselves.
        selected: whether a Service selects the pods.
    """
    namespace, name = key_of(endpoints)
    meta = endpoints["metadata"]
    manager = f"endpointslice{'' if selected else 'mirroring'}-controller.k8s.io"
    labels = {key: value for key, value in (meta.get("labels") or {}).items() if key not in MANAGED_BY}
    annotations = {} if selected else {k: v for k, v in (meta.get("annotations") or {}).items() if k != LAST_APPLIED}
    subsets = endpoints.get("subsets") or []
    return {
        "apiVersion": ENDPOINT_SLICE.api_version, "kind": ENDPOINT_SLICE.kind, "addressType": "IPv4",
        "metadata": {"generateName": f"{name}-", "name": _name(namespace, name), "namespace": namespace,
                     "labels": {**labels, _SLICE_MANAGED_BY: manager, SERVICE_NAME: name},
                     "ownerReferences": [owner_reference(owner)],
                     **({"annotations": annotations} if annotations else {})},
        "endpoints": [_endpoint(address, ready, selected) for subset in subsets
                      for field, ready in (("addresses", True), ("notReadyAddresses", False))
                      for address in subset.get(field) or []] or None,
        "ports": subsets[0].get("ports") if subsets else None,
    }


def _endpoint(address: Object, ready: bool, selected: bool) -> Object:
    conditions = {"ready": ready, **({"serving": ready, "terminating": False} if selected else {})}
    target: Object = {key: address[key] for key in ("nodeName", "targetRef") if key in address}
    return {"addresses": [address["ip"]], "conditions": conditions, **target}


def _name(namespace: str | None, name: str) -> str:
    return pod_name(name, namespace, name)


def _slice_of(endpoints: Object, _objects: Objects) -> Iterable[Key]:
    namespace, name = key_of(endpoints)
    yield namespace, _name(namespace, name)


RECONCILERS: tuple[Reconciler, ...] = (
    Reconciler("endpoint slices", ENDPOINTS, reconcile),
    Reconciler("endpoint slices without endpoints", ENDPOINT_SLICE, reconcile_orphan, watches={ENDPOINTS: _slice_of}),
)
