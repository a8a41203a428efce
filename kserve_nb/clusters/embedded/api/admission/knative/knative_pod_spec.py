"""Knative's rules for the pod spec of a revision: which fields may be set, and to what.

Source: knative serving 1.21 pkg/apis/serving/{k8s_validation,fieldmask}.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kserve_nb.clusters.embedded.api.admission.knative import knative_container, knative_volumes
from kserve_nb.clusters.embedded.api.admission.knative.field_problems import (
    Problem,
    disallowed,
    invalid_value,
    missing,
    out_of_bounds,
    via,
)
from kserve_nb.clusters.embedded.api.admission.knative.knative_config import Features
from kserve_nb.clusters.embedded.apimachinery.objects import Object
from kserve_nb.values import dns_names

_ALLOWED = frozenset((
    "serviceAccountName", "containers", "volumes", "imagePullSecrets", "enableServiceLinks",
    "containerConcurrency", "timeoutSeconds", "responseStartTimeoutSeconds", "idleTimeoutSeconds"))
_FLAGS = {  # field: the feature flag without which it may not be set
    field: f"kubernetes.podspec-{flag}" for field, flag in (
        ("affinity", "affinity"), ("topologySpreadConstraints", "topologyspreadconstraints"),
        ("hostAliases", "hostaliases"), ("nodeSelector", "nodeselector"), ("runtimeClassName", "runtimeclassname"),
        ("tolerations", "tolerations"), ("shareProcessNamespace", "shareprocessnamespace"),
        ("priorityClassName", "priorityclassname"), ("schedulerName", "schedulername"),
        ("initContainers", "init-containers"), ("dnsPolicy", "dnspolicy"), ("dnsConfig", "dnsconfig"),
        ("hostIPC", "hostipc"), ("hostPID", "hostpid"), ("hostNetwork", "hostnetwork"))}
_SECURITY = "kubernetes.podspec-securitycontext"
_SECURITY_FIELDS = ("runAsUser", "runAsGroup", "runAsNonRoot", "fsGroup", "supplementalGroups", "seccompProfile")
_MOST_ID = 2**31 - 1


def pod_spec_problems(spec: Object, features: Features) -> Iterator[Problem]:
    """The problems of a revision's spec, relative to it (`ValidatePodSpec`)."""
    containers, init_containers = spec.get("containers") or [], spec.get("initContainers") or []
    yield from disallowed(*(field for field, value in spec.items() if not _is_allowed(field, value, features)))
    yield from via("securityContext", _security_context_problems(spec.get("securityContext"), features))
    for field, group in (("containers", containers), ("initContainers", init_containers)):
        for index, container in enumerate(group):
            yield from via(f"{field}[{index}].securityContext", _insecure_defaults(spec, container, features))
    mounted = {mount.get("name") for container in (*init_containers, *containers)
               for mount in container.get("volumeMounts") or []}
    yield from via("volumes", knative_volumes.volume_problems(spec.get("volumes") or [], mounted, features))
    volumes = {volume.get("name"): volume for volume in spec.get("volumes") or []}
    yield from _init_container_problems(init_containers, containers, volumes, features)
    yield from via("containers[*]", knative_container.port_count_problems(containers))
    yield from _container_problems(containers, volumes, features)
    account = spec.get("serviceAccountName")
    if account:
        for text in dns_names.subdomain_errors(account):
            yield invalid_value(account, "serviceAccountName", text)


def _is_allowed(field: str, value: Any, features: Features) -> bool:
    if field in _ALLOWED or value in (None, False, "", [], {}):
        return True
    if field == "automountServiceAccountToken":
        return value is False
    if field == "securityContext":
        return features.allowed(_SECURITY) or features.allowed("secure-pod-defaults")
    return field in _FLAGS and features.allowed(_FLAGS[field])


