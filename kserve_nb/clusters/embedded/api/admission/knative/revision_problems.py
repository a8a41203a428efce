"""Knative's rules for revisions and revision templates, which several kinds have in common.

Source: knative serving 1.21 pkg/apis/serving/v1/revision_validation.go, pkg/apis/serving/metadata_validation.go;
knative.dev/networking pkg/apis/networking/metadata_validation.go; knative.dev/pkg apis/metadata_validation.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from kserve_nb.clusters.embedded.api.admission.knative import knative_config
from kserve_nb.clusters.embedded.api.admission.knative.autoscaling_annotations import scaling_problems
from kserve_nb.clusters.embedded.api.admission.knative.field_problems import (
    Problem,
    invalid_key,
    invalid_value,
    out_of_bounds,
    via,
)
from kserve_nb.clusters.embedded.api.admission.knative.knative_pod_spec import pod_spec_problems
from kserve_nb.clusters.embedded.api.admission.knative.revision_diff import short_diff
from kserve_nb.clusters.embedded.api.admission.review import Review
from kserve_nb.clusters.embedded.apimachinery import quantity
from kserve_nb.clusters.embedded.apimachinery.durations import parse_duration_s
from kserve_nb.clusters.embedded.apimachinery.objects import Object
from kserve_nb.values import dns_names

_SERVING = "serving.knative.dev"
_PROGRESS_DEADLINE = f"{_SERVING}/progress-deadline"
_SIDECAR = f"queue.sidecar.{_SERVING}"
_PERCENTAGES = (f"{_SIDECAR}/resource-percentage", f"{_SIDECAR}/resourcePercentage")
_SIDECAR_QUANTITIES = tuple(f"{_SIDECAR}/{resource}-resource-{kind}"
                            for resource in ("cpu", "memory", "ephemeral-storage") for kind in ("request", "limit"))
_NETWORKING = "networking.knative.dev"
_NETWORKING_KEYS = tuple(f"{_NETWORKING}/{name}" for name in (
    "ingress.class", "ingress-class", "certificate.class", "certificate-class", "disableAutoTLS", "disable-auto-tls",
    "disable-external-domain-tls", "httpOption", "http-protocol"))

Annotations = Mapping[str, str]


def template_problems(review: Review, template: Object) -> Iterator[Problem]:
    """The problems of a revision template (`RevisionTemplateSpec.Validate`)."""
    meta: Object = template.get("metadata") or {}
    annotations: Annotations = meta.get("annotations") or {}
    yield from via("spec", revision_spec_problems(review, template["spec"]))
    yield from via("metadata.annotations", (
        *scaling_problems(annotations, knative_config.autoscaler(review.objects)), *networking_problems(annotations),
        *_sidecar_problems(annotations), *duration_problems(annotations, (_PROGRESS_DEADLINE,), "progress-deadline")))
    name = meta.get("name")
    if name:
        if texts := list(dns_names.label_1035_errors(name)):
            yield invalid_value(f"not a DNS 1035 label: [{' '.join(texts)}]", "metadata.name")
        elif not name.startswith(f"{review.name}-"):
            yield invalid_value(f'"{name}" must have prefix "{review.name}-"', "metadata.name")


def revision_spec_problems(review: Review, spec: Object) -> Iterator[Problem]:
    """The problems of a revision's spec (`RevisionSpec.Validate`)."""
    config = knative_config.defaults(review.objects)
    yield from pod_spec_problems(spec, knative_config.features(review.objects))
    timeout_s = spec.get("timeoutSeconds") or 0
    if not 0 <= timeout_s <= config.longest_timeout_s:
        yield out_of_bounds(timeout_s, 0, config.longest_timeout_s, "timeoutSeconds")
    yield from concurrency_problems(config, spec.get("containerConcurrency"))


def concurrency_problems(config: knative_config.Defaults, concurrency: int | None) -> Iterator[Problem]:
    """The problem of a container concurrency out of bounds (`ValidateContainerConcurrency`)."""
    least = 0 if config.allows_unlimited_concurrency else 1
    if concurrency is not None and not least <= concurrency <= config.most_concurrency:
        yield out_of_bounds(concurrency, least, config.most_concurrency, "containerConcurrency")


def networking_problems(annotations: Annotations) -> Iterator[Problem]:
    """Annotations of Knative's networking that do not exist (`networking.ValidateAnnotations`)."""
    return (invalid_key(key) for key in annotations if key.startswith(_NETWORKING) and key not in _NETWORKING_KEYS)


def dns_problems(meta: Object) -> Iterator[Problem]:
    """The problem of a name that is not a DNS label (`apis.ValidateObjectMetadata`)."""
    if texts := list(dns_names.label_1035_errors(meta.get("name") or "")):
        yield Problem(f"not a DNS 1035 label: [{' '.join(texts)}]", "name")


def name_problems(old: Object, new: Object) -> Iterator[Problem]:
    """The problem of a template that has changed while the name in it stayed the same (`VerifyNameChange`)."""
    name = (new.get("metadata") or {}).get("name")
    if name and name == (old.get("metadata") or {}).get("name") and (
            diff := short_diff("*v1.RevisionTemplateSpec", old, new)):
        yield Problem("Saw the following changes without a name change (-old +new)", "metadata.name", diff)


def duration_problems(annotations: Annotations, keys: Iterable[str], name: str) -> Iterator[Problem]:
    """The problem of an annotation that must be a positive duration in whole seconds."""
    key = next((key for key in keys if key in annotations), None)
    text = annotations.get(key or "", "")
    if key is None or not text:
        return
    duration_s = parse_duration_s(text)
    if duration_s is None:
        yield invalid_value(text, key)
    elif duration_s != round(duration_s):
        yield Problem(f"{name}={text} is not at second precision", key)
    elif duration_s < 0:
        yield Problem(f"{name}={text} must be positive", key)


def _sidecar_problems(annotations: Annotations) -> Iterator[Problem]:
    key = next((key for key in _PERCENTAGES if key in annotations), None)
    if key is not None:
        yield Problem("Queue proxy resource percentage annotation is deprecated. Please use the available annotations "
                      "to explicitly set resource values per service", f"[{key}]", is_warning=True)
        yield from _percentage_problems(annotations[key], f"[{key}]")
    for key in _SIDECAR_QUANTITIES:
        if key in annotations and not _is_quantity(annotations[key]):
            yield invalid_value(annotations[key], f"[{key}]")


def _percentage_problems(text: str, path: str) -> Iterator[Problem]:
    try:
        value = float(text)
    except ValueError:
        yield invalid_value(text, path)
        return
    if not 0.1 <= value <= 100:
        yield out_of_bounds(f"{value:g}", 0.1, 100, path)


def _is_quantity(text: str) -> bool:
    try:
        quantity.parse(text)
    except ValueError:
        return False
    return True
