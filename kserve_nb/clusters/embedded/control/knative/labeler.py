"""Labels the revisions and Configurations that a Route refers to: label routingState, annotation routes.

Source: knative.dev/serving pkg/reconciler/labeler (metasync.go `syncRoutingMeta`, accessors.go).
"""

from __future__ import annotations

from collections.abc import Iterator

from kserve_nb.clusters.embedded.apimachinery.kinds import CONFIGURATION, REVISION, ROUTE
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object, Objects, condition, key_of, utc
from kserve_nb.clusters.embedded.control.framework.reconciler import Changes, Moment, Reconciler
from kserve_nb.clusters.embedded.control.knative.knative_reconciler import clear_finalizer, set_finalizer
from kserve_nb.clusters.embedded.control.knative.route import routes_of
from kserve_nb.values.labels import (
    CONFIGURATION_LABEL,
    ROUTES,
    ROUTING_STATE_LABEL,
    ROUTING_STATE_MODIFIED,
)

FINALIZER = "routes.serving.knative.dev"


def reconcile(route: Object, view: Objects, moment: Moment) -> Changes:
    """Label the revisions that a Route refers to; clear the labels of others once the Route is Ready or has failed.

    Percents do not matter: the Route also refers to a target of 0 %.
    """
    changes = Changes()
    if "deletionTimestamp" in route["metadata"]:
        _sync(route, view, moment, set(), set(), changes, clear=True)
        clear_finalizer(ROUTE, route, FINALIZER, changes)
        return changes
    set_finalizer(ROUTE, route, FINALIZER, changes)
    configurations, revisions = set(), set()
    for configuration, names in _references(route, view):
        configurations.add(configuration)
        revisions |= names
    _sync(route, view, moment, configurations, revisions, changes, clear=_is_settled(route))
    return changes


def _references(route: Object, view: Objects) -> Iterator[tuple[str, set[str]]]:
    """The Configuration and the revisions of each target in the Route's spec and status.

    A target that follows the latest revision also refers to the latest created one, so that this one keeps its pods
    while it becomes ready.
    """
    namespace = route["metadata"]["namespace"]
    for target in [*((route.get("status") or {}).get("traffic") or []), *(route["spec"].get("traffic") or [])]:
        name, named = target.get("configurationName"), set()
        if target.get("revisionName"):
            revision = view.find(REVISION, namespace, target["revisionName"])
            if revision is None:
                continue
            named.add(target["revisionName"])
            owners = revision["metadata"].get("ownerReferences") or []
            name = next((o["name"] for o in owners if o["kind"] == CONFIGURATION.kind), name)
        configuration = view.find(CONFIGURATION, namespace, name) if name else None
        if configuration is not None:
            created = (configuration.get("status") or {}).get("latestCreatedRevisionName")
            yield str(name), named | ({created} if created and target.get("latestRevision") else set())


def _is_settled(route: Object) -> bool:
    """Whether the Route is Ready or has failed at its current generation."""
    observed = (route.get("status") or {}).get("observedGeneration") == route["metadata"]["generation"]
    return observed and condition(route, "Ready").get("status") in ("True", "False")


def _sync(route: Object, view: Objects, moment: Moment, configurations: set[str], revisions: set[str],
          changes: Changes, *, clear: bool) -> None:
    """Update revisions and Configurations (`clearMetaForNotListed`, `setMetaForListed`)."""
    namespace, name = key_of(route)
    known = configurations | {name}  # the Configuration of a Service has the Route's name
    found = [(REVISION, r, revisions) for c in sorted(known) for r in view.list(
        REVISION, namespace, {CONFIGURATION_LABEL: c})]
    found += [(CONFIGURATION, c, configurations) for c in (
        view.find(CONFIGURATION, namespace, one) for one in sorted(known)) if c is not None]
    for kind, obj, listed in found:
        held = _routes(obj)
        if obj["metadata"]["name"] in listed:
            _write(kind, obj, held | {name}, moment, changes)
        elif clear and name in held:
            _write(kind, obj, held - {name}, moment, changes)


def _routes(obj: Object) -> set[str]:
    return set(filter(None, (obj["metadata"].get("annotations") or {}).get(ROUTES, "").split(",")))


def _write(kind: Kind, obj: Object, routes: set[str], moment: Moment, changes: Changes) -> None:
    """Write the annotation, and a revision's routing state, if either differs."""
    meta = obj["metadata"]
    annotations, labels = dict(meta.get("annotations") or {}), dict(meta.get("labels") or {})
    annotations.pop(ROUTES, None)
    if routes:
        annotations[ROUTES] = ",".join(sorted(routes))
    state = "active" if routes else "reserve"
    if kind is REVISION and labels.get(ROUTING_STATE_LABEL) != state:
        labels[ROUTING_STATE_LABEL] = state
        annotations[ROUTING_STATE_MODIFIED] = utc(moment.now)
    if annotations != (meta.get("annotations") or {}) or labels != (meta.get("labels") or {}):
        changes.update(kind, {**obj, "metadata": {**meta, "labels": labels, "annotations": annotations}})


RECONCILERS = (Reconciler("labeler", ROUTE, reconcile, watches={CONFIGURATION: routes_of, REVISION: routes_of}),)
