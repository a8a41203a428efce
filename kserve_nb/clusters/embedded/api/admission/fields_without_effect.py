"""Fields that the embedded cluster accepts but does not act on. Each one causes a warning when an object is applied.

`docs/differences.md` is generated from this table: `python -m kserve_nb.clusters.embedded.api.admission.differences`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kserve_nb.clusters.embedded.apimachinery.kinds import (
    CLUSTER_SERVING_RUNTIME,
    CONFIG_MAP,
    DEPLOYMENT,
    INFERENCE_SERVICE,
    KNATIVE_SERVICE,
    POD,
    SERVICE,
    SERVING_RUNTIME,
    VIRTUAL_SERVICE,
)
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object

_KIND_CLUSTER = "Use a kind cluster: kserve-nb up --cluster kind"
_SCALING = "autoscaling.knative.dev/"


@dataclass(frozen=True)
class Difference:
    """A field without effect.

    Args:
        path: names separated by dots; `[]` stands for each item of a list.
        effect: the behaviour of the embedded cluster.
        instead: what to do about it.
        values: a regular expression for the values that have no effect; all values if it is None.
        warns: whether a write is answered with a warning. Fields of the tutorial's own manifests are only documented.
        objects: a regular expression for `NAMESPACE/NAME` of the objects that it is about; all objects if it is None.
    """

    kinds: tuple[Kind, ...]
    path: str
    effect: str
    instead: str = _KIND_CLUSTER
    values: str | None = None
    warns: bool = True
    objects: str | None = None


_RUNTIMES = (SERVING_RUNTIME, CLUSTER_SERVING_RUNTIME)
_PODS = {INFERENCE_SERVICE: "spec.predictor", POD: "spec", DEPLOYMENT: "spec.template.spec",
         KNATIVE_SERVICE: "spec.template.spec", SERVING_RUNTIME: "spec", CLUSTER_SERVING_RUNTIME: "spec"}
_OF_CONTAINERS = (
    ("livenessProbe", "containers are not probed for liveness; a process that ends is restarted", _KIND_CLUSTER),
    ("startupProbe", "start-up probes are not run; readiness probes are", "Use a readiness probe"),
    ("resources.limits.cpu", "CPU limits are not enforced", _KIND_CLUSTER),
)
_OF_PODS = (
    ("volumes[].configMap", "ConfigMaps are not mounted into pods", "Use a claim or an emptyDir"),
    ("volumes[].secret", "Secrets are not mounted into pods", "Use a claim or an emptyDir"),
    ("imagePullSecrets", "no image is pulled from a registry", _KIND_CLUSTER),
    ("securityContext", "pods run with the rights of this machine's sandbox, whatever their context", _KIND_CLUSTER),
)
_PREDICTOR = (
    ("logger", "the agent container is there, but it logs no requests", _KIND_CLUSTER),
    ("batcher", "the agent container is there, but it batches no requests", _KIND_CLUSTER),
    ("model.storage", "storage secrets are not read, so the model is not downloaded", "Use storageUri"),
    ("model.confidential", "encrypted models are not decrypted", _KIND_CLUSTER),
    ("model.runtimeVersion", "the node runs its own scikit-learn model server, whatever the version",
     "Leave it out, or use a kind cluster: kserve-nb up --cluster kind"),
)
_OTHER_FORMATS = "xgboost|lightgbm|tensorflow|pytorch|triton|onnx|huggingface|pmml|paddle|mlflow|autogluon"
_NO_SERVER = "the node runs KServe's scikit-learn server only; servers of other formats are published as images only"
_ALGORITHMS = ("metric-aggregation-algorithm", "metricAggregationAlgorithm")
_FEATURES = ("tag-header-based-routing", "autodetect-http2", "multi-container-probing", "queueproxy.mount-podinfo",
             "queueproxy.resource-defaults", "kubernetes.podspec-dryrun")
_UNREAD_CONFIGS = "certmanager|deployment|gc|leader-election|logging|network|observability|tracing"


def _of_pod_specs() -> Iterator[Difference]:
    for kind, prefix in _PODS.items():
        for path, effect, instead in _OF_PODS:
            yield Difference((kind,), f"{prefix}.{path}", effect, instead)
        lists = ("containers[]", *(("model",) if kind == INFERENCE_SERVICE else ()))
        for holder in lists:
            for path, effect, instead in _OF_CONTAINERS:
                yield Difference((kind,), f"{prefix}.{holder}.{path}", effect, instead, warns="limits" not in path)
            yield Difference(
                (kind,), f"{prefix}.{holder}.image", "the node runs its own scikit-learn model server for every tag",
                "Use v0.20.0, or a kind cluster: kserve-nb up --cluster kind", r".*sklearnserver:(?!v0\.20\.0$).*")


def _of_annotations() -> Iterator[Difference]:
    for kind, prefix in ((INFERENCE_SERVICE, "metadata"), (KNATIVE_SERVICE, "spec.template.metadata")):
        for key in _ALGORITHMS:
            yield Difference((kind,), f"{prefix}.annotations.{_SCALING}{key}",
                             "the autoscaler uses the mean over the window", values="(?!linear).*")
        yield Difference((kind,), f"{prefix}.annotations.{_SCALING}class", "only Knative's own autoscaler (kpa) runs",
                         values=r"(?!kpa\.).*")


def _of_config_maps() -> Iterator[Difference]:
    unread = f"knative-serving/config-({_UNREAD_CONFIGS})"
    yield Difference((CONFIG_MAP,), "data", "the embedded cluster does not read it; Knative's defaults apply",
                     objects=unread)
    yield Difference((CONFIG_MAP,), "data", "the domain of the cluster's URLs is always example.com",
                     objects="knative-serving/config-domain", values="(?!{'example.com': ''}).*")
    for key in _FEATURES:
        yield Difference((CONFIG_MAP,), f"data.{key}", "the feature does not exist here",
                         objects="knative-serving/config-features", values="(?i)enabled|allowed")
    yield Difference((CONFIG_MAP,), "data.pod-autoscaler-class", "only Knative's own autoscaler (kpa) runs",
                     objects="knative-serving/config-autoscaler", values=r"(?!kpa\.).*")
    for key, effect in (("ingress", "hosts and gateway stay as the cluster was started"),
                        ("credentials", "storage secrets are not read"), ("localModel", "models are not cached"),
                        ("opentelemetryCollector", "no metrics are collected")):
        yield Difference((CONFIG_MAP,), f"data.{key}", effect, objects="kserve/inferenceservice-config")


DIFFERENCES: tuple[Difference, ...] = (
    *(Difference((INFERENCE_SERVICE,), f"spec.predictor.{path}", effect, instead)
      for path, effect, instead in _PREDICTOR),
    Difference((INFERENCE_SERVICE,), "spec.predictor.model.modelFormat.name", _NO_SERVER, values=_OTHER_FORMATS),
    *_of_pod_specs(), *_of_annotations(),
    Difference(_RUNTIMES, "spec.workerSpec", "models on several nodes do not run"),
    Difference(_RUNTIMES, "spec.multiModel", "ModelMesh does not run", values="True"),
    Difference((SERVICE,), "spec.type", "no process listens on a node port or a load balancer's address",
               "Use kubectl port-forward", values="NodePort|LoadBalancer"),
    Difference((VIRTUAL_SERVICE,), "spec", "the gateway serves only the VirtualServices that KServe writes"),
    *_of_config_maps(),
)


def warnings_for(kind: Kind, obj: Object) -> list[str]:
    """The warnings for an object that a user writes: one for each field of it that has no effect."""
    return [f"{item.path}: {item.effect}. {item.instead}." for item in DIFFERENCES
            if item.warns and kind in item.kinds and _is_about(item, obj)
            and any(_matches(item, value) for value in _values(obj, item.path))]


def _is_about(item: Difference, obj: Object) -> bool:
    meta = obj.get("metadata") or {}
    return item.objects is None or re.fullmatch(item.objects, f"{meta.get('namespace')}/{meta.get('name')}") is not None


def _matches(item: Difference, value: Any) -> bool:
    return value not in (None, {}, []) and (item.values is None or re.fullmatch(item.values, str(value)) is not None)


def _values(obj: Any, path: str) -> Iterator[Any]:
    """The values at a path, of which a part may be a key with dots and slashes (of annotations or data)."""
    if path.startswith("data."):
        yield (obj.get("data") or {}).get(path.removeprefix("data."))
        return
    if ".annotations." in path:
        holder, _, key = path.partition(".annotations.")
        for found in _values(obj, f"{holder}.annotations"):
            yield found.get(key) if isinstance(found, dict) else None
        return
    name, _, rest = path.partition(".")
    value = obj.get(name.removesuffix("[]")) if isinstance(obj, dict) else None
    for item in (value or []) if name.endswith("[]") else [value]:
        yield from _values(item, rest) if rest else [item]
