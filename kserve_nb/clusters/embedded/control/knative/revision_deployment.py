"""The Deployment and the PodAutoscaler of a revision.

Source: knative serving pkg/reconciler/revision/resources: deploy.go `MakeDeployment`, meta.go, pa.go `MakePA`. The
objects contain the API server's defaults.
"""

from __future__ import annotations

from kserve_nb.clusters.embedded.apimachinery.durations import parse_duration_s
from kserve_nb.clusters.embedded.apimachinery.kinds import DEPLOYMENT, POD_AUTOSCALER
from kserve_nb.clusters.embedded.apimachinery.objects import Object, condition, copied, owner_reference
from kserve_nb.clusters.embedded.container_images import pull_policy
from kserve_nb.clusters.embedded.control.framework.child_names import deployment_name
from kserve_nb.clusters.embedded.control.knative import queue_proxy_container
from kserve_nb.clusters.embedded.control.knative.autoscaling.autoscaling_options import Options
from kserve_nb.values.labels import (
    AUTOSCALING,
    CONFIGURATION_LABEL,
    KPA_CLASS,
    PROGRESS_DEADLINE,
    REVISION_LABEL,
    REVISION_PRESERVED,
    REVISION_UID_LABEL,
    ROUTE_LABEL,
    ROUTES,
    ROUTING_STATE_LABEL,
    ROUTING_STATE_MODIFIED,
    SERVICE_LABEL,
    SERVING,
)

PROGRESS_DEADLINE_S = 600
_EXCLUDED_LABELS = {ROUTE_LABEL, ROUTING_STATE_LABEL}
_EXCLUDED_ANNOTATIONS = {f"{SERVING}lastPinned", REVISION_PRESERVED, ROUTING_STATE_MODIFIED, ROUTES}
_OF_REVISION_ALONE = {
    "containerConcurrency", "timeoutSeconds", "responseStartTimeoutSeconds", "idleTimeoutSeconds", "containers"}


def make_deployment(revision: Object, options: Options) -> Object:
    """The Deployment that runs a revision with these autoscaling options."""
    annotations = _annotations(revision, autoscaling=False)
    labels = make_labels(revision)
    own = revision["metadata"].get("annotations", {})
    containers = revision["spec"]["containers"]
    pod_annotations = dict(annotations)
    serving = queue_proxy_container.serving_container(containers)
    if serving.get("name"):
        pod_annotations["kubectl.kubernetes.io/default-container"] = serving["name"]
    return {
        "apiVersion": DEPLOYMENT.api_version, "kind": DEPLOYMENT.kind,
        "metadata": {
            "annotations": annotations, "labels": labels, "name": deployment_name(revision["metadata"]["name"]),
            "namespace": revision["metadata"]["namespace"], "ownerReferences": [owner_reference(revision)]},
        "spec": {
            "progressDeadlineSeconds": int(
                parse_duration_s(own.get(PROGRESS_DEADLINE)) or PROGRESS_DEADLINE_S),
            "replicas": options.initial_scale,
            "revisionHistoryLimit": 0,
            "selector": {"matchLabels": {REVISION_UID_LABEL: revision["metadata"]["uid"]}},
            "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}, "type": "RollingUpdate"},
            "template": {
                "metadata": {"annotations": pod_annotations, "labels": dict(labels)},
                "spec": _pod_spec(revision)},
        },
    }


def make_pod_autoscaler(revision: Object, deployment: Object | None) -> Object:
    """The PodAutoscaler of a revision, with the defaults of its webhook (pa_defaults.go `SetDefaults`)."""
    annotations = _annotations(revision, autoscaling=True)
    class_ = annotations.setdefault(f"{AUTOSCALING}class", KPA_CLASS)
    annotations.setdefault(f"{AUTOSCALING}metric", "cpu" if class_.startswith("hpa.") else "concurrency")
    spec: Object = {
        "protocolType": queue_proxy_container.protocol(revision),
        "scaleTargetRef": {"apiVersion": DEPLOYMENT.api_version, "kind": DEPLOYMENT.kind,
                           "name": deployment_name(revision["metadata"]["name"])},
    }
    reached = reachability(revision, deployment)
    if reached:
        spec["reachability"] = reached
    if revision["spec"].get("containerConcurrency"):
        spec["containerConcurrency"] = revision["spec"]["containerConcurrency"]
    return {
        "apiVersion": POD_AUTOSCALER.api_version, "kind": POD_AUTOSCALER.kind,
        "metadata": {
            "annotations": annotations, "labels": make_labels(revision), "name": revision["metadata"]["name"],
            "namespace": revision["metadata"]["namespace"], "ownerReferences": [owner_reference(revision)]},
        "spec": spec,
    }


