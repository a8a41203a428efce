"""KServe's rules for `spec.canary`, the canary of Standard mode.

Source: kserve 0.20 pkg/apis/serving/v1beta1/inference_service_validation.go (`validateCanarySpecs`).
"""

from __future__ import annotations

from collections.abc import Iterator

from kserve_nb.clusters.embedded.api.admission.kserve.component_validation import component_problems
from kserve_nb.clusters.embedded.api.admission.kserve.components import storage_uri
from kserve_nb.clusters.embedded.apimachinery.objects import Object

_FIXED = "(canary uses fixed replicas)"


def canary_problems(spec: Object, deployment_mode: str | None) -> Iterator[str]:
    """The problems of an InferenceService's canaries; `deployment_mode` is that of its annotation."""
    stable, canaries = spec["predictor"], spec.get("canary") or []
    if not canaries:
        return
    if deployment_mode != "Standard":
        yield "canary is only supported in Standard deployment mode"
    if storage_uri("predictor", stable) is None and "model" not in stable:
        yield "canary requires a stable predictor with a model (multi-model serving is not supported with canary)"
    names: set[str] = set()
    for index, canary in enumerate(canaries):
        yield from _canary_problems(index, canary, stable, names)
    total = sum(canary.get("trafficPercent") or 0 for canary in canaries)
    if total > 100:
        yield f"sum of canary trafficPercent values ({total}) must be <= 100"


def _canary_problems(index: int, canary: Object, stable: Object, names: set[str]) -> Iterator[str]:
    predictor, percent = canary.get("predictor") or {}, canary.get("trafficPercent") or 0
    name = predictor.get("name") or ""
    if not name:
        yield f"canary[{index}] predictor.name is required"
    if name in names:
        yield f'canary predictor.name "{name}" is duplicated'
    names.add(name)
    if name == (stable.get("name") or ""):
        yield f'canary predictor.name "{name}" conflicts with stable predictor name'
    if not 0 <= percent <= 100:
        yield f'canary "{name}" trafficPercent must be between 0 and 100, got {percent}'
    for problem in component_problems("predictor", predictor):
        yield f'canary "{name}" predictor: {problem}'
    yield from _fixed_field_problems(name, predictor)
    least, stable_least = predictor.get("minReplicas"), stable.get("minReplicas", 1)
    if least is not None and least > stable_least:
        yield f'canary "{name}" minReplicas ({least}) must not exceed stable predictor minReplicas ({stable_least})'


def _fixed_field_problems(name: str, predictor: Object) -> Iterator[str]:
    if "workerSpec" in predictor:
        yield f'canary "{name}" must not set workerSpec (multi-node is not yet supported for canary)'
    if predictor.get("maxReplicas", 0) > 0:
        yield f'canary "{name}" must not set maxReplicas {_FIXED}'
    for field in ("scaleTarget", "scaleMetric", "autoScaling"):
        if field in predictor:
            yield f'canary "{name}" must not set {field} {_FIXED}'
