"""Revisions: the Deployment and PodAutoscaler of each, and the status that follows from them and the pods.

Source: knative serving pkg/reconciler/revision (revision.go, reconcile_resources.go) and
pkg/apis/serving/v1/revision_lifecycle.go.
"""

from __future__ import annotations

from collections.abc import Iterable

from kserve_nb.clusters.embedded.apimachinery.kinds import DEPLOYMENT, POD, POD_AUTOSCALER, REVISION
from kserve_nb.clusters.embedded.apimachinery.objects import Object, Objects, condition, is_true
from kserve_nb.clusters.embedded.control.framework.child_names import deployment_name
from kserve_nb.clusters.embedded.control.framework.condition_set import Conditions
from kserve_nb.clusters.embedded.control.framework.reconciler import Changes, Key, Moment, Reconciler
from kserve_nb.clusters.embedded.control.knative import queue_proxy_container
from kserve_nb.clusters.embedded.control.knative.autoscaling.autoscaling_options import Options
from kserve_nb.clusters.embedded.control.knative.knative_reconciler import begin, finish
from kserve_nb.clusters.embedded.control.knative.revision_deployment import (
    make_deployment,
    make_pod_autoscaler,
)
from kserve_nb.values.labels import AUTOSCALING, REVISION_LABEL

_DEPENDENTS = ("ResourcesAvailable", "ContainerHealthy")
_DEFAULTED = {f"{AUTOSCALING}class", f"{AUTOSCALING}metric"}


def reconcile(revision: Object, objects: Objects, moment: Moment) -> Changes:
    """Write the Deployment and the PodAutoscaler, then propagate their status (revision.go `ReconcileKind`)."""
    changes = Changes()
    if "deletionTimestamp" in revision["metadata"]:
        return changes
    was_ready = is_true(revision, "Ready")
    status, conditions = begin(revision, _DEPENDENTS, moment.now)
    if "containerStatuses" not in (revision.get("status") or {}) and "conditions" not in (revision.get("status") or {}):
        # The first reconciliation only requests the images' digests; the next one has them.
        conditions.mark_unknown("ResourcesAvailable", "ResolvingDigests")
    else:
        status.setdefault("containerStatuses", [{"name": c["name"]} for c in revision["spec"]["containers"]])
        deployment = _deployment(revision, objects, conditions, changes)
        _pod_autoscaler({**revision, "status": status}, deployment, objects, conditions, changes)
    if not was_ready and conditions.status_of("Ready") == "True":
        changes.event(revision, "Normal", "RevisionReady",
                      "Revision becomes ready upon all resources being ready", "revision-controller")
    finish(REVISION, revision, status, changes)
    return changes


def _deployment(revision: Object, objects: Objects, conditions: Conditions, changes: Changes) -> Object | None:
    """Create the Deployment or propagate its status (reconcile_resources.go `reconcileDeployment`)."""
    meta = revision["metadata"]
    deployment = objects.find(DEPLOYMENT, meta["namespace"], deployment_name(meta["name"]))
    if deployment is None:
        conditions.mark_unknown("ResourcesAvailable", "Deploying")
        conditions.mark_unknown("ContainerHealthy", "Deploying")
        changes.create(DEPLOYMENT, make_deployment(revision, Options.of(revision, objects)))
        return None
    if not _owns(revision, deployment):
        conditions.mark_false("ResourcesAvailable", "NotOwned", _not_owned("Deployment", deployment))
        return deployment
    _propagate_deployment(deployment, conditions)
    status = deployment.get("status") or {}
    if deployment["spec"].get("replicas", 1) > 0 and not status.get("availableReplicas"):
        pods = objects.list(POD, meta["namespace"], deployment["spec"]["selector"]["matchLabels"])
        if pods:
            _diagnose(pods[0], deployment, conditions)
    if status.get("readyReplicas"):
        conditions.mark_true("ContainerHealthy")
    return deployment


def _propagate_deployment(deployment: Object, conditions: Conditions) -> None:
    """Set ResourcesAvailable: the rollout progresses, and no ReplicaSet fails (`TransformDeploymentStatus`)."""
    progressing, failure = condition(deployment, "Progressing"), condition(deployment, "ReplicaFailure")
    if failure.get("status") == "True":
        conditions.mark_false("ResourcesAvailable", failure.get("reason", ""), failure.get("message", ""))
    elif progressing.get("status") == "False":
        conditions.mark_false("ResourcesAvailable", progressing.get("reason", ""), progressing.get("message", ""))
    elif progressing.get("status") == "True":
        conditions.mark_true("ResourcesAvailable")
    else:
        conditions.mark_unknown("ResourcesAvailable", progressing.get("reason", "Deploying"))