def reachability(revision: Object, deployment: Object | None) -> str:
    """Reachable or Unreachable by routing state; Unreachable if failed without a ready pod; else empty (pa.go)."""
    failed = any(condition(revision, type_).get("status") == "False"
                 for type_ in ("ResourcesAvailable", "ContainerHealthy"))
    if failed and deployment is not None and deployment["spec"].get("replicas", 1) > 0 \
            and not (deployment.get("status") or {}).get("readyReplicas"):
        return "Unreachable"
    state = revision["metadata"].get("labels", {}).get(ROUTING_STATE_LABEL)
    return {"active": "Reachable", "reserve": "Unreachable"}.get(state, "")


def make_labels(revision: Object) -> dict[str, str]:
    """The labels of a revision's Deployment and pods (meta.go `makeLabels`)."""
    meta = revision["metadata"]
    labels = {k: v for k, v in meta.get("labels", {}).items() if k not in _EXCLUDED_LABELS}
    labels |= {REVISION_LABEL: meta["name"], REVISION_UID_LABEL: meta["uid"]}
    labels.setdefault("app", meta["name"])
    return labels


def _annotations(revision: Object, *, autoscaling: bool) -> dict[str, str]:
    return {key: value for key, value in revision["metadata"].get("annotations", {}).items()
            if key not in _EXCLUDED_ANNOTATIONS and (autoscaling or not key.startswith(AUTOSCALING))}


def _pod_spec(revision: Object) -> Object:
    spec = copied({k: v for k, v in revision["spec"].items() if k not in _OF_REVISION_ALONE})
    containers = copied(revision["spec"]["containers"])
    serving = queue_proxy_container.serving_container(containers)
    spec["containers"] = [_user_container(c, revision, serves=c is serving) for c in containers]
    spec["containers"].append(queue_proxy_container.queue_container(revision))
    if spec.get("serviceAccountName"):
        spec["serviceAccount"] = spec["serviceAccountName"]  # the API server sets the deprecated field, too
    spec.setdefault("affinity", _spread_over_nodes(revision["metadata"]["name"]))
    spec.setdefault("enableServiceLinks", False)
    defaults: Object = {"dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler",
                        "securityContext": {}}
    return {**defaults, **spec, "terminationGracePeriodSeconds": revision["spec"].get("timeoutSeconds", 300)}


def _spread_over_nodes(revision: str) -> Object:
    term = {"labelSelector": {"matchLabels": {REVISION_LABEL: revision}}, "topologyKey": "kubernetes.io/hostname"}
    return {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"podAffinityTerm": term, "weight": 100}]}}


def _user_container(container: Object, revision: Object, *, serves: bool) -> Object:
    """A container with Knative's environment and preStop hook (deploy.go `makeContainer`, `makeServingContainer`).

    Its readiness probe is removed, because queue-proxy runs it.
    """
    labels = revision["metadata"].get("labels", {})
    environment = list(container.get("env") or [])
    if serves:
        port = queue_proxy_container.user_port(container)
        container["ports"] = [{"containerPort": port, "name": "user-port", "protocol": "TCP"}]
        environment.append({"name": "PORT", "value": str(port)})
    environment += [
        {"name": "K_REVISION", "value": revision["metadata"]["name"]},
        {"name": "K_CONFIGURATION", "value": labels.get(CONFIGURATION_LABEL, "")},
        {"name": "K_SERVICE", "value": labels.get(SERVICE_LABEL, "")}]
    if set(container.get("readinessProbe") or {}) & {"httpGet", "tcpSocket", "grpc"}:
        del container["readinessProbe"]
    drain = {"httpGet": {"path": "/wait-for-drain", "port": queue_proxy_container.ADMIN_PORT, "scheme": "HTTP"}}
    defaults: Object = {
        "imagePullPolicy": pull_policy(container.get("image", "")),
        "resources": {},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "FallbackToLogsOnError"}
    return {**defaults, **container, "env": environment, "lifecycle": {"preStop": drain}}
