"""Knative's validating webhook for its internal kinds: PodAutoscaler, ServerlessService, Ingress.

Source: knative serving 1.21 pkg/apis/autoscaling/v1alpha1/pa_validation.go; knative.dev/networking
pkg/apis/networking/v1alpha1/{serverlessservice,ingress}_validation.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kserve_nb.clusters.embedded.api.admission.knative import knative_config
from kserve_nb.clusters.embedded.api.admission.knative.autoscaling_annotations import scaling_problems
from kserve_nb.clusters.embedded.api.admission.knative.field_problems import (
    Problem,
    disallowed,
    invalid_value,
    missing,
    via,
)
from kserve_nb.clusters.embedded.api.admission.knative.revision_problems import (
    concurrency_problems,
    dns_problems,
    networking_problems,
)
from kserve_nb.clusters.embedded.api.admission.review import Review
from kserve_nb.clusters.embedded.apimachinery.objects import Object
from kserve_nb.values import dns_names

_REFERENCE_FIELDS = ("apiVersion", "kind", "name")
_C_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"
_C_IDENTIFIER_TEXT = (
    "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters "
    f"or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '{_C_IDENTIFIER}')")


def autoscaler_problems(review: Review) -> Iterator[Problem]:
    """The problems of a PodAutoscaler."""
    spec = review.new["spec"]
    yield from via("metadata", dns_problems(review.new["metadata"]))
    yield from via("metadata.annotations",
                   scaling_problems(review.annotations, knative_config.autoscaler(review.objects)))
    if not spec:
        yield from missing("spec")
        return
    yield from via("spec.scaleTargetRef", _reference_problems(spec.get("scaleTargetRef") or {}))
    yield from via("spec", concurrency_problems(
        knative_config.defaults(review.objects), spec.get("containerConcurrency") or 0))
    yield from via("spec", _protocol_problems(spec))


def serverless_service_problems(review: Review) -> Iterator[Problem]:
    """The problems of a ServerlessService."""
    spec = review.new["spec"]
    yield from via("annotations", networking_problems(review.annotations))
    if not spec:
        yield from missing("spec")
        return
    mode, activators = spec.get("mode"), spec.get("numActivators") or 0
    if not mode:
        yield from missing("spec.mode")
    elif mode not in ("Proxy", "Serve"):
        yield invalid_value(mode, "spec.mode")
    if activators < 0:
        yield invalid_value(activators, "spec.numActivators")
    yield from via("spec.objectRef", _reference_problems(spec.get("objectRef") or {}))
    yield from via("spec", _protocol_problems(spec))


def ingress_problems(review: Review) -> Iterator[Problem]:
    """The problems of an Ingress of Knative."""
    spec, namespace = review.new["spec"], review.new["metadata"].get("namespace")
    if not spec:
        yield from missing("spec")
        return
    if not spec.get("rules"):
        yield from missing("spec.rules")
    for index, rule in enumerate(spec.get("rules") or []):
        yield from via(f"spec.rules[{index}]", _rule_problems(rule, namespace))
    for index, tls in enumerate(spec.get("tls") or []):
        absent = [field for field in ("secretName", "secretNamespace") if not tls.get(field)]
        yield from via(f"spec.tls[{index}]", missing(*(absent if tls else [""])))
    if spec.get("httpOption") not in (None, "", "Enabled", "Redirected"):
        yield invalid_value(spec["httpOption"], "spec.httpOption")


def _reference_problems(reference: Object) -> Iterator[Problem]:
    """The problems of a reference to an object (`ValidateNamespacedObjectReference`)."""
    yield from disallowed(*(field for field in reference if field not in _REFERENCE_FIELDS))
    yield from missing(*(field for field in _REFERENCE_FIELDS if not reference.get(field)))
    for field, texts in (("apiVersion", dns_names.qualified_name_errors(reference.get("apiVersion") or "a")),
                         ("name", dns_names.label_errors(reference.get("name") or "a"))):
        if found := list(texts):
            yield invalid_value(", ".join(found), field)
    if not re.fullmatch(_C_IDENTIFIER, reference.get("kind") or "A"):
        yield invalid_value(_C_IDENTIFIER_TEXT, "kind")


def _protocol_problems(spec: Object) -> Iterator[Problem]:
    protocol = spec.get("protocolType")
    if not protocol:
        yield from missing("protocolType")
    elif protocol not in ("http1", "h2c"):
        yield invalid_value(protocol, "protocolType")


def _rule_problems(rule: Object, namespace: Any) -> Iterator[Problem]:
    http = rule.get("http")
    if http is None:
        yield from missing("http" if rule else "")
    elif not http.get("paths"):
        yield from missing("http.paths")
    else:
        for index, path in enumerate(http["paths"]):
            yield from via(f"http.paths[{index}]", _path_problems(path, namespace))


def _path_problems(path: Object, namespace: Any) -> Iterator[Problem]:
    splits = path.get("splits") or []
    if not splits:
        yield from missing("splits" if path else "")
        return
    problems = [problem for index, split in enumerate(splits)
                for problem in via(f"splits[{index}]", _split_problems(split, namespace))]
    yield from problems
    total = sum(split.get("percent") or 0 for split in splits)
    if not problems and total != 100 and (len(splits) != 1 or total):
        yield Problem(f"traffic split percentage must total to 100, but was {total}", "splits")


def _split_problems(split: Object, namespace: Any) -> Iterator[Problem]:
    if not split:
        yield from missing("")
        return
    if not 0 <= (split.get("percent") or 0) <= 100:
        yield invalid_value(split["percent"], "percent")
    yield from missing(*(field for field in ("serviceNamespace", "serviceName", "servicePort") if not split.get(field)))
    if split.get("serviceNamespace") not in (None, "", namespace):
        yield Problem("service namespace must match ingress namespace", "serviceNamespace")
