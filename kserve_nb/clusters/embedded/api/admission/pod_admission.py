"""Admission of pods: the built-in plugins and KServe's pod webhook.

Source: kubernetes plugin/pkg/admission/{serviceaccount,defaulttolerationseconds,priority}.
"""

from __future__ import annotations

from kserve_nb.clusters.embedded.api.admission import kserve_pod_webhook
from kserve_nb.clusters.embedded.api.admission.workload_defaults import (
    containers_of,
    default_pod_spec,
    qos_class,
    request_what_is_limited,
)
from kserve_nb.clusters.embedded.api.field_errors import invalid, required
from kserve_nb.clusters.embedded.api.object_metadata import generate_name
from kserve_nb.clusters.embedded.kinds import POD, SERVICE_ACCOUNT
from kserve_nb.clusters.embedded.objects import Object, Objects, StatusError

_TOKEN_VOLUME = "kube-api-access-"
_TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"


def default(new: Object, old: Object | None, objects: Objects) -> Object:
    """The pod as it is stored."""
    spec = new.setdefault("spec", {})
    default_pod_spec(spec)
    if old is None:
        _use_service_account(new, objects)
        kserve_pod_webhook.mutate(new, objects)
        default_pod_spec(spec)  # the built-in plugins run again after a webhook
        if any(volume.get("name", "").startswith(_TOKEN_VOLUME) for volume in spec.get("volumes") or []):
            _mount_token(spec)
        _default_scheduling(spec)
        request_what_is_limited(spec)
        new["status"] = {"phase": "Pending", "qosClass": qos_class(spec)}
    return new


def validate(new: Object, old: Object | None) -> None:
    """Refuse a pod without containers, names or images. Raises StatusError."""
    causes = []
    if not new["spec"].get("containers"):
        causes.append(required("spec.containers"))
    for field in ("initContainers", "containers"):
        for index, container in enumerate(new["spec"].get(field) or []):
            causes += [required(f"spec.{field}[{index}].{name}")
                       for name in ("name", "image") if not container.get(name)]
    if causes:
        raise invalid(POD, new["metadata"]["name"], causes)


def _use_service_account(pod: Object, objects: Objects) -> None:
    spec, namespace = pod["spec"], pod["metadata"]["namespace"]
    name = spec.setdefault("serviceAccountName", "default")
    spec["serviceAccount"] = name
    account = objects.find(SERVICE_ACCOUNT, namespace, name)
    if account is None and name != "default":  # the controller makes `default` a moment after its namespace
        raise StatusError(403, "Forbidden",
                          f'pods "{pod["metadata"]["name"]}" is forbidden: error looking up service account '
                          f'{namespace}/{name}: serviceaccount "{name}" not found',
                          {"name": pod["metadata"]["name"], "kind": "pods"})
    wanted = spec.get("automountServiceAccountToken", (account or {}).get("automountServiceAccountToken"))
    if wanted is not False:
        _mount_token(spec)


def _mount_token(spec: Object) -> None:
    volumes = spec.setdefault("volumes", [])
    name = next((v["name"] for v in volumes if v.get("name", "").startswith(_TOKEN_VOLUME)), None)
    if name is None:
        name = generate_name(_TOKEN_VOLUME)
        volumes.append({"name": name, "projected": {"defaultMode": 420, "sources": _token_sources()}})
    for container in containers_of(spec):
        mounts = container.setdefault("volumeMounts", [])
        if not any(mount.get("mountPath") == _TOKEN_PATH for mount in mounts):
            mounts.append({"mountPath": _TOKEN_PATH, "name": name, "readOnly": True})


def _token_sources() -> list[Object]:
    return [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"items": [{"key": "ca.crt", "path": "ca.crt"}], "name": "kube-root-ca.crt"}},
        {"downwardAPI": {"items": [{"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
                                    "path": "namespace"}]}},
    ]


def _default_scheduling(spec: Object) -> None:
    spec.setdefault("enableServiceLinks", True)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    spec.setdefault("priority", 0)
    tolerations = spec.setdefault("tolerations", [])
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        if not any(t.get("key") == key for t in tolerations):
            tolerations.append({"effect": "NoExecute", "key": key, "operator": "Exists", "tolerationSeconds": 300})
