"""Fields that the embedded cluster accepts but does not act on. Each one earns a warning when an object is applied.

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
        effect: what happens, or does not happen, here.
        instead: what to do about it.
        values: a regular expression for the values that have no effect; all values if it is None.
        warns: whether a write is answered with a warning. Fields of the tutorial's own manifests are only documented.
    """

    kinds: tuple[Kind, ...]
    path: str
    effect: str
    instead: str = _KIND_CLUSTER
    values: str | None = None
    warns: bool = True


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
_ANNOTATIONS = ("target-burst-capacity", "panic-window-percentage", "panic-threshold-percentage", "scale-down-delay",
                "activation-scale", "metric-aggregation-algorithm")


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
        for key in _ANNOTATIONS:
            yield Difference((kind,), f"{prefix}.annotations.{_SCALING}{key}",
                             "the autoscaler uses Knative's default for it")
        yield Difference((kind,), f"{prefix}.annotations.{_SCALING}class", "only Knative's own autoscaler (kpa) runs",
                         values=r"(?!kpa\.).*")


DIFFERENCES: tuple[Difference, ...] = (
    *(Difference((INFERENCE_SERVICE,), f"spec.predictor.{path}", effect, instead)
      for path, effect, instead in _PREDICTOR),
    *_of_pod_specs(), *_of_annotations(),
    Difference(_RUNTIMES, "spec.workerSpec", "models on several nodes do not run"),
    Difference(_RUNTIMES, "spec.multiModel", "ModelMesh does not run", values="True"),
    Difference((SERVICE,), "spec.type", "no process listens on a node port or a load balancer's address",
               "Use kubectl port-forward", values="NodePort|LoadBalancer"),
    Difference((VIRTUAL_SERVICE,), "spec", "the gateway serves only the VirtualServices that KServe writes"),
    Difference((CONFIG_MAP,), "metadata.namespace", "Knative's configuration is not read; its defaults apply",
               values="knative-serving"),
)


def warnings_for(kind: Kind, obj: Object) -> list[str]:
    """The warnings for an object that a user writes: one for each field of it that has no effect."""
    return [f"{item.path}: {item.effect}. {item.instead}." for item in DIFFERENCES
            if item.warns and kind in item.kinds and any(_matches(item, value) for value in _values(obj, item.path))]


def _matches(item: Difference, value: Any) -> bool:
    return value not in (None, {}, []) and (item.values is None or re.fullmatch(item.values, str(value)) is not None)


def _values(obj: Any, path: str) -> Iterator[Any]:
    """The values at a path, of which a part may be a key with dots and slashes (annotations)."""
    if ".annotations." in path:
        holder, _, key = path.partition(".annotations.")
        for found in _values(obj, f"{holder}.annotations"):
            yield found.get(key) if isinstance(found, dict) else None
        return
    name, _, rest = path.partition(".")
    value = obj.get(name.removesuffix("[]")) if isinstance(obj, dict) else None
    for item in (value or []) if name.endswith("[]") else [value]:
        yield from _values(item, rest) if rest else [item]
