"""The keys by which lists of Kubernetes' own types are merged item by item.

Source: the tags patchMergeKey, patchStrategy, listType and listMapKey of the Go types in k8s.io/api 1.35.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_CONTAINER = {"env": ("name",), "ports": ("containerPort", "protocol"), "volumeMounts": ("mountPath",),
              "volumeDevices": ("devicePath",)}

LIST_KEYS: dict[str, dict[str, tuple[str, ...]]] = {
    "V1PodSpec": {"containers": ("name",), "initContainers": ("name",), "ephemeralContainers": ("name",),
                  "volumes": ("name",), "imagePullSecrets": ("name",), "hostAliases": ("ip",),
                  "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"), "resourceClaims": ("name",),
                  "schedulingGates": ("name",)},
    "V1Container": _CONTAINER, "V1EphemeralContainer": _CONTAINER,
    "V1ObjectMeta": {"ownerReferences": ("uid",), "finalizers": ()},
    "V1ServiceSpec": {"ports": ("port", "protocol")}, "V1ServiceAccount": {"secrets": ("name",)},
    "V1NodeSpec": {"podCIDRs": ()}, "V1NodeStatus": {"addresses": ("type",), "conditions": ("type",)},
    "V1PodStatus": {"conditions": ("type",), "hostIPs": ("ip",), "podIPs": ("ip",)},
    "V1DeploymentStatus": {"conditions": ("type",)}, "V1ReplicaSetStatus": {"conditions": ("type",)},
    "V1NamespaceStatus": {"conditions": ("type",)}, "V1ServiceStatus": {"conditions": ("type",)},
    "V1PersistentVolumeClaimStatus": {"conditions": ("type",)},
}
"""By type and field of Kubernetes' own kinds. A list without keys is a set of values.

Server-side apply compares all keys of an item, a strategic merge patch only the first.
"""

_BY_NAME = {field: keys for fields in LIST_KEYS.values() for field, keys in fields.items()}
_SERVICE_PORTS = LIST_KEYS["V1ServiceSpec"]["ports"]


def list_keys(field: str, items: list[Any]) -> tuple[str, ...] | None:
    """The keys of a list in a field of one of Kubernetes' own kinds, None if the list is one value."""
    if field == "ports" and not any(isinstance(item, Mapping) and "containerPort" in item for item in items):
        return _SERVICE_PORTS
    return _CONTAINER["ports"] if field == "ports" else _BY_NAME.get(field)
