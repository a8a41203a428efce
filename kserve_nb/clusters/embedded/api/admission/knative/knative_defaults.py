"""Knative's defaulting webhook.

Source: knative serving 1.21 pkg/apis/serving/v1/{service,configuration,route,revision}_defaults.go,
pkg/apis/autoscaling/v1alpha1/pa_defaults.go; knative.dev/networking pkg/apis/networking/v1alpha1/ingress_defaults.go;
knative.dev/pkg webhook/resourcesemantics/defaulting (`mutate`, `setUserInfoAnnotations`).
"""

from __future__ import annotations

from kserve_nb.clusters.embedded.api.admission.knative import knative_config
from kserve_nb.clusters.embedded.api.admission.knative.knative_config import Defaults
from kserve_nb.clusters.embedded.api.admission.kubernetes.workload_defaults import canonical_resources
from kserve_nb.clusters.embedded.api.admission.review import Review, denied
from kserve_nb.clusters.embedded.api.schema.decoding import type_error
from kserve_nb.clusters.embedded.api.schema.kind_types import type_of_kind
from kserve_nb.clusters.embedded.apimachinery.kinds import (
    CONFIGURATION,
    INGRESS,
    KNATIVE_SERVICE,
    POD_AUTOSCALER,
    REVISION,
    ROUTE,
)
from kserve_nb.clusters.embedded.apimachinery.objects import Object
from kserve_nb.values.labels import HPA_CLASS, KPA_CLASS

WEBHOOK = "webhook.serving.knative.dev"
KSERVE_CONTROLLER = "system:serviceaccount:kserve:kserve-controller-manager"
USER = "kubernetes-admin"
CREATOR, LAST_MODIFIER = "serving.knative.dev/creator", "serving.knative.dev/lastModifier"

_CLASS, _METRIC = "autoscaling.knative.dev/class", "autoscaling.knative.dev/metric"
_PROBES = ("readinessProbe", "livenessProbe", "startupProbe")
_HANDLERS = ("exec", "grpc", "httpGet", "tcpSocket")


def default(review: Review) -> None:
    """Set the defaults of Knative's mutating webhook. Raises StatusError 400 for a field of the wrong type."""
    kind, new = review.kind, review.new
    type_name = type_of_kind(kind)
    if type_name and (problem := type_error(type_name, new, embedded_names=True)):
        raise denied(WEBHOOK, f"mutation failed: cannot decode incoming new object: {problem}",
                     code=400, reason="BadRequest")
    spec = new.setdefault("spec", {})
    if kind in (KNATIVE_SERVICE, CONFIGURATION):
        _default_template(review, spec.setdefault("template", {}))
    elif kind == REVISION and review.old is None:  # the spec of a revision is immutable
        _default_revision_spec(review, spec, {})
    if kind in (KNATIVE_SERVICE, ROUTE):
        _default_traffic(spec, has_configuration=kind == KNATIVE_SERVICE)
    if kind == KNATIVE_SERVICE or (kind in (CONFIGURATION, ROUTE) and not new["metadata"].get("ownerReferences")):
        _annotate_user(review)
    if kind == POD_AUTOSCALER:
        _default_autoscaler(review)
    if kind == INGRESS:
        _default_ingress(spec)


def _default_template(review: Review, template: Object) -> None:
    before = ((review.old or {}).get("spec") or {}).get("template") or {}
    name = (template.get("metadata") or {}).get("name")
    spec = template.setdefault("spec", {})
    if name and name == (before.get("metadata") or {}).get("name"):
        for container in spec.get("containers") or []:  # the revision exists: defaults must not change it
            canonical_resources(container)
        return
    _default_revision_spec(review, spec, before.get("spec") or {})


def _default_revision_spec(review: Review, spec: Object, before: Object) -> None:
    config = knative_config.defaults(review.objects)
    if not spec.get("timeoutSeconds"):
        spec["timeoutSeconds"] = config.timeout_s
    for field, default_s in (("idleTimeoutSeconds", config.idle_timeout_s),
                             ("responseStartTimeoutSeconds", config.response_start_timeout_s)):
        if field not in spec and 0 < default_s < spec["timeoutSeconds"]:
            spec[field] = default_s
    spec.setdefault("containerConcurrency", config.concurrency)
    containers, init_containers = spec.get("containers") or [], spec.get("initContainers") or []
    names = {container.get("name") for container in (*containers, *init_containers)}
    _default_names(containers, names, config.user_container_name)
    _default_names(init_containers, names, config.init_container_name)
    # Knative sets it only when the object is created, and KServe's controller keeps the value in its updates.
    links = config.service_links if review.old is None else before.get("enableServiceLinks")
    if links is not None:
        spec.setdefault("enableServiceLinks", links)
    for container in containers:
        _default_container(spec, container, config)
    for container in init_containers:
        canonical_resources(container)
    if knative_config.features(review.objects).secure_defaults():
        for container in (*containers, *init_containers):
            _default_security(spec, container)


