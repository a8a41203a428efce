"""Knative Ingresses: the hosts and traffic splits of a Route, for the gateway to read.

Source: knative.dev/serving pkg/reconciler/route/resources/ingress.go (`MakeIngressWithRollout`) and domains/domains.go.
"""

from __future__ import annotations

from kserve_nb.clusters.embedded.apimachinery.kinds import INGRESS
from kserve_nb.clusters.embedded.apimachinery.objects import Object, Objects, Settings, owner_reference
from kserve_nb.clusters.embedded.control.framework.reconciler import Changes, Moment, Reconciler
from kserve_nb.clusters.embedded.control.knative.gradual_rollout import Rollout, shares, to_json
from kserve_nb.clusters.embedded.control.knative.knative_reconciler import set_finalizer
from kserve_nb.clusters.embedded.control.knative.traffic_targets import DEFAULT, RevisionTarget, Traffic
from kserve_nb.values.labels import (
    CLUSTER_LOCAL,
    INGRESS_FINALIZER,
    LAST_APPLIED,
    ROLLOUT,
    ROUTE_LABEL,
    ROUTE_NAMESPACE_LABEL,
    VISIBILITY_LABEL,
)

CLASS = "networking.knative.dev/ingress.class"
CLUSTER_DOMAIN = "svc.cluster.local"


def hostname(route: Object, tag: str) -> str:
    """The first label of a target's host: `NAME` or `TAG-NAME` (`HostnameFromTemplate`)."""
    name: str = route["metadata"]["name"]
    return f"{tag}-{name}" if tag else name


def is_cluster_local(route: Object) -> bool:
    """Whether the Route has hosts inside the cluster only."""
    return (route["metadata"].get("labels") or {}).get(VISIBILITY_LABEL) == CLUSTER_LOCAL


def domain_name(route: Object, tag: str, domain: str) -> str:
    """The host in a target's URL (`DomainNameFromTemplate`)."""
    domain = CLUSTER_DOMAIN if is_cluster_local(route) else domain
    return f"{hostname(route, tag)}.{route['metadata']['namespace']}.{domain}"


def make_ingress(route: Object, traffic: Traffic, rollout: Rollout, settings: Settings) -> Object:
    """The Ingress of a Route with resolved traffic (`MakeIngressWithRollout`)."""
    meta = route["metadata"]
    class_ = f"{settings.gateway}.ingress.networking.knative.dev"
    annotations = {CLASS: class_, ROLLOUT: to_json(rollout), **(meta.get("annotations") or {})}
    return {
        "apiVersion": INGRESS.api_version, "kind": INGRESS.kind,
        "metadata": {
            "name": meta["name"], "namespace": meta["namespace"],
            "annotations": {key: value for key, value in annotations.items() if key != LAST_APPLIED},
            "labels": {**(meta.get("labels") or {}), ROUTE_LABEL: meta["name"],
                       ROUTE_NAMESPACE_LABEL: meta["namespace"]},
            "ownerReferences": [owner_reference(route)],
        },
        "spec": {"httpOption": "Enabled", "rules": _rules(route, traffic, rollout, settings.domain)},
    }


def _rules(route: Object, traffic: Traffic, rollout: Rollout, domain: str) -> list[Object]:
    """For each group of targets a cluster-local rule, and an external one unless the Route is cluster-local."""
    rules = []
    for tag in sorted(traffic.groups):
        splits = _splits(route["metadata"]["namespace"], tag, traffic.groups[tag], rollout)
        inside = f"{hostname(route, tag)}.{route['metadata']['namespace']}"
        rules.append(_rule([inside, f"{inside}.svc", f"{inside}.{CLUSTER_DOMAIN}"], splits, "ClusterLocal"))
        if not is_cluster_local(route):
            rules.append(_rule([domain_name(route, tag, domain)], splits, "ExternalIP"))
    return rules


def _rule(hosts: list[str], splits: list[Object], visibility: str) -> Object:
    return {"hosts": hosts, "http": {"paths": [{"splits": splits}]}, "visibility": visibility}


def _splits(namespace: str, tag: str, group: tuple[RevisionTarget, ...], rollout: Rollout) -> list[Object]:
    """The revisions that share a host's traffic, without targets of 0 % (`makeBaseIngressPath`)."""
    splits = []
    for target in group:
        going = shares(rollout, tag, target.configuration) if target.latest else ()
        if target.percent and len(going) > 1:
            splits += [_split(namespace, share.revision, share.percent, target.port) for share in going]
        elif target.percent:
            splits.append(_split(namespace, target.revision, target.percent, target.port))
    return splits


def _split(namespace: str, revision: str, percent: int, port: int) -> Object:
    return {
        "appendHeaders": {"Knative-Serving-Namespace": namespace, "Knative-Serving-Revision": revision},
        "percent": percent, "serviceName": revision, "serviceNamespace": namespace, "servicePort": port,
    }


def status_traffic(route: Object, traffic: Traffic, rollout: Rollout, domain: str) -> list[Object]:
    """The traffic list in the Route's status (`GetRevisionTrafficTargets`)."""
    result = []
    for target in traffic.targets:
        going = shares(rollout, target.tag, target.configuration) if target.latest else ()
        tagged = {"tag": target.tag, "url": f"http://{domain_name(route, target.tag, domain)}"} \
            if target.tag != DEFAULT else {}
        for revision, percent in [(s.revision, s.percent) for s in going] or [(target.revision, target.percent)]:
            result.append({"latestRevision": target.latest, "percent": percent, "revisionName": revision, **tagged})
    return result


def reconcile(ingress: Object, view: Objects, moment: Moment) -> Changes:
    """Add a finalizer to each Ingress, which the gateway removes once it no longer serves a deleted Ingress."""
    changes = Changes()
    if "deletionTimestamp" not in ingress["metadata"]:
        set_finalizer(INGRESS, ingress, INGRESS_FINALIZER, changes)
    return changes


RECONCILERS = (Reconciler("knative ingress", INGRESS, reconcile),)
