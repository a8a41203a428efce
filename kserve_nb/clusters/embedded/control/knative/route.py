"""Routes: the Ingress and placeholder Services of each, and the traffic that is routed.

Source: knative.dev/serving pkg/reconciler/route/route.go, reconcile_resources.go, and
pkg/apis/serving/v1/route_lifecycle.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from kserve_nb.clusters.embedded.apimachinery.durations import parse_duration_s
from kserve_nb.clusters.embedded.apimachinery.kinds import CONFIGURATION, INGRESS, REVISION, ROUTE, SERVICE
from kserve_nb.clusters.embedded.apimachinery.objects import Object, Objects, condition, is_true, key_of
from kserve_nb.clusters.embedded.control.framework.condition_set import Conditions
from kserve_nb.clusters.embedded.control.framework.reconciler import Changes, Key, Moment, Reconciler
from kserve_nb.clusters.embedded.control.knative import gradual_rollout
from kserve_nb.clusters.embedded.control.knative.gradual_rollout import Rollout
from kserve_nb.clusters.embedded.control.knative.knative_ingress import (
    CLUSTER_DOMAIN,
    domain_name,
    make_ingress,
    status_traffic,
)
from kserve_nb.clusters.embedded.control.knative.knative_reconciler import begin, finish
from kserve_nb.clusters.embedded.control.knative.placeholder_services import NotOwnedError, write_placeholders
from kserve_nb.clusters.embedded.control.knative.traffic_targets import DEFAULT, BadTargetError, Traffic, resolve
from kserve_nb.values.labels import (
    CONFIGURATION_LABEL,
    ROLLOUT,
    ROLLOUT_DURATION,
    ROUTES,
    SERVICE_LABEL,
)

COMPONENT = "route-controller"
DEPENDENTS = ("AllTrafficAssigned", "IngressReady", "CertificateProvisioned")
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def reconcile(route: Object, view: Objects, moment: Moment) -> Changes:
    """Resolve the traffic, write what routes it, and report both in the status (`ReconcileKind`)."""
    changes = Changes()
    if "deletionTimestamp" in route["metadata"]:
        return changes
    status, conditions = begin(route, DEPENDENTS, moment.now)
    if status.get("observedGeneration") != route["metadata"]["generation"]:
        _ingress_not_configured(conditions)
    traffic = _assign(route, view, moment, status, conditions)
    if traffic is not None:
        _configure(route, traffic, view, moment, status, conditions, changes)
    finish(ROUTE, route, status, changes)
    return changes


def _assign(route: Object, view: Objects, moment: Moment, status: Object, conditions: Conditions) -> Traffic | None:
    """Resolve the targets and report the split; None if a target cannot be routed to (`configureTraffic`)."""
    domain = moment.settings.domain
    status["url"] = f"http://{domain_name(route, DEFAULT, domain)}"
    try:
        traffic = resolve(route, view)
        for tag in traffic.groups:
            _check_domain(domain_name(route, tag, domain))
    except BadTargetError as error:
        mark = conditions.mark_false if error.failed else conditions.mark_unknown
        mark("AllTrafficAssigned", error.reason, error.message)
        return None
    status["traffic"] = status_traffic(route, traffic, (), domain)
    conditions.mark_true("AllTrafficAssigned")
    return traffic


def _check_domain(domain: str) -> None:
    """Raise BadTargetError if a host's label is too long, as a tag can make it (`DomainNameFromTemplate`)."""
    if not all(LABEL.fullmatch(label) for label in domain.split(".")):
        raise BadTargetError(
            True, "ErrorConfig", f'domain name error: invalid domain name "{domain}": '
            f'url: Invalid value: "{domain}": must be no more than 63 characters')


