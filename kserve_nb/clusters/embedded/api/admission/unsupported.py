"""Refuses objects that a real cluster accepts and the embedded cluster cannot run.

Each message names what does not run, the consequence, and an alternative.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from kserve_nb.clusters.embedded.api.admission.kserve.components import COMPONENTS, containers_of
from kserve_nb.clusters.embedded.api.admission.kserve.isvc_defaults import DEPLOYMENT_MODE
from kserve_nb.clusters.embedded.api.admission.review import Review, denied
from kserve_nb.clusters.embedded.api.admission.unsupported_text import KIND_CLUSTER, WEBHOOK, refusal
from kserve_nb.clusters.embedded.apimachinery.kinds import (
    CLUSTER_SERVING_RUNTIME,
    CONFIGURATION,
    INFERENCE_SERVICE,
    KNATIVE_SERVICE,
    SERVING_RUNTIME,
)
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object, StatusError

_MODES = {"Standard": "the deployment mode Standard (RawDeployment)", "ModelMesh": "the deployment mode ModelMesh"}


def refuse_kind(kind: Kind, name: str) -> None:
    """Refuse a kind that nothing in the embedded cluster acts on. Raises StatusError 403."""
    if kind.idle:
        raise denied(WEBHOOK, f"the embedded cluster runs InferenceServices only: nothing would act on the {kind.kind} "
                              f"{name!r}. Use {KIND_CLUSTER}")


def refuse(review: Review) -> None:
    """Refuse an object that the embedded cluster cannot run. Raises StatusError 403."""
    refuse_kind(review.kind, review.name)
    for error in _REFUSALS.get(review.kind, _nothing)(review):
        raise error


def _nothing(_: Review) -> Iterator[StatusError]:
    return iter(())


def _inference_service_refusals(review: Review) -> Iterator[StatusError]:
    spec, subject = review.new["spec"], f"the InferenceService {review.name!r}"
    if spec.get("canary"):
        yield refusal(
            f"spec.canary, because it belongs to the deployment mode Standard: the canaries of {subject} would never "
            "start. On a real cluster, KServe 0.20.0 starts their pods but routes no traffic to them (weights came "
            "after 0.20)", "For a canary that receives traffic, remove spec.canary and the annotation "
            f"{DEPLOYMENT_MODE}, and set spec.predictor.canaryTrafficPercent")
    mode = review.annotations.get(DEPLOYMENT_MODE, "")
    if mode in _MODES:
        yield refusal(f"{_MODES[mode]}: nothing would create the pods of {subject}", _mode_alternative(review))
    for component in ("transformer", "explainer"):
        if component in spec:
            yield refusal(f"{component}s: spec.{component} of {subject} would never start",
                           f"Remove spec.{component}")
    if "workerSpec" in spec["predictor"]:
        yield refusal(f"models on several nodes: the workers of {subject} would never start",
                       "Remove spec.predictor.workerSpec")
    for component in COMPONENTS:
        yield from _grpc_refusals(containers_of(component, spec.get(component) or {}), subject)
    protocol = (spec["predictor"].get("model") or {}).get("protocolVersion") or ""
    if protocol.startswith("grpc"):
        yield refusal(f"gRPC: requests to {subject} in protocol {protocol} would get 404",
                       "Set protocolVersion to v1 or v2 (REST)")


def _mode_alternative(review: Review) -> str:
    if DEPLOYMENT_MODE in ((review.given.get("metadata") or {}).get("annotations") or {}):
        return f"Remove the annotation {DEPLOYMENT_MODE} (the default is Knative)"
    return "Set defaultDeploymentMode to Knative in ConfigMap kserve/inferenceservice-config"


def _knative_refusals(review: Review) -> Iterator[StatusError]:
    containers = review.new["spec"]["template"]["spec"].get("containers") or []
    return _grpc_refusals(iter(containers), f"the {review.kind.kind} {review.name!r}")


def _runtime_refusals(review: Review) -> Iterator[StatusError]:
    containers = (review.new.get("spec") or {}).get("containers") or []
    return _grpc_refusals(iter(containers), f"models of the {review.kind.kind} {review.name!r}")


def _grpc_refusals(containers: Iterator[Object], subject: str) -> Iterator[StatusError]:
    for container in containers:
        if any(port.get("name") == "h2c" for port in container.get("ports") or []):
            yield refusal(f"gRPC: requests to the port h2c of {subject} would get 404",
                           "Remove the port and send requests to the REST API (v1 or v2)")


_REFUSALS: Mapping[Kind, Callable[[Review], Iterator[StatusError]]] = {
    INFERENCE_SERVICE: _inference_service_refusals, KNATIVE_SERVICE: _knative_refusals,
    CONFIGURATION: _knative_refusals, SERVING_RUNTIME: _runtime_refusals, CLUSTER_SERVING_RUNTIME: _runtime_refusals}
