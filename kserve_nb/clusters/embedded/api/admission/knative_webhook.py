"""Knative's webhooks for its own kinds: defaulting, then validation that reports all problems at once.

Source: knative serving 1.21 pkg/apis/serving/v1/{service,revision,route,configuration}_{defaults,validation}.go,
pkg/apis/autoscaling/v1alpha1/pa_defaults.go, knative.dev/pkg
apis/field_error.go (one line a message, sorted; the fields that share it behind it).
"""

from __future__ import annotations

from collections.abc import Iterator

from kserve_nb.clusters.embedded import dns_names
from kserve_nb.clusters.embedded.api.admission.autoscaling_annotations import (
    out_of_bounds,
    rollout_problems,
    scaling_problems,
)
from kserve_nb.clusters.embedded.api.admission.refusals import denied
from kserve_nb.clusters.embedded.api.admission.workload_defaults import canonical_resources
from kserve_nb.clusters.embedded.api.schema.decoding import type_error
from kserve_nb.clusters.embedded.api.schema.kind_types import type_of_kind
from kserve_nb.clusters.embedded.kinds import CONFIGURATION, KNATIVE_SERVICE, POD_AUTOSCALER, REVISION, ROUTE
from kserve_nb.clusters.embedded.objects import Kind, Object

DEFAULTER = "webhook.serving.knative.dev"
VALIDATOR = "validation.webhook.serving.knative.dev"
KSERVE_CONTROLLER = "system:serviceaccount:kserve:kserve-controller-manager"
USER = "kubernetes-admin"

_CREATOR, _LAST_MODIFIER = "serving.knative.dev/creator", "serving.knative.dev/lastModifier"
_MAX_TIMEOUT_S, _MAX_CONCURRENCY = 600, 1000
Problem = tuple[str, str]  # message, field


def default(kind: Kind, new: Object, old: Object | None) -> Object:
    """The object as the mutating webhook leaves it. Raises StatusError for what it cannot decode."""
    type_name = type_of_kind(kind)
    if type_name and (problem := type_error(type_name, new, embedded_names=True)):
        raise denied(DEFAULTER, f"mutation failed: cannot decode incoming new object: {problem}",
                     code=400, reason="BadRequest")
    spec = new.setdefault("spec", {})
    if kind in (KNATIVE_SERVICE, CONFIGURATION):
        _default_revision_spec(spec.setdefault("template", {}).setdefault("spec", {}))
    if kind == REVISION:
        _default_revision_spec(spec)
    if kind in (KNATIVE_SERVICE, ROUTE):
        _default_traffic(spec, named=kind == KNATIVE_SERVICE)
    if kind == KNATIVE_SERVICE:
        _annotate_user(new, old)
    if kind == POD_AUTOSCALER:
        annotations = new["metadata"].setdefault("annotations", {})
        annotations.setdefault("autoscaling.knative.dev/class", "kpa.autoscaling.knative.dev")
        annotations.setdefault("autoscaling.knative.dev/metric", "concurrency")
    return new


def validate(kind: Kind, new: Object, old: Object | None) -> None:
    """Refuse what the validating webhook refuses, all problems in one message. Raises StatusError."""
    fields: dict[str, list[str]] = {}
    for message, field in (*_problems(kind, new), *_revision_name_problems(kind, new, old)):
        fields.setdefault(message, []).append(field)
    if fields:
        lines = [f"{message}: {', '.join(sorted(where))}" for message, where in sorted(fields.items())]
        raise denied(VALIDATOR, "validation failed: " + "\n".join(lines), code=400, reason="BadRequest")


def _default_revision_spec(spec: Object) -> None:
    spec.setdefault("containerConcurrency", 0)
    spec.setdefault("enableServiceLinks", False)
    spec.setdefault("timeoutSeconds", 300)
    containers = spec.get("containers") or []
    for index, container in enumerate(containers):
        if not container.get("name"):
            container["name"] = "user-container" if len(containers) == 1 else f"user-container-{index}"
        canonical_resources(container)
    for container in containers:
        if len(containers) == 1 or container.get("ports"):
            _default_readiness(container)


def _default_readiness(container: Object) -> None:
    probe = container["readinessProbe"] = container.get("readinessProbe") or {}
    if not any(probe.get(handler) is not None for handler in ("exec", "grpc", "httpGet", "tcpSocket")):
        probe["tcpSocket"] = {"port": 0}
    probe.setdefault("successThreshold", 1)