def _configure(route: Object, traffic: Traffic, view: Objects, moment: Moment, status: Object, conditions: Conditions,
               changes: Changes) -> None:
    """Write the Ingress and the placeholder Services, and report whether the gateway serves them."""
    namespace, name = key_of(route)
    domain = moment.settings.domain
    status["address"] = {"url": f"http://{name}.{namespace}.{CLUSTER_DOMAIN}"}
    ingress = view.find(INGRESS, namespace, name)
    try:
        write_placeholders(route, traffic.groups, ingress, view, domain, changes)
    except NotOwnedError as error:
        conditions.mark_false("IngressReady", "NotOwned",
                              f'There is an existing placeholder Service "{error}" that we do not own.')
        return
    conditions.mark_true("CertificateProvisioned", "TLSNotEnabled", "external-domain-tls is not enabled")
    effective = _rollout(route, traffic, ingress, moment, changes)
    is_served = _write_ingress(route, make_ingress(route, traffic, effective, moment.settings), ingress, changes)
    if not is_served:
        _ingress_not_configured(conditions)
    if not gradual_rollout.is_done(effective):
        conditions.mark_unknown("IngressReady", "RolloutInProgress",
                                "A gradual rollout of the latest revision(s) is in progress.")
        status["traffic"] = status_traffic(route, traffic, effective, domain)
    elif is_served and ingress is not None:
        _propagate_ingress(conditions, ingress)


def _write_ingress(route: Object, desired: Object, existing: Object | None, changes: Changes) -> bool:
    """Write the Ingress if it differs. True if the gateway has observed this spec (`reconcileIngress`)."""
    if existing is None:
        changes.create(INGRESS, desired)
        name = desired["metadata"]["name"]
        changes.event(route, "Normal", "Created", f'Created Ingress "{name}"', COMPONENT)
        return False
    have, want = existing["metadata"], desired["metadata"]
    same_spec = existing["spec"] == desired["spec"]
    if not (same_spec and all(have.get(key) == want[key] for key in ("labels", "annotations"))):
        meta = {**have, "labels": want["labels"], "annotations": want["annotations"]}
        changes.update(INGRESS, {**existing, "metadata": meta, "spec": desired["spec"]})
    return same_spec and bool((existing.get("status") or {}).get("observedGeneration") == have["generation"])


def _ingress_not_configured(conditions: Conditions) -> None:
    conditions.mark_unknown("IngressReady", "IngressNotConfigured", "Ingress has not yet been reconciled.")


def _propagate_ingress(conditions: Conditions, ingress: Object) -> None:
    """Copy the Ingress's condition Ready to IngressReady (`PropagateIngressStatus`)."""
    ready = condition(ingress, "Ready")
    if not ready:
        _ingress_not_configured(conditions)
    elif ready["status"] == "True":
        conditions.mark_true("IngressReady")
    else:
        mark = conditions.mark_false if ready["status"] == "False" else conditions.mark_unknown
        mark("IngressReady", ready.get("reason", ""), ready.get("message", ""))


def _rollout(route: Object, traffic: Traffic, ingress: Object | None, moment: Moment, changes: Changes) -> Rollout:
    """The current step of a gradual rollout; without a rollout-duration the final state (`reconcileRollout`)."""
    wanted = gradual_rollout.current(traffic)
    duration_s = parse_duration_s((route["metadata"].get("annotations") or {}).get(ROLLOUT_DURATION))
    if ingress is None or not duration_s:
        return wanted
    now = int(moment.now * gradual_rollout.NANO)
    before = gradual_rollout.from_json((ingress["metadata"].get("annotations") or {}).get(ROLLOUT, ""))
    observed = (ingress.get("status") or {}).get("observedGeneration") == ingress["metadata"]["generation"]
    if observed and is_true(ingress, "Ready") and not is_true(route, "IngressReady"):
        before = gradual_rollout.observe_ready(before, now, int(duration_s), moment.settings.window_s(1))
    effective, next_step = gradual_rollout.advance(wanted, before, now)
    if next_step:
        changes.requeue_after(max(0.0, (next_step - now) / gradual_rollout.NANO))
    return effective


def routes_of(obj: Object, view: Objects) -> Iterable[Key]:
    """The Routes that may refer to a Configuration or a revision."""
    meta = obj["metadata"]
    labels, annotations = meta.get("labels") or {}, meta.get("annotations") or {}
    names = {labels.get(SERVICE_LABEL), labels.get(CONFIGURATION_LABEL), *annotations.get(ROUTES, "").split(",")}
    return [(meta["namespace"], name) for name in sorted(filter(None, names))]


RECONCILERS = (Reconciler("route", ROUTE, reconcile, owns=(SERVICE, INGRESS),
                          watches={CONFIGURATION: routes_of, REVISION: routes_of}),)