def _diagnose(pod: Object, deployment: Object, conditions: Conditions) -> None:
    """Report why no pod is available: not scheduled, crashing, or waiting beyond the progress deadline."""
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        conditions.mark_false("ResourcesAvailable", scheduled.get("reason", ""), scheduled.get("message", ""))
    for container in (pod.get("status") or {}).get("containerStatuses") or []:
        if container["name"] == queue_proxy_container.NAME:
            continue
        ended = (container.get("lastState") or {}).get("terminated")
        waiting = (container.get("state") or {}).get("waiting")
        if ended:
            message = ended.get("message", "")
            if ended["exitCode"] == 0 and not message:
                message = "container exited with no error"
            conditions.mark_false("ContainerHealthy", f"ExitCode{ended['exitCode']}",
                                  f"Container failed with: {message}")
            return
        if waiting and condition(deployment, "Progressing").get("reason") == "ProgressDeadlineExceeded":
            conditions.mark_false("ResourcesAvailable", waiting.get("reason", ""), waiting.get("message", ""))
            return


def _pod_autoscaler(revision: Object, deployment: Object | None, objects: Objects, conditions: Conditions,
                    changes: Changes) -> None:
    """Create or update the PodAutoscaler and propagate its status (reconcile_resources.go `reconcilePA`)."""
    meta = revision["metadata"]
    autoscaler = objects.find(POD_AUTOSCALER, meta["namespace"], meta["name"])
    if autoscaler is None:
        changes.create(POD_AUTOSCALER, make_pod_autoscaler(revision, deployment))
    elif not _owns(revision, autoscaler):
        conditions.mark_false("ResourcesAvailable", "NotOwned", _not_owned("PodAutoscaler", autoscaler))
        return
    _propagate_autoscaler((autoscaler or {}).get("status") or {}, revision["status"], conditions)
    if autoscaler is None:
        return
    wanted = make_pod_autoscaler(revision, deployment)
    annotations = _synced_annotations(autoscaler["metadata"].get("annotations", {}), wanted["metadata"]["annotations"])
    if wanted["spec"] != autoscaler["spec"] or annotations != autoscaler["metadata"].get("annotations", {}):
        autoscaler["metadata"]["annotations"] = annotations
        changes.update(POD_AUTOSCALER, {**autoscaler, "spec": wanted["spec"]})


def _propagate_autoscaler(autoscaler: Object, status: Object, conditions: Conditions) -> None:
    """Derive replicas and conditions from the PodAutoscaler (`PropagateAutoscalerStatus`)."""
    unavailable = "False" in (conditions.status_of("ResourcesAvailable"), conditions.status_of("ContainerHealthy"))
    for field, source in (("actualReplicas", "actualScale"), ("desiredReplicas", "desiredScale")):
        status.pop(field, None)
        if autoscaler.get(source, -1) >= 0:
            status[field] = autoscaler[source]
    ready = condition({"status": autoscaler}, "Ready")
    if not ready:
        conditions.mark_unknown("Active", "Deploying")
        if not unavailable:
            conditions.mark_unknown("ResourcesAvailable", "Deploying")
        return
    initialized = is_true({"status": autoscaler}, "ScaleTargetInitialized")
    if initialized and not unavailable:
        conditions.mark_true("ResourcesAvailable")
        conditions.mark_true("ContainerHealthy")
    if conditions.status_of("ResourcesAvailable") == "True" and not (autoscaler.get("serviceName") and initialized):
        conditions.mark_unknown("ResourcesAvailable", "Deploying")
    reason, message = ready.get("reason", ""), ready.get("message", "")
    if ready["status"] == "Unknown":
        conditions.mark_unknown("Active", reason, message)
    elif ready["status"] == "True":
        conditions.mark_true("Active")
    else:
        if not initialized and not unavailable and autoscaler.get("serviceName"):
            conditions.mark_false(
                "ResourcesAvailable", "ProgressDeadlineExceeded", "Initial scale was never achieved")
        conditions.mark_false("Active", reason, message)


def _synced_annotations(held: dict[str, str], wanted: dict[str, str]) -> dict[str, str]:
    """Autoscaling annotations follow the revision, except the defaulted ones (`syncAnnotationsForKPA`)."""
    kept = {k: v for k, v in held.items() if k in _DEFAULTED or not k.startswith(AUTOSCALING)}
    return {**kept, **wanted}


def _owns(revision: Object, child: Object) -> bool:
    owners = child["metadata"].get("ownerReferences") or []
    return any(o.get("controller") and o["uid"] == revision["metadata"]["uid"] for o in owners)


def _not_owned(kind: str, child: Object) -> str:
    return f'There is an existing {kind} "{child["metadata"]["name"]}" that we do not own.'


def _of_pod(pod: Object, _objects: Objects) -> Iterable[Key]:
    """The key of a pod's revision, which is reconciled when the pod changes: a crash changes no other object."""
    name = pod["metadata"].get("labels", {}).get(REVISION_LABEL)
    if name:
        yield pod["metadata"]["namespace"], name


RECONCILERS: tuple[Reconciler, ...] = (
    Reconciler("revision", REVISION, reconcile, owns=(DEPLOYMENT, POD_AUTOSCALER), watches={POD: _of_pod}),
)