def _default_traffic(spec: Object, *, named: bool) -> None:
    if named and not spec.get("traffic"):
        spec["traffic"] = [{"latestRevision": True, "percent": 100}]
    for target in spec.get("traffic") or []:
        target.setdefault("latestRevision", not target.get("revisionName"))


def _annotate_user(new: Object, old: Object | None) -> None:
    owners = new["metadata"].get("ownerReferences") or []
    user = KSERVE_CONTROLLER if any(o["kind"] == "InferenceService" for o in owners) else USER
    annotations = new["metadata"].setdefault("annotations", {})
    if old is None:
        annotations |= {_CREATOR: user, _LAST_MODIFIER: user}
        return
    before = old["metadata"].get("annotations") or {}
    annotations[_CREATOR] = before.get(_CREATOR, user)
    annotations[_LAST_MODIFIER] = user if new["spec"] != old["spec"] else before.get(_LAST_MODIFIER, user)


def _problems(kind: Kind, new: Object) -> Iterator[Problem]:
    spec = new["spec"]
    if kind == KNATIVE_SERVICE:
        yield from _name_problems(new["metadata"]["name"])
    if kind in (KNATIVE_SERVICE, ROUTE):
        for message, name in rollout_problems(new["metadata"].get("annotations") or {}):
            yield message, f"metadata.annotations.{name}"
    if kind in (KNATIVE_SERVICE, CONFIGURATION):
        yield from _template_problems(spec["template"])
    if kind in (KNATIVE_SERVICE, ROUTE):
        yield from _traffic_problems(spec.get("traffic") or [])


def _revision_name_problems(kind: Kind, new: Object, old: Object | None) -> Iterator[Problem]:
    """Problems of a revision's name in the template (`validateRevisionName`, `VerifyNameChange`)."""
    if kind not in (KNATIVE_SERVICE, CONFIGURATION):
        return
    template, field = new["spec"]["template"], "spec.template.metadata.name"
    name, prefix = (template.get("metadata") or {}).get("name"), f"{new['metadata']['name']}-"
    if not name:
        return
    texts = list(dns_names.label_1035_errors(name))
    if texts:
        yield f"invalid value: not a DNS 1035 label: [{' '.join(texts)}]", field
    elif not name.startswith(prefix):
        yield f'invalid value: "{name}" must have prefix "{prefix}"', field
    before = (old or {"spec": {"template": {}}})["spec"]["template"]
    if (before.get("metadata") or {}).get("name") == name and before != template:
        yield "Saw the following changes without a name change (-old +new)", field


def _name_problems(name: str) -> Iterator[Problem]:
    texts = list(dns_names.label_1035_errors(name))
    if texts:
        yield f"not a DNS 1035 label: [{' '.join(texts)}]", "metadata.name"


def _traffic_problems(traffic: list[Object]) -> Iterator[Problem]:
    for index, target in enumerate(traffic):
        percent = target.get("percent", 0)
        if not 0 <= percent <= 100:
            yield out_of_bounds(0, percent, 100), f"spec.traffic[{index}].percent"
        if target["latestRevision"] and target.get("revisionName"):
            yield f'may not set revisionName "{target["revisionName"]}" when latestRevision is true', \
                f"spec.traffic[{index}].latestRevision"
    total = sum(target.get("percent", 0) for target in traffic)
    if traffic and total != 100:
        yield f"Traffic targets sum to {total}, want 100", "spec.traffic"


def _template_problems(template: Object) -> Iterator[Problem]:
    spec, where = template["spec"], "spec.template.spec"
    if not spec.get("containers"):
        yield "missing field(s)", f"{where}.containers"
    for index, container in enumerate(spec.get("containers") or []):
        if not container.get("image"):
            at = f"{where}.containers[{index}].image" if len(spec["containers"]) > 1 else f"{where}.containers[0].image"
            yield "missing field(s)", at
    for field, most in (("timeoutSeconds", _MAX_TIMEOUT_S), ("containerConcurrency", _MAX_CONCURRENCY)):
        if not 0 <= spec[field] <= most:
            yield out_of_bounds(0, spec[field], most), f"{where}.{field}"
    for message, name in scaling_problems((template.get("metadata") or {}).get("annotations") or {}):
        yield message, f"spec.template.metadata.annotations.{name}"