def _default_names(containers: list[Object], taken: set[str | None], base: str) -> None:
    suffix = 0
    for container in containers:
        if container.get("name"):
            continue
        name = base
        while (len(containers) > 1 and name == base) or name in taken:
            name, suffix = f"{base}-{suffix}", suffix + 1
        container["name"] = name


def _default_container(spec: Object, container: Object, config: Defaults) -> None:
    for kind, values in (("requests", config.requests), ("limits", config.limits)):
        if values:
            resources = container.setdefault("resources", {})
            resources[kind] = values | (resources.get(kind) or {})
    canonical_resources(container)
    if len(spec["containers"]) == 1 or container.get("ports"):
        probe = container["readinessProbe"] = container.get("readinessProbe") or {}
        if not any(probe.get(handler) is not None for handler in _HANDLERS):
            probe["tcpSocket"] = {"port": 0}
    if container.get("readinessProbe") is not None:
        _default_readiness(container["readinessProbe"])
    for name in _PROBES:
        if (container.get(name) or {}).get("grpc") is not None:
            container[name]["grpc"].setdefault("service", "")
    writable = {volume.get("name") for volume in spec.get("volumes") or []
                if volume.get("emptyDir") is not None or volume.get("persistentVolumeClaim") is not None}
    for mount in container.get("volumeMounts") or []:
        if mount.get("name") not in writable:
            mount["readOnly"] = True


def _default_readiness(probe: Object) -> None:
    if not probe.get("successThreshold"):
        probe["successThreshold"] = 1
    if probe.get("periodSeconds"):
        probe["failureThreshold"] = probe.get("failureThreshold") or 3
        probe["timeoutSeconds"] = probe.get("timeoutSeconds") or 1


def _default_security(spec: Object, container: Object) -> None:
    """The settings of the `restricted` profile, if config-features has `secure-pod-defaults`."""
    pod, own = spec.get("securityContext") or {}, container.setdefault("securityContext", {})
    own.setdefault("allowPrivilegeEscalation", False)
    if not (pod.get("seccompProfile") or {}).get("type"):
        profile = own["seccompProfile"] = own.get("seccompProfile") or {}
        profile.setdefault("type", "RuntimeDefault")
    if "capabilities" not in own:
        own["capabilities"] = {"drop": ["ALL"]}
        if any(port.get("containerPort", 0) < 1024 for port in container.get("ports") or []):
            own["capabilities"]["add"] = ["NET_BIND_SERVICE"]


def _default_traffic(spec: Object, *, has_configuration: bool) -> None:
    if has_configuration and not spec.get("traffic"):
        spec["traffic"] = [{"latestRevision": True, "percent": 100}]
    for target in spec.get("traffic") or []:
        target.setdefault("latestRevision", not target.get("revisionName"))
        target.setdefault("percent", 0)


def _annotate_user(review: Review) -> None:
    new, old = review.new, review.old
    owners = new["metadata"].get("ownerReferences") or []
    user = KSERVE_CONTROLLER if any(owner["kind"] == "InferenceService" for owner in owners) else USER
    annotations = new["metadata"].setdefault("annotations", {})
    if old is None:
        annotations |= {CREATOR: user, LAST_MODIFIER: user}
    elif new["spec"] != old["spec"]:
        annotations[LAST_MODIFIER] = user


def _default_autoscaler(review: Review) -> None:
    annotations = review.new["metadata"].setdefault("annotations", {})
    class_ = annotations.setdefault(_CLASS, knative_config.autoscaler(review.objects).class_)
    annotations.setdefault(_METRIC, {KPA_CLASS: "concurrency", HPA_CLASS: "cpu"}.get(class_, ""))


def _default_ingress(spec: Object) -> None:
    for rule in spec.get("rules") or []:
        rule["visibility"] = rule.get("visibility") or "ExternalIP"
        for path in (rule.get("http") or {}).get("paths") or []:
            splits = path.get("splits") or []
            if len(splits) == 1 and not splits[0].get("percent"):
                splits[0]["percent"] = 100
