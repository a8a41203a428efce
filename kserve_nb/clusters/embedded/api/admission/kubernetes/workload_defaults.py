"""The API server's defaults for pods and pod templates.

Source: kubernetes 1.35 pkg/apis/core/v1/defaults.go (`SetDefaults_PodSpec`, `SetDefaults_Container`, …).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kserve_nb.clusters.embedded.apimachinery.objects import Object
from kserve_nb.clusters.embedded.apimachinery.quantity import canonical
from kserve_nb.clusters.embedded.container_images import pull_policy

_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_SOURCES_WITH_MODE = ("configMap", "secret", "projected", "downwardAPI")


def containers_of(spec: Object) -> Iterator[Object]:
    """All containers of a pod spec, init containers first."""
    yield from spec.get("initContainers") or []
    yield from spec.get("containers") or []


def canonical_resources(container: Object) -> None:
    """Set a container's `resources` if absent, and write quantities in canonical form."""
    resources = container["resources"] = container.get("resources") or {}
    for name in ("limits", "requests"):
        if name in resources:
            resources[name] = {key: canonical(value) for key, value in (resources[name] or {}).items()}


def default_pod_spec(spec: Object) -> None:
    """Set the defaults of a pod spec, in a pod or a template."""
    for field, value in (("dnsPolicy", "ClusterFirst"), ("restartPolicy", "Always"), ("securityContext", {}),
                         ("schedulerName", "default-scheduler"), ("terminationGracePeriodSeconds", 30)):
        spec.setdefault(field, value)
    if spec.get("serviceAccountName") or spec.get("serviceAccount"):
        spec["serviceAccountName"] = spec.get("serviceAccountName") or spec["serviceAccount"]
        spec["serviceAccount"] = spec["serviceAccountName"]
    for container in containers_of(spec):
        default_container(container)
    for volume in spec.get("volumes") or []:
        _default_volume(volume)


def default_container(container: Object) -> None:
    """Set the defaults of a container."""
    container.setdefault("imagePullPolicy", pull_policy(container.get("image", "")))
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    canonical_resources(container)
    for port in container.get("ports") or []:
        port.setdefault("protocol", "TCP")
    for env in container.get("env") or []:
        _default_env(env)
    for name in _PROBES:
        if name in container:
            _default_probe(container[name])
    for hook in (container.get("lifecycle") or {}).values():
        _default_handler(hook)


def request_limits(spec: Object) -> None:
    """Make each limit without a request a request as well. This holds for pods, not for templates."""
    for container in containers_of(spec):
        resources = container["resources"]
        if resources.get("limits"):
            resources["requests"] = resources["limits"] | (resources.get("requests") or {})


def qos_class(spec: Object) -> str:
    """The quality of service of a pod: Guaranteed, Burstable or BestEffort (pkg/apis/core/v1/helper/qos)."""
    resources = [container["resources"] for container in containers_of(spec)]
    if not any(r.get("requests") or r.get("limits") for r in resources):
        return "BestEffort"
    guaranteed = all({"cpu", "memory"} <= set(r.get("limits") or {}) and r.get("requests", r["limits"]) == r["limits"]
                     for r in resources)
    return "Guaranteed" if guaranteed else "Burstable"


def _default_env(env: Object) -> None:
    if not env.get("value"):
        env.pop("value", None)  # Go does not write empty strings
    field: Any = (env.get("valueFrom") or {}).get("fieldRef")
    if field:
        field.setdefault("apiVersion", "v1")


def _default_probe(probe: Object) -> None:
    for field, value in (("failureThreshold", 3), ("periodSeconds", 10), ("successThreshold", 1),
                         ("timeoutSeconds", 1)):
        probe.setdefault(field, value)
    _default_handler(probe)


def _default_handler(handler: Object) -> None:
    if handler.get("httpGet"):
        handler["httpGet"].setdefault("path", "/")
        handler["httpGet"].setdefault("scheme", "HTTP")


def _default_volume(volume: Object) -> None:
    if set(volume) == {"name"}:
        volume["emptyDir"] = {}
    for source in _SOURCES_WITH_MODE:
        if volume.get(source):
            volume[source].setdefault("defaultMode", 420)
    if volume.get("hostPath"):
        volume["hostPath"].setdefault("type", "")
    for projection in (volume.get("projected") or {}).get("sources") or []:
        if "serviceAccountToken" in projection:
            projection["serviceAccountToken"].setdefault("expirationSeconds", 3600)
        for item in (projection.get("downwardAPI") or {}).get("items") or []:
            if item.get("fieldRef"):
                item["fieldRef"].setdefault("apiVersion", "v1")