def _container_problems(containers: list[Object], volumes: dict[Any, Object], features: Features) -> Iterator[Problem]:
    if not containers:
        yield from missing("containers")
    elif len(containers) == 1:
        problems = knative_container.serving_problems(containers[0], containers, volumes, features)
        yield from via("containers[0]", problems)
    elif not features.enabled("multi-container"):
        yield Problem(f"multi-container is off, but found {len(containers)} containers")
    else:
        names: set[Any] = set()
        for index, container in enumerate(containers):
            at = f"containers[{index}]"
            if container.get("name") in names:
                yield Problem(f'duplicate container name "{container.get("name")}"', f"{at}.name")
            names.add(container.get("name"))
            if container.get("ports"):
                yield from via(at, knative_container.serving_problems(container, containers, volumes, features))
            else:
                yield from via(at, knative_container.sidecar_problems(container, volumes, features))


def _init_container_problems(init_containers: list[Object], containers: list[Object], volumes: dict[Any, Object],
                             features: Features) -> Iterator[Problem]:
    if not init_containers:
        return
    if not features.enabled("kubernetes.podspec-init-containers"):
        yield Problem(f"pod spec support for init-containers is off, but found {len(init_containers)} init containers")
        return
    names = {container.get("name") for container in containers}
    for index, container in enumerate(init_containers):
        at = f"containers[{index}]"  # sic
        if container.get("name") in names:
            yield Problem(f'duplicate container name "{container.get("name")}"', f"{at}.name")
        yield from via(at, knative_container.init_problems(container, volumes, features))


def _security_context_problems(context: Object | None, features: Features) -> Iterator[Problem]:
    context = context or {}
    if features.allowed(_SECURITY):
        yield from disallowed(*(field for field in context if field not in _SECURITY_FIELDS))
    else:
        yield from disallowed(*(field for field, value in context.items()
                                if not _is_secure_profile(field, value, features)))
    for field in ("runAsUser", "runAsGroup", "fsGroup"):
        yield from _id_problems(context, field)
    for index, group in enumerate(context.get("supplementalGroups") or []):
        if not 0 <= group <= _MOST_ID:
            yield out_of_bounds(group, 0, _MOST_ID, f"supplementalGroups[{index}]")


def _id_problems(context: Object, field: str) -> Iterator[Problem]:
    value = context.get(field)
    if value is not None and not 0 <= value <= _MOST_ID:
        yield out_of_bounds(value, 0, _MOST_ID, field)


def _is_secure_profile(field: str, value: Any, features: Features) -> bool:
    return (features.secure_defaults() and field == "seccompProfile"
            and (value or {}).get("type") in ("RuntimeDefault", "Unconfined"))


def _insecure_defaults(spec: Object, container: Object, features: Features) -> Iterator[Problem]:
    """Warnings about unset fields that the `restricted` profile requires (`warnDefaultContainerSecurityContext`)."""
    if features.secure_defaults():
        return
    pod, own = spec.get("securityContext") or {}, container.get("securityContext") or {}
    unset = []
    if pod.get("runAsNonRoot") is None and own.get("runAsNonRoot") is None:
        unset.append("runAsNonRoot")
    if own.get("allowPrivilegeEscalation") is None:
        unset.append("allowPrivilegeEscalation")
    profiles = [profile for profile in (pod.get("seccompProfile"), own.get("seccompProfile")) if profile is not None]
    if not profiles:
        unset.append("seccompProfile")
    elif not any(profile.get("type") for profile in profiles):
        unset.append("seccompProfile.type")
    capabilities = own.get("capabilities")
    if capabilities is None:
        unset.append("capabilities")
    elif capabilities.get("drop") is None:
        unset.append("capabilities.drop")
    elif capabilities["drop"][:1] == ["all"]:
        yield Problem("invalid value: all", "capabilities.drop", "Must be spelled as 'ALL'", is_warning=True)
    text = "Kubernetes default value is insecure, Knative may default this to secure in a future release"
    yield from (Problem(text, field, is_warning=True) for field in unset)
