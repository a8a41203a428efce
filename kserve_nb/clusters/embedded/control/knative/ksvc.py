"""Knative Service → Configuration and Route.

Source: knative.dev/serving pkg/reconciler/service/service.go, its resources/, and
pkg/apis/serving/v1/service_lifecycle.go.
"""

from __future__ import annotations

from kserve_nb.clusters.embedded.control.framework.condition_set import Conditions
from kserve_nb.clusters.embedded.control.framework.kreconciler import begin, finish
from kserve_nb.clusters.embedded.control.framework.loop import Changes, Moment, Reconciler
from kserve_nb.clusters.embedded.kinds import CONFIGURATION, KNATIVE_SERVICE, ROUTE
from kserve_nb.clusters.embedded.objects import Kind, Object, Objects, condition, owner_reference
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
    """One pass (`ReconcileKind`): write Configuration and Route, then say what they say."""
    changes = Changes()
    if "deletionTimestamp" in service["metadata"]:
        return changes
    status, conditions = begin(service, DEPENDENTS, moment.now)
    configuration = _keep(CONFIGURATION, make_configuration(service, view), service, view, changes)
    route = _keep(ROUTE, make_route(service), service, view, changes)
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
    """The Route of a Service: targets without a revision follow its Configuration (`MakeRoute`)."""
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


def _keep(kind: Kind, desired: Object, service: Object, view: Objects, changes: Changes) -> Object | None:
    """Write the child where it differs; the child where it has observed all that is asked of it, else None."""
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
    """`PropagateConfigurationStatus` and `PropagateRouteStatus`."""
    ready = condition(child, "Ready")
    if ready.get("status") == "True":
        conditions.mark_true(type_)
    elif ready.get("status") == "False":
        conditions.mark_false(type_, ready.get("reason", ""), ready.get("message", ""))
    elif ready:
        conditions.mark_unknown(type_, ready.get("reason", ""), ready.get("message", ""))


def _moves_traffic(status: Object, route: Object) -> bool:
    """Whether the Route shows another split than the Service so far.

    Knative writes the Configuration before the Route, so the split is not seen before the revision it was made for.
    Were it, KServe would take the newest ready revision for one that is rolled back (`PropagateStatus`; kserve issues
    1968 and 2130).
    """
    return bool((route.get("status") or {}).get("traffic") != status.get("traffic"))


def _check_traffic(conditions: Conditions, status: Object, route: Object) -> None:
    """A Route that is Ready with another split than the one asked for is not there yet (`checkRoutesNotReady`)."""
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


RECONCILERS = (Reconciler("ksvc", KNATIVE_SERVICE, reconcile, owns=(CONFIGURATION, ROUTE)),)
