"""Which kinds are served: the documents of /api and /apis, plain and aggregated."""

from __future__ import annotations

import functools
from typing import NamedTuple

from kserve_nb.clusters.embedded.api.wire.request_paths import SERVED, subresources
from kserve_nb.clusters.embedded.kinds import NAMESPACE
from kserve_nb.clusters.embedded.objects import Kind, Object

AGGREGATED_TYPE = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

VERSION: Object = {
    "major": "1", "minor": "35", "emulationMajor": "1", "emulationMinor": "35", "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "34", "gitVersion": "v1.35.4", "gitCommit": "$Format:%H$", "gitTreeState": "",
    "buildDate": "1970-01-01T00:00:00Z", "goVersion": "go1.26.8", "compiler": "gc", "platform": "linux/amd64"}
"""What /version answers: the Kubernetes whose behaviour this API server shows."""

_GROUP_ORDER = (
    "", "apiregistration.k8s.io", "apps", "authentication.k8s.io", "authorization.k8s.io", "autoscaling", "batch",
    "certificates.k8s.io", "networking.k8s.io", "policy", "rbac.authorization.k8s.io", "storage.k8s.io",
    "admissionregistration.k8s.io", "apiextensions.k8s.io", "scheduling.k8s.io", "coordination.k8s.io", "node.k8s.io",
    "discovery.k8s.io", "resource.k8s.io", "flowcontrol.apiserver.k8s.io", "metrics.k8s.io",
    "autoscaling.internal.knative.dev", "caching.internal.knative.dev", "networking.internal.knative.dev",
    "networking.istio.io", "serving.knative.dev", "serving.kserve.io")
_VERSION_ORDER = ("v2", "v1", "v1beta1", "v1alpha1")
_BUILT_IN_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
_CUSTOM_VERBS = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"]


class _Resource(NamedTuple):
    """A row of discovery: a resource or a subresource."""

    name: str
    kind: str
    namespaced: bool
    verbs: list[str]
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    of: tuple[str, str] | None = None  # group and version of the kind where they are another's


_REVIEWS = [_Resource(f"{kind.lower()}s", kind, False, ["create"]) for kind in (
    "SelfSubjectAccessReview", "SelfSubjectRulesReview", "SubjectAccessReview")]
_SUBRESOURCES = {
    "status": ("", ["get", "patch", "update"], None),
    "scale": ("Scale", ["get", "patch", "update"], ("autoscaling", "v1")),
    "finalize": ("", ["update"], None),
    "log": ("", ["get"], None),
    "exec": ("PodExecOptions", ["create", "get"], None),
    "attach": ("PodAttachOptions", ["create", "get"], None),
    "portforward": ("PodPortForwardOptions", ["create", "get"], None)}


def versions(address: str) -> Object:
    """/api, plain."""
    return {"kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]}


def group_list() -> Object:
    """/apis, plain."""
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(name) for name in _groups() if name]}


def group(name: str) -> Object | None:
    """/apis/GROUP, None where there is none of that name."""
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name)} if name and name in _groups() else None


def resource_list(group: str, version: str) -> Object | None:
    """/api/v1 or /apis/GROUP/VERSION, plain; None where there is none."""
    resources = _resources().get((group, version))
    if resources is None:
        return None
    return {"kind": "APIResourceList", "apiVersion": "v1",
            "groupVersion": f"{group}/{version}" if group else version, "resources": [_plain(r) for r in resources]}


def aggregated(core: bool) -> Object:
    """/api or /apis, aggregated: all groups with all their resources in one document."""
    names = [name for name in _groups() if (name == "") == core]
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {},
            "items": [_aggregated_group(name) for name in names]}


def paths() -> list[str]:
    """All group versions as paths, as / lists them."""
    return ["/api", "/api/v1", "/apis", *(f"/apis/{g}/{v}" for g, v in _resources() if g)]


@functools.cache
def _resources() -> dict[tuple[str, str], list[_Resource]]:
    found: dict[tuple[str, str], list[_Resource]] = {
        ("authentication.k8s.io", "v1"): [_Resource("selfsubjectreviews", "SelfSubjectReview", False, ["create"])],
        ("authorization.k8s.io", "v1"): _REVIEWS,
        ("metrics.k8s.io", "v1beta1"): [_Resource("nodes", "NodeMetrics", False, ["get", "list"]),
                                        _Resource("pods", "PodMetrics", True, ["get", "list"])]}
    for kind in sorted(SERVED, key=lambda kind: kind.plural):
        found.setdefault((kind.group, kind.version), []).extend(_of_kind(kind))
    return dict(sorted(found.items(), key=lambda item: _place(*item[0])))


def _place(group: str, version: str) -> tuple[int, str, int]:
    known = _GROUP_ORDER.index(group) if group in _GROUP_ORDER else len(_GROUP_ORDER)
    return known, group, _VERSION_ORDER.index(version)


def _of_kind(kind: Kind) -> list[_Resource]:
    verbs = [verb for verb in (_CUSTOM_VERBS if kind.is_custom else _BUILT_IN_VERBS)
             if kind != NAMESPACE or verb != "deletecollection"]
    rows = [_Resource(kind.plural, kind.kind, kind.namespaced, verbs, kind.short, kind.categories)]
    for name in subresources(kind):
        other, verbs, of = _SUBRESOURCES[name]
        rows.append(_Resource(f"{kind.plural}/{name}", other or kind.kind, kind.namespaced, verbs, of=of))
    return rows


def _groups() -> list[str]:
    return list(dict.fromkeys(name for name, _ in _resources()))


def _versions_of(name: str) -> list[str]:
    return [version for group, version in _resources() if group == name]


def _group(name: str) -> Object:
    rows = [{"groupVersion": f"{name}/{version}", "version": version} for version in _versions_of(name)]
    return {"name": name, "versions": rows, "preferredVersion": rows[0]}


def _plain(resource: _Resource) -> Object:
    singular = "" if "/" in resource.name else resource.kind.lower()
    row: Object = {"name": resource.name, "singularName": singular, "namespaced": resource.namespaced}
    if resource.of:
        row |= {"group": resource.of[0], "version": resource.of[1]}
    row |= {"kind": resource.kind, "verbs": resource.verbs}
    if resource.short:
        row["shortNames"] = list(resource.short)
    if resource.categories:
        row["categories"] = list(resource.categories)
    return row


def _aggregated_group(name: str) -> Object:
    found: list[Object] = []
    for version in _versions_of(name):
        resources: list[Object] = []
        for resource in _resources()[name, version]:
            if "/" in resource.name:
                resources[-1].setdefault("subresources", []).append(_aggregated_row(name, version, resource))
            else:
                resources.append(_aggregated_row(name, version, resource))
        found.append({"version": version, "resources": resources, "freshness": "Current"})
    return {"metadata": {"name": name} if name else {}, "versions": found}


def _aggregated_row(group: str, version: str, resource: _Resource) -> Object:
    custom = "." in group and not group.endswith(".k8s.io")
    of_group, of_version = resource.of or ((group, version) if custom else ("", ""))
    shown = {"group": of_group, "version": of_version, "kind": resource.kind}
    _, _, subresource = resource.name.partition("/")
    if subresource:
        return {"subresource": subresource, "responseKind": shown, "verbs": resource.verbs}
    row: Object = {"resource": resource.name, "responseKind": shown,
                   "scope": "Namespaced" if resource.namespaced else "Cluster",
                   "singularResource": resource.kind.lower(), "verbs": resource.verbs}
    if resource.short:
        row["shortNames"] = list(resource.short)
    if resource.categories:
        row["categories"] = list(resource.categories)
    return row
