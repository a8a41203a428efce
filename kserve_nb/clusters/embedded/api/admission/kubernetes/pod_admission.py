"""What a pod gets when it is created: API server defaults, its service account, KServe's pod webhook, tolerations.

Source: kubernetes plugin/pkg/admission/{serviceaccount,defaulttolerationseconds,priority}.
"""

from __future__ import annotations

from kserve_nb.clusters.embedded.api.admission.kserve import kserve_pod_webhook
from kserve_nb.clusters.embedded.api.admission.kubernetes.service_account_token import (
    has_token,
    mount_token,
    use_service_account,
)
from kserve_nb.clusters.embedded.api.admission.kubernetes.workload_defaults import (
    default_pod_spec,
    qos_class,
    request_limits,
)
from kserve_nb.clusters.embedded.api.admission.review import Review
from kserve_nb.clusters.embedded.apimachinery.objects import Object


def default(review: Review) -> None:
    """Set the API server's defaults for pods, then apply its mutating admission plugins and KServe's webhook."""
    new = review.new
    spec = new.setdefault("spec", {})
    default_pod_spec(spec)
    if review.old is None:
        use_service_account(new, review.objects)
        kserve_pod_webhook.mutate(new, review.objects)
        default_pod_spec(spec)  # defaults and plugins run again after a webhook
        if has_token(spec):
            mount_token(spec)
        _default_scheduling(spec)
        request_limits(spec)
        new["status"] = {"phase": "Pending", "qosClass": qos_class(spec)}


def _default_scheduling(spec: Object) -> None:
    spec.setdefault("enableServiceLinks", True)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    spec.setdefault("priority", 0)
    tolerations = spec.setdefault("tolerations", [])
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        if not any(t.get("key") == key for t in tolerations):
            tolerations.append({"effect": "NoExecute", "key": key, "operator": "Exists", "tolerationSeconds": 300})
