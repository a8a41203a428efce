"""KServe's validating webhook for InferenceServices: it reports the first rule that an object breaks.

Source: kserve 0.20 pkg/apis/serving/v1beta1/{inference_service_validation,component,predictor_custom}.go,
pkg/validation/env_policy.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from kserve_nb.clusters.embedded.api.admission.kserve.canary_validation import canary_problems
from kserve_nb.clusters.embedded.api.admission.kserve.component_validation import component_problems
from kserve_nb.clusters.embedded.api.admission.kserve.components import COMPONENTS, FRAMEWORKS, storage_uri, variable
from kserve_nb.clusters.embedded.api.admission.kserve.isvc_defaults import DEPLOYMENT_MODE
from kserve_nb.clusters.embedded.api.admission.kserve.isvc_schema import check_schema
from kserve_nb.clusters.embedded.api.admission.kserve.kserve_config import LEGACY_MODES
from kserve_nb.clusters.embedded.api.admission.kserve.multi_node import worker_problems
from kserve_nb.clusters.embedded.api.admission.kserve.scaling_validation import scaling_problems
from kserve_nb.clusters.embedded.api.admission.kserve.storage_validation import (
    confidential_problems,
    storage_uris_problems,
)
from kserve_nb.clusters.embedded.api.admission.review import Review, denied
from kserve_nb.clusters.embedded.apimachinery.objects import Object
from kserve_nb.values.dns_names import LABEL_1035

WEBHOOK = "inferenceservice.kserve-webhook-server.validator"

_AUTOSCALER_CLASS = "serving.kserve.io/autoscalerClass"
_AUTOSCALER_CLASSES = ("hpa", "external", "keda", "none")
_BLOCKED_VARIABLES = ("PYTHONPATH",)


def validate(review: Review) -> None:
    """Apply the rules of the CustomResourceDefinition and of the validating webhook.

    Raises StatusError.
    """
    if review.is_being_deleted:
        return
    check_schema(review)
    for problem in _problems(review):
        raise denied(WEBHOOK, problem)


def _problems(review: Review) -> Iterator[str]:
    spec, name = review.new["spec"], review.name
    predictor = spec["predictor"]
    if review.old is not None:
        yield from _update_problems(review, review.old)
    if not re.fullmatch(LABEL_1035, name):
        yield (f'the InferenceService "{name}" is invalid: a InferenceService name must consist of lower case '
               "alphanumeric characters or '-', and must start with alphabetical character. "
               f'(e.g. "my-name" or "abc-123", regex used for validation is \'{LABEL_1035}\')')
    class_ = review.annotations.get(_AUTOSCALER_CLASS)
    if class_ is not None and class_ not in _AUTOSCALER_CLASSES:
        yield f"[{class_}] is not a supported autoscaler class type"
    for problem in blocked_variables(_containers(spec)):
        yield f'the InferenceService "{name}" is invalid: {problem}'
    if "workerSpec" in predictor:
        yield from worker_problems(review, predictor)
    yield from _collocation_problems(predictor)
    if any(predictor[key].get("name") for key in (*FRAMEWORKS, "model") if key in predictor):
        yield "the 'name' field is not allowed in standard predictor"
    for component in ("transformer", "explainer", "predictor"):
        if component in spec:
            yield from storage_uris_problems(component, spec[component])
    yield from confidential_problems(review, predictor)
    for component in COMPONENTS:
        if component in spec:
            yield from component_problems(component, spec[component])
            yield from scaling_problems(review.annotations, spec[component])
    yield from canary_problems(spec, review.annotations.get(DEPLOYMENT_MODE))


def blocked_variables(containers: Iterable[Object]) -> Iterator[str]:
    """Environment variables that no container may set (`ValidateBlockedEnvVars`)."""
    for container in containers:
        for variable_ in container.get("env") or []:
            if variable_.get("name") in _BLOCKED_VARIABLES:
                yield (f'setting {variable_["name"]} in container "{container.get("name", "")}" is not allowed for '
                       "security reasons")


def _update_problems(review: Review, old: Object) -> Iterator[str]:
    before = str((old.get("status") or {}).get("deploymentMode") or "")
    before, mode = LEGACY_MODES.get(before, before), review.annotations.get(DEPLOYMENT_MODE)
    if before and mode is not None and mode != before:
        yield f"update rejected: deploymentMode cannot be changed from '{before}' to '{mode}'"
    predictors = old["spec"]["predictor"], review.new["spec"]["predictor"]
    names = [predictor.get("name") or "" for predictor in predictors]
    uris = [storage_uri("predictor", predictor) or "" for predictor in predictors]
    if names[0] != names[1] and uris[0] == uris[1]:
        yield "predictor.name change requires a model change (e.g. storageUri)"


def _containers(spec: Object) -> Iterator[Object]:
    """The containers whose environment is checked, in the order in which the webhook checks them."""
    predictor = spec["predictor"]
    yield from predictor.get("containers") or []
    yield from predictor.get("initContainers") or []
    yield from [predictor[key] for key in ("model", *FRAMEWORKS) if key in predictor][:1]
    for part in (predictor.get("workerSpec"), spec.get("transformer"), spec.get("explainer")):
        yield from (part or {}).get("containers") or []
        yield from (part or {}).get("initContainers") or []
    if "art" in (spec.get("explainer") or {}):
        yield spec["explainer"]["art"]


def _collocation_problems(predictor: Object) -> Iterator[str]:
    transformer: Object = next((container for container in predictor.get("containers") or []
                                if container.get("name") == "transformer-container"), {})
    if variable(transformer, "STORAGE_URI") is not None:
        yield "storage uri should not be specified in transformer container"
