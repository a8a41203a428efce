"""InferenceService documents, and the effect of changing one. Pure functions of dicts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from kserve_nb.values.labels import LAST_APPLIED, TAG_ROUTING

Document = dict[str, Any]
BUCKET = "gs://kfserving-examples/models/sklearn/1.0"
MODEL, MODEL_2 = f"{BUCKET}/model", f"{BUCKET}/model-2"  # the tutorial's two models

_OLD_FRAMEWORKS = (
    "sklearn", "xgboost", "tensorflow", "pytorch", "triton", "onnx", "huggingface", "pmml", "lightgbm", "paddle",
)  # fmt: skip
_NO_REVISION = {"canaryTrafficPercent"}  # the only field of a predictor that is not part of the pods' template
_FILTERED = {LAST_APPLIED, "modelFormat", "autoscaling.knative.dev/min-scale", "autoscaling.knative.dev/max-scale"}
_ABSENT = object()


def inference_service(
    name: str,
    model: str,
    *,
    percent: int | None = None,
    tag_routing: bool = False,
    model_format: str = "sklearn",
    old_schema: bool = False,
) -> Document:
    """The document of an InferenceService, as the tutorial writes it.

    >>> inference_service("sklearn-iris", MODEL, percent=10)["spec"]["predictor"]["canaryTrafficPercent"]
    10

    Args:
        model: the storageUri.
        percent: `canaryTrafficPercent`; None leaves the field out.
        tag_routing: adds the annotation that adds the `latest-` host.
        old_schema: puts the model under `predictor.sklearn`, as before KServe 0.8.
    """
    metadata: Document = {"name": name}
    if tag_routing:
        metadata["annotations"] = {TAG_ROUTING: "true"}
    predictor: Document = {} if percent is None else {"canaryTrafficPercent": percent}
    if old_schema:
        predictor[model_format] = {"storageUri": model}
    else:
        predictor["model"] = {"modelFormat": {"name": model_format}, "storageUri": model}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": metadata,
        "spec": {"predictor": predictor},
    }


def read(document: Mapping[str, Any] | str) -> Mapping[str, Any]:
    """The document as a dict, from a mapping or from YAML."""
    loaded: Mapping[str, Any] = yaml.safe_load(document) if isinstance(document, str) else document
    return loaded


def to_yaml(document: Mapping[str, Any]) -> str:
    """The document as YAML, in the order of its fields."""
    text: str = yaml.safe_dump(dict(document), sort_keys=False)
    return text


def to_new_schema(document: Mapping[str, Any]) -> Document:
    """The document as KServe's webhook stores it: `predictor.sklearn` becomes `predictor.model`.

    If both are present, the old block wins (seen on KServe 0.20).
    """
    new: Document = json.loads(json.dumps(document))
    predictor = (new.get("spec") or {}).get("predictor") or {}
    for framework in _OLD_FRAMEWORKS:
        if framework in predictor:
            predictor["model"] = {"modelFormat": {"name": framework}, **(predictor.pop(framework) or {})}
    return new


def applied(document: Mapping[str, Any], namespace: str) -> Document:
    """The document as `kubectl apply` creates it: with itself in the last-applied annotation."""
    named: Document = json.loads(json.dumps(document))
    named["metadata"].setdefault("namespace", namespace)
    annotations = named["metadata"].setdefault("annotations", {})
    text = json.dumps(named, separators=(",", ":"), sort_keys=True) + "\n"
    annotations[LAST_APPLIED] = text
    return named


def apply_patch(document: Mapping[str, Any], live: Mapping[str, Any]) -> Document:
    """The merge patch with which `kubectl apply` turns the live object into the document.

    A field that the last apply wrote and this one leaves out becomes None, so that it is removed. Fields of other
    writers stay.
    """
    namespace = live["metadata"].get("namespace") or ""
    wanted = applied(document, namespace)
    last = json.loads((live["metadata"].get("annotations") or {}).get(LAST_APPLIED) or "{}")
    return _three_way(last, wanted, live)


def _three_way(last: Mapping[str, Any], wanted: Mapping[str, Any], live: Mapping[str, Any]) -> Document:
    patch: Document = {key: None for key in last if key not in wanted and key in live}
    for key, value in wanted.items():
        have = live.get(key, _ABSENT)
        if isinstance(value, dict) and isinstance(have, dict):
            inner = _three_way(last.get(key) or {}, value, have)
            if inner:
                patch[key] = inner
        elif value != have:
            patch[key] = value
    return patch


def merged(live: Mapping[str, Any], patch: Mapping[str, Any]) -> Document:
    """The result of a merge patch (RFC 7396)."""
    result = dict(live)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            below = result.get(key)
            result[key] = merged(below if isinstance(below, Mapping) else {}, value)
        else:
            result[key] = value
    return result


@dataclass(frozen=True)
class FieldChange:
    """One field that differs between two documents, and what KServe does about it."""

    path: str  # spec.predictor.canaryTrafficPercent
    before: Any  # None if the field is absent
    after: Any
    new_revision: bool
    consequence: str


def diff(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    """The fields that differ between two documents in the new schema, and the effect of each change.

    A storageUri, an annotation or a label is part of the revision's template, a percent is not
    (kserve pkg/controller/v1beta1/inferenceservice/reconcilers/knative/ksvc_reconciler.go).
    """
    old, new = _fields(before), _fields(after)
    return tuple(
        _change(path, old.get(path), new.get(path)) for path in sorted(old | new) if old.get(path) != new.get(path)
    )


def _fields(document: Mapping[str, Any]) -> dict[str, Any]:
    """The scalar fields that KServe reads, by path."""
    new = to_new_schema(document)
    metadata = new.get("metadata") or {}
    kept: Document = {
        "metadata": {
            "annotations": {k: v for k, v in (metadata.get("annotations") or {}).items() if k not in _FILTERED},
            "labels": metadata.get("labels") or {},
        },
        "spec": new.get("spec") or {},
    }
    return dict(_leaves("", kept))


def _leaves(path: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in _leaves(f"{path}.{key}" if path else key, inner)]
    # The webhook writes `name: ""` into every model, which is not a change.
    return [] if value in ("", None) else [(path, value)]


def _change(path: str, before: Any, after: Any) -> FieldChange:
    if path.rpartition(".")[2] in _NO_REVISION and path.startswith("spec.predictor."):
        if path != "spec.predictor.canaryTrafficPercent":
            return FieldChange(path, before, after, False, "nothing: KServe reads it only under spec.predictor")
        return FieldChange(path, before, after, False, _percent_consequence(after))
    if path == f"metadata.annotations.{TAG_ROUTING}":
        does = "adds" if after == "true" else "removes"
        return FieldChange(path, before, after, True, f"a new revision; it {does} the latest- host")
    if path == "spec.predictor.model.storageUri":
        return FieldChange(path, before, after, True, "a new revision with this model")
    return FieldChange(path, before, after, True, "a new revision: the pods' template changes")


def percent_change(before: int | None, after: int | None) -> FieldChange:
    """A change of `canaryTrafficPercent` and of nothing else."""
    return _change("spec.predictor.canaryTrafficPercent", before, after)


def _percent_consequence(percent: Any) -> str:
    if percent is None or percent == 100:
        return "only traffic: LATEST gets 100 %, and a later rollback leads to it"
    if not isinstance(percent, int) or isinstance(percent, bool):
        return "refused: it must be a whole number"
    if not 0 <= percent <= 100:
        return "accepted by apply, refused by Knative: traffic does not change"
    if percent == 0:
        return "only traffic: PREV gets 100 %, LATEST keeps its pods and gets nothing"
    return f"only traffic: LATEST gets {percent} %, PREV the other {100 - percent} %"
