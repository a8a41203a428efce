"""The service account of a pod, and the volume with its token.

Source: kubernetes plugin/pkg/admission/serviceaccount/admission.go.
"""

from __future__ import annotations

from kserve_nb.clusters.embedded.api.admission.kubernetes.workload_defaults import containers_of
from kserve_nb.clusters.embedded.api.object_metadata import generate_name
from kserve_nb.clusters.embedded.apimachinery.kinds import SERVICE_ACCOUNT
from kserve_nb.clusters.embedded.apimachinery.objects import Object, Objects, StatusError

_VOLUME = "kube-api-access-"
_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"


def use_service_account(pod: Object, objects: Objects) -> None:
    """Name the pod's service account and mount its token. Raises StatusError 403 if the account does not exist."""
    spec, namespace = pod["spec"], pod["metadata"]["namespace"]
    name = spec.setdefault("serviceAccountName", "default")
    spec["serviceAccount"] = name
    account = objects.find(SERVICE_ACCOUNT, namespace, name)
    if account is None and name != "default":  # the controller creates `default` soon after its namespace
        raise StatusError(403, "Forbidden",
                          f'pods "{pod["metadata"]["name"]}" is forbidden: error looking up service account '
                          f'{namespace}/{name}: serviceaccount "{name}" not found',
                          {"name": pod["metadata"]["name"], "kind": "pods"})
    wanted = spec.get("automountServiceAccountToken", (account or {}).get("automountServiceAccountToken"))
    if wanted is not False:
        mount_token(spec)


def has_token(spec: Object) -> bool:
    """Whether the pod has a volume with its token."""
    return _volume_name(spec) is not None


def mount_token(spec: Object) -> None:
    """Mount the token's volume, which is added if absent, in all containers that do not mount it."""
    name = _volume_name(spec)
    if name is None:
        name = generate_name(_VOLUME)
        spec.setdefault("volumes", []).append(
            {"name": name, "projected": {"defaultMode": 420, "sources": _token_sources()}})
    for container in containers_of(spec):
        mounts = container.setdefault("volumeMounts", [])
        if not any(mount.get("mountPath") == _PATH for mount in mounts):
            mounts.append({"mountPath": _PATH, "name": name, "readOnly": True})


def _volume_name(spec: Object) -> str | None:
    names = (volume.get("name", "") for volume in spec.get("volumes") or [])
    return next((name for name in names if name.startswith(_VOLUME)), None)


def _token_sources() -> list[Object]:
    return [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"items": [{"key": "ca.crt", "path": "ca.crt"}], "name": "kube-root-ca.crt"}},
        {"downwardAPI": {"items": [{"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
                                    "path": "namespace"}]}},
    ]
