"""Knative's validating webhook for Services, Configurations, Routes and Revisions: all problems in one message.

Source: knative serving 1.21 pkg/apis/serving/v1/{service,configuration,route,revision}_validation.go,
pkg/apis/serving/metadata_validation.go; knative.dev/pkg apis/metadata_validation.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from kserve_nb.clusters.embedded.api.admission.knative import internal_kinds, knative_config
from kserve_nb.clusters.embedded.api.admission.knative.autoscaling_annotations import scaling_problems
from kserve_nb.clusters.embedded.api.admission.knative.field_problems import (
    Problem,
    disallowed,
    invalid_key,
    invalid_value,
    lines,
    missing,
    one_of,
    out_of_bounds,
    via,
)
from kserve_nb.clusters.embedded.api.admission.knative.knative_defaults import CREATOR, LAST_MODIFIER
from kserve_nb.clusters.embedded.api.admission.knative.revision_diff import short_diff
from kserve_nb.clusters.embedded.api.admission.knative.revision_problems import (
    Annotations,
    dns_problems,
    duration_problems,
    name_problems,
    revision_spec_problems,
    template_problems,
)
from kserve_nb.clusters.embedded.api.admission.review import Review, denied
from kserve_nb.clusters.embedded.apimachinery.kinds import (
    CONFIGURATION,
    INGRESS,
    KNATIVE_SERVICE,
    POD_AUTOSCALER,
    REVISION,
    ROUTE,
    SERVERLESS_SERVICE,
)
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object
from kserve_nb.values import dns_names

WEBHOOK = "validation.webhook.serving.knative.dev"

_SERVING = "serving.knative.dev"
_ROLLOUT_DURATIONS = (f"{_SERVING}/rollout-duration", f"{_SERVING}/rolloutDuration")


def validate(review: Review) -> None:
    """Refuse an object with problems, and report warnings. Raises StatusError 400."""
    problems = list(_PROBLEMS[review.kind](review))
    review.warnings += lines(problem for problem in problems if problem.is_warning)
    errors = lines(problem for problem in problems if not problem.is_warning)
    if errors:
        raise denied(WEBHOOK, "validation failed: " + "\n".join(errors), code=400, reason="BadRequest")


def _service_problems(review: Review) -> Iterator[Problem]:
    spec = review.new["spec"]
    yield from _metadata_problems(review)
    yield from via("metadata.annotations", _rollout_problems(review.annotations))
    yield from via("spec.template", template_problems(review, spec["template"]))
    yield from via("spec.traffic", _traffic_problems(spec.get("traffic") or [], has_configuration=True))
    if review.old is not None:
        yield from via("metadata.annotations", _user_problems(review, review.old))
        yield from via("spec.template", name_problems(review.old["spec"]["template"], spec["template"]))


def _configuration_problems(review: Review) -> Iterator[Problem]:
    template = review.new["spec"]["template"]
    yield from _metadata_problems(review)
    yield from via("metadata.labels", _owner_problems(review.new, f"{_SERVING}/service", "Service"))
    yield from via("spec.template", template_problems(review, template))
    if review.old is not None:
        if not review.new["metadata"].get("ownerReferences"):
            yield from via("metadata.annotations", _user_problems(review, review.old))
        yield from via("spec.template", name_problems(review.old["spec"]["template"], template))


def _route_problems(review: Review) -> Iterator[Problem]:
    yield from _metadata_problems(review)
    yield from via("metadata.labels", _owner_problems(review.new, f"{_SERVING}/service", "Service"))
    yield from via("metadata.annotations", _rollout_problems(review.annotations))
    yield from via("spec.traffic", _traffic_problems(review.new["spec"].get("traffic") or [], has_configuration=False))
    if review.old is not None and not review.new["metadata"].get("ownerReferences"):
        yield from via("metadata.annotations", _user_problems(review, review.old))


def _revision_problems(review: Review) -> Iterator[Problem]:
    yield from via("metadata", dns_problems(review.new["metadata"]))
    yield from via("metadata.annotations",
                   scaling_problems(review.annotations, knative_config.autoscaler(review.objects)))
    yield from via("metadata.labels", _owner_problems(review.new, f"{_SERVING}/configuration", "Configuration"))
    if review.old is None:
        yield from via("spec", revision_spec_problems(review, review.new["spec"]))
    elif diff := short_diff("v1.RevisionSpec", review.old["spec"], review.new["spec"]):
        yield Problem("Immutable fields changed (-old +new)", "spec", diff)


def _metadata_problems(review: Review) -> Iterator[Problem]:
    """The problems of metadata; autoscaling annotations belong into the template (`ValidateObjectMetadata`)."""
    yield from via("metadata", dns_problems(review.new["metadata"]))
    text = 'autoscaling annotations must be put under "spec.template.metadata.annotations" to work'
    yield from via("metadata.annotations", (
        invalid_key(key, details=text) for key in review.annotations if key.startswith("autoscaling.knative.dev")))


def _user_problems(review: Review, old: Object) -> Iterator[Problem]:
    """Changes of the annotations that name the object's creator and last modifier (`ValidateCreatorAndModifier`)."""
    before, after = old["metadata"].get("annotations") or {}, review.annotations
    if before.get(CREATOR) != after.get(CREATOR):
        yield Problem("annotation value is immutable", CREATOR)
    if old["spec"] == review.new["spec"] and before.get(LAST_MODIFIER) != after.get(LAST_MODIFIER):
        yield invalid_value(after.get(LAST_MODIFIER, ""), LAST_MODIFIER)


