"""Discovery: the documents under /api and /apis that list the served kinds, plain and aggregated."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import NamedTuple

from kserve_nb.clusters.embedded.apimachinery.kinds import GROUP_ORDER, NAMESPACE
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Kinds, Object

AGGREGATED_TYPE = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

VERSION: Object = {
    "major": "1", "minor": "35", "emulationMajor": "1", "emulationMinor": "35", "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "34", "gitVersion": "v1.35.4", "gitCommit": "$Format:%H$", "gitTreeState": "",
    "buildDate": "1970-01-01T00:00:00Z", "goVersion": "go1.26.8", "compiler": "gc", "platform": "linux/amd64"}
"""The body of /version: the Kubernetes release whose behaviour this API server reproduces."""

_BUILT_IN_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
_CUSTOM_VERBS = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"]
_MATURITY = {"": 2, "beta": 1, "alpha": 0}
GroupVersion = tuple[str, str]


class _Resource(NamedTuple):
    """One entry of discovery: a resource or a subresource."""

    name: str
    kind: str
    namespaced: bool
    verbs: list[str]
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    of: GroupVersion | None = None  # group and version of the kind where they differ from the resource's
    is_custom: bool = False
    singular: str = ""
    stored_as: str = ""  # what the hash of the storage version is made of, "" for resources without objects


class _Subresource(NamedTuple):
    """The kind in the body of requests to a subresource ("": the resource's own kind), and its verbs."""

    kind: str
    verbs: list[str]
    of: GroupVersion | None = None


_SUBRESOURCES = {
    "status": _Subresource("", ["get", "patch", "update"]),
    "scale": _Subresource("Scale", ["get", "patch", "update"], ("autoscaling", "v1")),
    "finalize": _Subresource("", ["update"]),
    "token": _Subresource("TokenRequest", ["create"], ("authentication.k8s.io", "v1")),
    "log": _Subresource("", ["get"]),
    "exec": _Subresource("PodExecOptions", ["create", "get"]),
    "attach": _Subresource("PodAttachOptions", ["create", "get"]),
    "portforward": _Subresource("PodPortForwardOptions", ["create", "get"])}
# Resources that are answered without objects in the store.
_WITHOUT_OBJECTS: dict[GroupVersion, list[_Resource]] = {
    ("authentication.k8s.io", "v1"): [
        _Resource(f"{kind.lower()}s", kind, False, ["create"], singular=kind.lower())
        for kind in ("SelfSubjectReview", "TokenReview")],
    ("authorization.k8s.io", "v1"): [
        _Resource(f"{kind.lower()}s", kind, False, ["create"], singular=kind.lower())
        for kind in ("SelfSubjectAccessReview", "SelfSubjectRulesReview", "SubjectAccessReview")],
    ("metrics.k8s.io", "v1beta1"): [_Resource("nodes", "NodeMetrics", False, ["get", "list"], singular="nodemetrics"),
                                    _Resource("pods", "PodMetrics", True, ["get", "list"], singular="podmetrics")]}


def versions(address: str) -> Object:
    """The plain document at /api."""
    return {"kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]}


def group_list(kinds: Kinds) -> Object:
    """The plain document at /apis."""
    return {"kind": "APIGroupList", "apiVersion": "v1",
            "groups": [_group(kinds, name) for name in _groups(kinds) if name]}


def group(kinds: Kinds, name: str) -> Object | None:
    """The document at /apis/GROUP, None if there is no such group."""
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(kinds, name)} if name and name in _groups(kinds) else None


def resource_list(kinds: Kinds, group: str, version: str) -> Object | None:
    """The plain document at /api/v1 or /apis/GROUP/VERSION, None if there is no such version."""
    resources = _resources(kinds).get((group, version))
    if resources is None:
        return None
    return {"kind": "APIResourceList", "apiVersion": "v1",
            "groupVersion": f"{group}/{version}" if group else version, "resources": [_plain(r) for r in resources]}


def aggregated(kinds: Kinds, core: bool) -> Object:
    """The aggregated document at /api or /apis: all groups with all their resources."""
    names = [name for name in _groups(kinds) if (name == "") == core]
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {},
            "items": [_aggregated_group(kinds, name) for name in names]}


def paths(kinds: Kinds) -> list[str]:
    """The paths of all group versions, as / lists them."""
    return ["/api", "/api/v1", "/apis", *(f"/apis/{g}/{v}" for g, v in _resources(kinds) if g)]


def _resources(kinds: Kinds) -> dict[GroupVersion, list[_Resource]]:
    return kinds.derived("discovery", lambda: _ordered(kinds))


