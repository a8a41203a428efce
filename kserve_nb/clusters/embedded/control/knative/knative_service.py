"""Knative Services: the Configuration and the Route of each, and the status that follows from theirs.

Source: knative.dev/serving pkg/reconciler/service/service.go, its resources/, and
pkg/apis/serving/v1/service_lifecycle.go.
"""

from __future__ import annotations

from kserve_nb.clusters.embedded.apimachinery.kinds import CONFIGURATION, KNATIVE_SERVICE, ROUTE
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object, Objects, condition, owner_reference
from kserve_nb.clusters.embedded.control.framework.condition_set import Conditions
from kserve_nb.clusters.embedded.control.framework.reconciler import Changes, Moment, Reconciler
from kserve_nb.clusters.embedded.control.knative.knative_reconciler import begin, finish
from kserve_nb.values.labels import (
    LAST_APPLIED,
    ROLLOUT_DURATION,
    ROUTES,
    SERVICE_LABEL,
    SERVICE_UID_LABEL,
)

COMPONENT = "service-controller"
DEPENDENTS = ("ConfigurationsReady", "RoutesReady")
CONFIGURATION_FIELDS = ("latestCreatedRevisionName", "latestReadyRevisionName")
ROUTE_FIELDS = ("url", "address", "traffic")


def reconcile(service: Object, view: Objects, moment: Moment) -> Changes:
    """Write the Configuration and the Route, then propagate their status (`ReconcileKind`)."""
    changes = Changes()
    if "deletionTimestamp" in service["metadata"]:
        return changes
    status, conditions = begin(service, DEPENDENTS, moment.now)
    configuration = _write_child(CONFIGURATION, make_configuration(service, view), service, view, changes)
    route = _write_child(ROUTE, make_route(service), service, view, changes)
    if configuration is None:
        conditions.mark_unknown("ConfigurationsReady", "OutOfDate",
                                "The Configuration is still working to reflect the latest desired specification.")
    else:
        _copy_fields(status, configuration, CONFIGURATION_FIELDS)
        _propagate(conditions, "ConfigurationsReady", configuration)
    if route is None or (configuration is None and _moves_traffic(status, route)):
        conditions.mark_unknown("RoutesReady", "OutOfDate",
                                "The Route is still working to reflect the latest desired specification.")
    else:
        _copy_fields(status, route, ROUTE_FIELDS)
        _propagate(conditions, "RoutesReady", route)
        _check_traffic(conditions, status, route)
    finish(KNATIVE_SERVICE, service, status, changes)
    return changes


def make_configuration(service: Object, view: Objects) -> Object:
    """The Configuration of a Service (`MakeConfigurationFromExisting`)."""
    meta = service["metadata"]
    existing = view.find(CONFIGURATION, meta["namespace"], meta["name"]) or {"metadata": {}}
    named = (existing["metadata"].get("annotations") or {}).get(ROUTES, "")
    routes = sorted({*filter(None, named.split(",")), meta["name"]})
    left_out = (LAST_APPLIED, ROLLOUT_DURATION)
    annotations = {k: v for k, v in (meta.get("annotations") or {}).items() if k not in left_out}
    labels = {**(meta.get("labels") or {}), SERVICE_LABEL: meta["name"], SERVICE_UID_LABEL: meta["uid"]}
    return _child(CONFIGURATION, service, labels, {**annotations, ROUTES: ",".join(routes)},
                  {"template": service["spec"]["template"]})


def make_route(service: Object) -> Object:
    """The Route of a Service. Targets without a revision follow its Configuration (`MakeRoute`)."""
    meta = service["metadata"]
    annotations = {k: v for k, v in (meta.get("annotations") or {}).items() if k != LAST_APPLIED}
    labels = {**(meta.get("labels") or {}), SERVICE_LABEL: meta["name"]}
    traffic = [target if target.get("revisionName") else {**target, "configurationName": meta["name"]}
               for target in service["spec"].get("traffic") or []]
    return _child(ROUTE, service, labels, annotations, {"traffic": traffic})


def _child(kind: Kind, service: Object, labels: Object, annotations: Object, spec: Object) -> Object:
    meta = service["metadata"]
    return {
        "apiVersion": kind.api_version, "kind": kind.kind, "spec": spec,
        "metadata": {"name": meta["name"], "namespace": meta["namespace"], "labels": labels,
                     "annotations": annotations, "ownerReferences": [owner_reference(service)]},
    }


def _write_child(kind: Kind, desired: Object, service: Object, view: Objects, changes: Changes) -> Object | None:
    """Write a child if it differs. Returns the existing child if its controller has observed this spec, else None."""
    meta = desired["metadata"]
    existing = view.find(kind, meta["namespace"], meta["name"])
    if existing is None:
        changes.create(kind, desired)
        changes.event(service, "Normal", "Created", f'Created {kind.kind} "{meta["name"]}"', COMPONENT)
        return None
    same_spec = existing["spec"] == desired["spec"]
    have = existing["metadata"]
    if not (same_spec and have.get("labels") == meta["labels"] and have.get("annotations") == meta["annotations"]):
        wanted = {**have, "labels": meta["labels"], "annotations": meta["annotations"]}
        changes.update(kind, {**existing, "metadata": wanted, "spec": desired["spec"]})
    observed = (existing.get("status") or {}).get("observedGeneration") == have["generation"]
    return existing if same_spec and observed else None


def _copy_fields(status: Object, child: Object, fields: tuple[str, ...]) -> None:
    for field in fields:
        value = (child.get("status") or {}).get(field)
        if value:
            status[field] = value
        else:
            status.pop(field, None)


def _propagate(conditions: Conditions, type_: str, child: Object) -> None:
    """Copy the children's status (`PropagateConfigurationStatus`, `PropagateRouteStatus`)."""
    ready = condition(child, "Ready")
    if ready.get("status") == "True":
        conditions.mark_true(type_)
    elif ready.get("status") == "False":
        conditions.mark_false(type_, ready.get("reason", ""), ready.get("message", ""))
    elif ready:
        conditions.mark_unknown(type_, ready.get("reason", ""), ready.get("message", ""))


def _moves_traffic(status: Object, route: Object) -> bool:
    """Whether the Route's traffic differs from the traffic in the Service's status.

    Knative writes the Configuration before the Route, so clients see a new revision before the new traffic. In the
    other order, KServe would treat the latest ready revision as rolled back (`PropagateStatus`; kserve issues 1968 and
    2130).
    """
    return bool((route.get("status") or {}).get("traffic") != status.get("traffic"))


def _check_traffic(conditions: Conditions, status: Object, route: Object) -> None:
    """Mark the routes not ready if the Route's traffic is not the requested one yet (`checkRoutesNotReady`)."""
    if conditions.status_of("RoutesReady") != "True":
        return
    latest_ready = status.get("latestReadyRevisionName")
    wanted = [_target({**t, "revisionName": latest_ready} if "configurationName" in t else t)
              for t in route["spec"]["traffic"]]
    if wanted != [_target(t) for t in (route.get("status") or {}).get("traffic") or []]:
        conditions.mark_unknown("RoutesReady", "TrafficNotMigrated",
                                "Traffic is not yet migrated to the latest revision.")


def _target(target: Object) -> tuple[str, str, int]:
    return target.get("tag", ""), target.get("revisionName", ""), target.get("percent", 0)


RECONCILERS = (Reconciler("knative service", KNATIVE_SERVICE, reconcile, owns=(CONFIGURATION, ROUTE)),)
