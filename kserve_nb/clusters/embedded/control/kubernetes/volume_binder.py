"""PersistentVolumeClaims: binds each claim to a folder of the embedded cluster.

The only storage class is `standard`, the default one. The texts for other classes are Kubernetes' own.

Source: kubernetes pkg/controller/volume/persistentvolume/pv_controller.go (`syncUnboundClaim`, `provisionClaim`).
"""

from __future__ import annotations

from kserve_nb.clusters.embedded.apimachinery.kinds import PERSISTENT_VOLUME_CLAIM
from kserve_nb.clusters.embedded.apimachinery.objects import Object, Objects
from kserve_nb.clusters.embedded.control.framework.reconciler import Changes, Moment, Reconciler, without_version

STORAGE_CLASS = "standard"
_PROVISIONER = "kserve-nb.dev/folder"
_CONTROLLER = "persistentvolume-controller"
_BOUND = {"pv.kubernetes.io/bind-completed": "yes", "pv.kubernetes.io/bound-by-controller": "yes",
          "volume.kubernetes.io/storage-provisioner": _PROVISIONER}


def reconcile(claim: Object, _objects: Objects, _moment: Moment) -> Changes:
    """Bind a claim of the default storage class, or report why another one stays Pending."""
    changes = Changes()
    spec = claim["spec"]
    if (claim.get("status") or {}).get("phase") == "Bound" or "deletionTimestamp" in claim["metadata"]:
        return changes
    class_ = spec.get("storageClassName", STORAGE_CLASS)
    if spec.get("volumeName"):
        return changes  # a volume that the user names: none exists
    if class_ == STORAGE_CLASS:
        _bind(claim, changes)
    elif class_:
        changes.event(claim, "Warning", "ProvisioningFailed", f'storageclass.storage.k8s.io "{class_}" not found',
                      _CONTROLLER)
    else:
        changes.event(claim, "Normal", "FailedBinding",
                      "no persistent volumes available for this claim and no storage class is set", _CONTROLLER)
    return changes


def _bind(claim: Object, changes: Changes) -> None:
    meta, spec = claim["metadata"], claim["spec"]
    volume = f"pvc-{meta['uid']}"
    bound = {**claim, "metadata": {**meta, "annotations": {**(meta.get("annotations") or {}), **_BOUND}},
             "spec": {**spec, "storageClassName": STORAGE_CLASS, "volumeName": volume}}
    changes.update(PERSISTENT_VOLUME_CLAIM, bound)
    capacity = (spec.get("resources") or {}).get("requests") or {}
    status = {"phase": "Bound", "accessModes": list(spec.get("accessModes") or []), "capacity": dict(capacity)}
    changes.update_status(PERSISTENT_VOLUME_CLAIM, without_version({**bound, "status": status}))
    folder = f"volumes/{meta['namespace']}/{meta['name']}"
    changes.event(claim, "Normal", "ProvisioningSucceeded",
                  f"Successfully provisioned volume {volume}. Its files are in the folder {folder} next to the "
                  "cluster's kubeconfig", _PROVISIONER)


RECONCILERS: tuple[Reconciler, ...] = (
    Reconciler("volume binder", PERSISTENT_VOLUME_CLAIM, reconcile),
)