def _owner_problems(obj: Object, label: str, kind: str) -> Iterator[Problem]:
    """A label that names an owner which the owner references do not have (`verifyLabelOwnerRef`)."""
    name = (obj["metadata"].get("labels") or {}).get(label)
    owners = obj["metadata"].get("ownerReferences") or []
    if name is not None and not any(owner["kind"] == kind and owner["name"] == name for owner in owners):
        yield from missing(label)


def _rollout_problems(annotations: Annotations) -> Iterator[Problem]:
    """The problem of a rollout duration (`ValidateRolloutDurationAnnotation`)."""
    return duration_problems(annotations, _ROLLOUT_DURATIONS, "rollout-duration")


def _traffic_problems(traffic: list[Object], *, has_configuration: bool) -> Iterator[Problem]:
    tags: dict[str, int] = {}
    for index, target in enumerate(traffic):
        yield from via(f"[{index}]", _target_problems(target, has_configuration))
        tag = target.get("tag")
        if not tag:
            continue
        if texts := list(dns_names.label_1035_errors(tag)):
            yield invalid_value(f"not a DNS 1035 label: [{' '.join(texts)}]", f"tag[{index}]")
        if tag in tags:
            yield from (Problem(f'Multiple definitions for "{tag}"', f"[{place}].tag") for place in (index, tags[tag]))
        tags.setdefault(tag, index)
    total = sum(target.get("percent") or 0 for target in traffic)
    if total != 100:
        yield Problem(f"Traffic targets sum to {total}, want 100")


def _target_problems(target: Object, has_configuration: bool) -> Iterator[Problem]:
    revision, configuration = target.get("revisionName") or "", target.get("configurationName") or ""
    latest, percent = target["latestRevision"], target.get("percent") or 0
    if bool(revision) == latest:
        yield Problem(f'may not set revisionName "{revision}" when latestRevision is {str(latest).lower()}',
                      "latestRevision")
    yield from _reference_problems(revision, configuration, has_configuration)
    if not 0 <= percent <= 100:
        yield out_of_bounds(percent, 0, 100, "percent")
    if target.get("url"):
        yield from disallowed("url")


def _reference_problems(revision: str, configuration: str, has_configuration: bool) -> Iterator[Problem]:
    if has_configuration and configuration:
        yield from disallowed("configurationName")
    elif revision and configuration:
        yield from one_of(("revisionName", "configurationName"), ())
    elif revision or configuration:
        name, path = (revision, "revisionName") if revision else (configuration, "configurationName")
        if texts := list(dns_names.qualified_name_errors(name)):
            yield invalid_key(name, path, ", ".join(texts))
    elif not has_configuration:
        yield from one_of((), ("revisionName", "configurationName"))


_PROBLEMS: dict[Kind, Callable[[Review], Iterable[Problem]]] = {
    KNATIVE_SERVICE: _service_problems, CONFIGURATION: _configuration_problems, ROUTE: _route_problems,
    REVISION: _revision_problems, POD_AUTOSCALER: internal_kinds.autoscaler_problems,
    SERVERLESS_SERVICE: internal_kinds.serverless_service_problems, INGRESS: internal_kinds.ingress_problems}