def _ordered(kinds: Kinds) -> dict[GroupVersion, list[_Resource]]:
    found = {group_version: list(resources) for group_version, resources in _WITHOUT_OBJECTS.items()}
    for kind in sorted(kinds.served, key=lambda kind: kind.plural):
        found.setdefault((kind.group, kind.version), []).extend(_of_kind(kind))
    return dict(sorted(found.items(), key=lambda item: (_group_rank(item[0][0]), _version_rank(item[0][1]))))


def _group_rank(group: str) -> tuple[int, str]:
    return GROUP_ORDER.index(group) if group in GROUP_ORDER else len(GROUP_ORDER), group


def _version_rank(version: str) -> tuple[int, int, int, str]:
    """The order v2, v1, v1beta2, v1alpha1, other names (apimachinery pkg/version `CompareKubeAwareVersionStrings`)."""
    parts = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if parts is None:
        return 1, 0, 0, version
    return -_MATURITY[parts[2] or ""], -int(parts[1]), -int(parts[3] or 0), version


def _of_kind(kind: Kind) -> list[_Resource]:
    verbs = [verb for verb in (_CUSTOM_VERBS if kind.is_custom else _BUILT_IN_VERBS)
             if kind != NAMESPACE or verb != "deletecollection"]
    stored_as = "" if kind.has_versions else f"{kind.group}/{kind.version}/{kind.kind}"
    rows = [_Resource(kind.plural, kind.kind, kind.namespaced, verbs, kind.short, kind.categories,
                      is_custom=kind.is_custom, singular=kind.singular, stored_as=stored_as)]
    for name in kind.subresources:
        subresource = _SUBRESOURCES[name]
        rows.append(_Resource(f"{kind.plural}/{name}", subresource.kind or kind.kind, kind.namespaced,
                              subresource.verbs, of=subresource.of, is_custom=kind.is_custom))
    return rows


def _groups(kinds: Kinds) -> list[str]:
    return list(dict.fromkeys(name for name, _ in _resources(kinds)))


def _versions_of(kinds: Kinds, name: str) -> list[str]:
    return [version for group, version in _resources(kinds) if group == name]


def _group(kinds: Kinds, name: str) -> Object:
    rows = [{"groupVersion": f"{name}/{version}", "version": version} for version in _versions_of(kinds, name)]
    return {"name": name, "versions": rows, "preferredVersion": rows[0]}


def _plain(resource: _Resource) -> Object:
    row: Object = {"name": resource.name, "singularName": resource.singular, "namespaced": resource.namespaced}
    if resource.of:
        row |= {"group": resource.of[0], "version": resource.of[1]}
    row |= {"kind": resource.kind, "verbs": resource.verbs}
    if resource.short:
        row["shortNames"] = list(resource.short)
    if resource.categories:
        row["categories"] = list(resource.categories)
    if resource.stored_as:
        row["storageVersionHash"] = _storage_version_hash(resource.stored_as)
    return row


def _storage_version_hash(stored_as: str) -> str:
    """The hash of a storage version (apiserver pkg/endpoints/discovery/storageversionhash.go).

    >>> _storage_version_hash("/v1/ConfigMap")
    'qFsyl6wFWjQ='
    """
    return base64.b64encode(hashlib.sha256(stored_as.encode()).digest()[:8]).decode()


def _aggregated_group(kinds: Kinds, name: str) -> Object:
    found: list[Object] = []
    for version in _versions_of(kinds, name):
        resources: list[Object] = []
        for resource in _resources(kinds)[name, version]:
            if "/" in resource.name:
                resources[-1].setdefault("subresources", []).append(_aggregated_row(name, version, resource))
            else:
                resources.append(_aggregated_row(name, version, resource))
        found.append({"version": version, "resources": resources, "freshness": "Current"})
    return {"metadata": {"name": name} if name else {}, "versions": found}


def _aggregated_row(group: str, version: str, resource: _Resource) -> Object:
    of_group, of_version = resource.of or ((group, version) if resource.is_custom else ("", ""))
    response = {"group": of_group, "version": of_version, "kind": resource.kind}
    _, _, subresource = resource.name.partition("/")
    if subresource:
        return {"subresource": subresource, "responseKind": response, "verbs": resource.verbs}
    row: Object = {"resource": resource.name, "responseKind": response,
                   "scope": "Namespaced" if resource.namespaced else "Cluster",
                   "singularResource": resource.singular, "verbs": resource.verbs}
    if resource.short:
        row["shortNames"] = list(resource.short)
    if resource.categories:
        row["categories"] = list(resource.categories)
    return row
