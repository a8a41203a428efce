"""KServe's webhook for pods of an InferenceService: the model's files, the agent container, annotations for metrics.

Source: kserve 0.20 pkg/webhook/admission/pod/{mutator,accelerator_injector,storage_initializer_injector,
metrics_aggregate_injector}.go.
"""

from __future__ import annotations

from kserve_nb.clusters.embedded.api.admission.kserve import kserve_config
from kserve_nb.clusters.embedded.api.admission.kserve.agent_injector import inject_agent
from kserve_nb.clusters.embedded.api.admission.review import denied
from kserve_nb.clusters.embedded.apimachinery.kinds import CLUSTER_STORAGE_CONTAINER, INFERENCE_SERVICE, NAMESPACE
from kserve_nb.clusters.embedded.apimachinery.objects import Object, Objects, StatusError
from kserve_nb.clusters.embedded.storage_initializer import INITIALIZER, SERVER, find_storage_container, provide_model
from kserve_nb.values.labels import INFERENCE_SERVICE_LABEL, KSERVE_INTERNAL, SOURCE_URI

WEBHOOK = "inferenceservice.kserve-webhook-server.pod-mutator"
_ACCELERATOR = "serving.kserve.io/gke-accelerator"


def mutate(pod: Object, objects: Objects) -> None:
    """Change a new pod as KServe's webhook does. Raises StatusError."""
    meta = pod["metadata"]
    name = (meta.get("labels") or {}).get(INFERENCE_SERVICE_LABEL)
    namespace = objects.find(NAMESPACE, None, meta["namespace"]) or {"metadata": {}}
    is_excluded = "control-plane" in (namespace["metadata"].get("labels") or {})
    if name is None or is_excluded or not pod["spec"].get("containers"):
        return
    annotations = meta["annotations"] = meta.get("annotations") or {}
    if annotations.get(_ACCELERATOR):
        selector = pod["spec"].setdefault("nodeSelector", {})
        selector["cloud.google.com/gke-accelerator"] = annotations[_ACCELERATOR]
    _provide_model(pod, objects)
    isvc = objects.find(INFERENCE_SERVICE, meta["namespace"], name)
    inject_agent(pod, isvc, kserve_config.section(objects, "agent"), kserve_config.section(objects, "logger"))
    _annotate_metrics(annotations, objects)


def _provide_model(pod: Object, objects: Objects) -> None:
    """Add what provides the model's files (`InjectStorageInitializer`)."""
    spec, annotations = pod["spec"], pod["metadata"]["annotations"]
    uri = annotations.get(SOURCE_URI)
    has_initializer = any(c.get("name") == INITIALIZER for c in spec.get("initContainers") or [])
    if not uri or f"{KSERVE_INTERNAL}agent" in annotations or has_initializer:
        return
    if all(container.get("name") != SERVER for container in spec.get("containers") or []):
        raise _failed(f"Invalid configuration: cannot find container: {SERVER}")
    try:
        container_spec = find_storage_container(uri, annotations.get(f"{KSERVE_INTERNAL}storage-container-name"),
                                                objects.list(CLUSTER_STORAGE_CONTAINER))
    except ValueError as error:
        raise _failed(str(error)) from error
    provide_model(spec, uri, container_spec, kserve_config.section(objects, "storageInitializer"),
                  read_only=annotations.get("storage.kserve.io/readonly") != "false")


def _failed(message: str) -> StatusError:
    return denied(WEBHOOK, message, code=500, reason="InternalError")


def _annotate_metrics(annotations: dict[str, str], objects: Objects) -> None:
    config = kserve_config.section(objects, "metricsAggregator")
    annotations.setdefault("serving.kserve.io/enable-metric-aggregation",
                           config.get("enableMetricAggregation", "false"))
    annotations.setdefault("serving.kserve.io/enable-prometheus-scraping",
                           config.get("enablePrometheusScraping", "false"))
