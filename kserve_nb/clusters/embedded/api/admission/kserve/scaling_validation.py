"""KServe's rules for the autoscaling fields of a component, by deployment mode and autoscaler class.

Source: kserve 0.20 pkg/apis/serving/v1beta1/inference_service_validation.go (`validateAutoScalingCompExtension`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kserve_nb.clusters.embedded.apimachinery import quantity
from kserve_nb.clusters.embedded.apimachinery.objects import Object
from kserve_nb.values.labels import HPA_CLASS

_KPA_METRICS, _HPA_METRICS = ("concurrency", "rps"), ("cpu", "memory")
_RESOURCE_UNSET = "metricSpec.Resource is not set for resource metric source type"


def scaling_problems(annotations: Mapping[str, str], body: Object) -> Iterator[str]:
    """The problems of a component's autoscaling fields."""
    class_ = annotations.get("serving.kserve.io/autoscalerClass")
    if annotations.get("serving.kserve.io/deploymentMode") == "Standard":
        if class_ == "hpa":
            yield from _hpa_problems(body)
        elif class_ == "keda":
            yield from _keda_problems(body)
    elif annotations.get("autoscaling.knative.dev/class") == HPA_CLASS:
        yield from _hpa_problems(body)
    else:
        yield from _kpa_problems(body)


def _kpa_problems(body: Object) -> Iterator[str]:
    if "deploymentStrategy" in body:
        yield "customizing deploymentStrategy is only supported for raw deployment mode"
    metric, target = body.get("scaleMetric", "concurrency"), body.get("scaleTarget")
    if metric not in _KPA_METRICS:
        yield f"[{metric}] is not a supported metric"
    if metric == "rps" and target is not None and target < 1:
        yield "the target for rps should be greater than 1"


def _hpa_problems(body: Object) -> Iterator[str]:
    metric, target = body.get("scaleMetric", "cpu"), body.get("scaleTarget")
    if metric not in _HPA_METRICS:
        yield f"[{metric}] is not a supported metric"
    if target is not None and ((metric == "cpu" and target < 1) or target > 100):
        yield "the target utilization percentage should be a [1-100] integer"
    if target is not None and metric == "memory" and target < 1:
        yield "the target memory should be greater than 1 MiB"
    for source in (body.get("autoScaling") or {}).get("metrics") or []:
        if source.get("type") != "Resource":
            yield (f"invalid HPA metric source type with value [{source.get('type', '')}],"
                   "valid metric source types are Resource")
        elif source.get("resource") is None:
            yield _RESOURCE_UNSET


def _keda_problems(body: Object) -> Iterator[str]:
    if "scaleMetric" in body:
        yield "ScaleMetric is not supported for KEDA"
    for source in (body.get("autoScaling") or {}).get("metrics") or []:
        match source.get("type"):
            case "Resource":
                yield from _resource_problems(source.get("resource"))
            case "External":
                yield from _query_problems(source.get("external"), "metricSpec.External", "external")
            case "PodMetric":
                yield from _query_problems(source.get("podmetric"), "metricSpec.PodMetric", "pod")
            case type_:
                yield (f"unknown KEDA metric type with value [{type_ or ''}]."
                       "Valid types are Resource,External,PodMetric")


def _resource_problems(resource: Object | None) -> Iterator[str]:
    if resource is None:
        yield _RESOURCE_UNSET
        return
    name, target = resource.get("name", ""), resource.get("target") or {}
    type_ = target.get("type")
    if name == "cpu":
        if type_ != "Utilization":
            yield "the cpu target value type should be Utilization"
    elif name == "memory":
        if type_ not in ("AverageValue", "Utilization"):
            yield "the memory target value type should be AverageValue or Utilization"
        if type_ == "AverageValue" and quantity.parse(target.get("averageValue", 0)) < 2**20:
            yield "the memory target value should be greater than 1 MiB"
    else:
        yield f"resource type {name} is not supported"
    yield from _target_problems(target)


def _query_problems(source: Object | None, field: str, title: str) -> Iterator[str]:
    if source is None:
        yield f"{field} is not set for {title} metric source type"
        return
    target = source.get("target") or {}
    if not (source.get("metric") or {}).get("query"):
        yield "the query should not be empty"
    if target.get("value") is None:
        yield "the target threshold value should not be empty"
    yield from _target_problems(target)


def _target_problems(target: Object) -> Iterator[str]:
    utilization: Any = target.get("averageUtilization")
    match target.get("type"):
        case "Utilization" if utilization is None:
            yield "the AverageUtilization type should be set"
        case "Utilization" if not 1 <= utilization <= 100:
            yield "the target utilization percentage should be a [1-100] integer"
        case "AverageValue" if target.get("averageValue") is None:
            yield "the AverageValue type should be set"
        case "Value" if target.get("value") is None:
            yield "the Value type should be set"
