"""Generates data/sdk_types.json: the fields of every kind, read from the models of the installed SDKs.

Run as `python -m kserve_nb.clusters.embedded.api.schema.generate_schemas` when `kserve` or `kubernetes` is
upgraded; a test compares the file with the installed SDKs. The API server reads only the file, because importing the
SDKs takes 100 MB.

A type is a mapping of field names to types; a name that ends in `*` is required. `[]T` is a list and `{}T` a map.
"""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

from kserve_nb.clusters.embedded.apimachinery.kinds import INFERENCE_SERVICE, KINDS
from kserve_nb.clusters.embedded.apimachinery.objects import Kind

SDK_TYPES = Path(__file__).parents[1] / "data" / "sdk_types.json"

# Types that no served kind has a field of: bodies of requests, and structs embedded in others, which decoding errors
# name.
_FURTHER_ROOTS = (
    "V1DeleteOptions", "V1Status", "V1ListMeta",
    "V1beta1ComponentExtensionSpec", "V1beta1PredictorExtensionSpec", "V1beta1PodSpec")

# Names in kserve's models of types that other models define. `own_types.json` has those that none defines.
_RENAMED = {
    "K8sIoApiAppsV1DeploymentStrategy": "V1DeploymentStrategy",
    "K8sIoApiAutoscalingV2HorizontalPodAutoscalerBehavior": "V2HorizontalPodAutoscalerBehavior",
    "KnativeDevServingPkgApisServingV1TrafficTarget": "V1TrafficTarget",
    "KnativeURL": "string", "ResourceQuantity": "quantity", "V1Time": "time",
}
_PRIMITIVES = {"str": "string", "bool": "bool", "int": "int32", "float": "number", "object": "any",
               "datetime": "time", "bytes": "string", "file": "string"}

# The models declare `int`, `str` and `object` for Go types that are narrower. These field names are unambiguous.
_INT64 = frozenset((
    "activeDeadlineSeconds", "canaryTrafficPercent", "containerConcurrency", "deletionGracePeriodSeconds",
    "expirationSeconds", "fsGroup", "generation", "gracePeriodSeconds", "maxItems", "maxLength", "maxProperties",
    "minItems", "minLength", "minProperties", "observedGeneration", "percent", "remainingItemCount", "runAsGroup",
    "runAsUser", "seconds", "supplementalGroups", "terminationGracePeriodSeconds", "timeout", "tolerationSeconds",
))
_QUANTITIES = frozenset(("allocatable", "allocatedResources", "capacity", "divisor", "limits", "overhead", "requests",
                         "sizeLimit"))
_INT_OR_STRING = frozenset(("maxSurge", "maxUnavailable", "port", "targetPort"))


def _field_type(field: str, declared: str) -> str:
    if wrapped := re.fullmatch(r"list\[(.+)\]", declared):
        return "[]" + _field_type(field, wrapped[1])
    if wrapped := re.fullmatch(r"dict[(\[]str, (.+)[)\]]", declared):
        return "{}" + _field_type(field, wrapped[1])
    if declared == "int" and field in _INT64:
        return "int64"
    if declared == "str" and field in _QUANTITIES:
        return "quantity"
    if declared == "object" and field in _INT_OR_STRING:
        return "intstr"
    return _RENAMED.get(declared) or _PRIMITIVES.get(declared, declared)


def _is_required(model: type[Any], attribute: str) -> bool:
    return "must not be `None`" in inspect.getsource(getattr(model, attribute).fset)


def _fields(model: type[Any]) -> dict[str, str]:
    return {
        field + ("*" if _is_required(model, attribute) else ""): _field_type(field, model.openapi_types[attribute])
        for attribute, field in sorted(model.attribute_map.items(), key=lambda item: item[1])
    }


def sdk_types() -> dict[str, dict[str, str]]:
    """The types of all kinds and of their fields, as the installed SDKs declare them."""
    import kserve.models
    import kubernetes.client.models

    types: dict[str, dict[str, str]] = {}
    waiting = [*(kind.type_name for kind in KINDS if _is_described(kind)), *_FURTHER_ROOTS]
    while waiting:
        name = waiting.pop()
        model = getattr(kserve.models, name, None) or getattr(kubernetes.client.models, name, None)
        if name in types or model is None:
            continue
        types[name] = _fields(model)
        waiting += [declared.lstrip("[]{}") for declared in types[name].values()]
    return dict(sorted(types.items()))


def _is_described(kind: Kind) -> bool:
    """Whether the fields of a kind's objects are served. Idle kinds are open objects, but for KServe's."""
    return not kind.internal and (not kind.idle or kind.group == INFERENCE_SERVICE.group)


def main() -> None:
    """Write the file."""
    SDK_TYPES.write_text(json.dumps(sdk_types(), separators=(",", ":")).replace("},", "},\n") + "\n")


if __name__ == "__main__":
    main()
