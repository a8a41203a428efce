"""KServe's validating webhooks for ServingRuntimes and ClusterServingRuntimes.

Source: kserve 0.20 pkg/webhook/admission/servingruntime/servingruntime_webhook.go.
"""

from __future__ import annotations

from collections.abc import Iterator

from kserve_nb.clusters.embedded.api.admission.kserve.components import SERVER, variable
from kserve_nb.clusters.embedded.api.admission.kserve.isvc_validation import blocked_variables
from kserve_nb.clusters.embedded.api.admission.kserve.multi_node import SIZE_VARIABLES, SIZES, gpu_problems
from kserve_nb.clusters.embedded.api.admission.review import Review, denied
from kserve_nb.clusters.embedded.apimachinery.kinds import SERVING_RUNTIME
from kserve_nb.clusters.embedded.apimachinery.objects import Object

_WORKER = "worker-container"


def validate(review: Review) -> None:
    """Apply the rules of the validating webhook. Raises StatusError 403."""
    spec = review.new.get("spec") or {}
    if spec.get("disabled"):
        return
    for problem in _problems(review, spec):
        raise denied(f"{review.kind.kind.lower()}.kserve-webhook-server.validator", problem)


def _problems(review: Review, spec: Object) -> Iterator[str]:
    kind, name, namespace = review.kind, review.name, review.new["metadata"].get("namespace")
    others = review.objects.list(kind, namespace)
    for other in others:
        for format_ in _formats_with_two_priorities(spec):
            yield f"different priorities assigned for the model format {format_} under the {kind.kind.lower()} {name}"
        for format_ in _formats_with_the_same_priority(spec, other, name):
            other_name = other["metadata"]["name"]
            yield (f"same priority assigned for the model format {format_} in the {kind.kind.lower()}s {other_name} "
                   f"and {name}" + (f" in namespace {namespace}" if kind == SERVING_RUNTIME else ""))
    for problem in _worker_problems(spec, review.old):
        yield f"the {kind.kind} {name} is invalid: {problem}"
    containers = [*(spec.get("containers") or []), *((spec.get("workerSpec") or {}).get("containers") or [])]
    for problem in blocked_variables(containers):
        yield f'the {kind.kind} "{name}" is invalid: {problem}'


def _formats_with_two_priorities(spec: Object) -> Iterator[str]:
    priorities: dict[str, int | None] = {}
    for format_ in spec.get("supportedModelFormats") or []:
        if format_.get("autoSelect"):
            name, priority = format_.get("name", ""), format_.get("priority")
            known = priorities.setdefault(name, priority)
            if known is not None and priority is not None and known != priority:
                yield name


def _formats_with_the_same_priority(spec: Object, other: Object, name: str) -> Iterator[str]:
    """Formats for which another runtime would be selected with the same priority."""
    there = other.get("spec") or {}
    if (bool(spec.get("multiModel")) != bool(there.get("multiModel")) or there.get("disabled")
            or other["metadata"]["name"] == name
            or not set(spec.get("protocolVersions") or ()) & set(there.get("protocolVersions") or ())):
        return
    for theirs in there.get("supportedModelFormats") or []:
        for ours in spec.get("supportedModelFormats") or []:
            if (ours.get("autoSelect") and theirs.get("autoSelect")
                    and ours.get("name", "").lower() == theirs.get("name", "").lower()
                    and ours.get("version") == theirs.get("version")
                    and ours.get("priority") is not None and ours["priority"] == theirs.get("priority")):
                yield ours.get("name", "")


def _worker_problems(spec: Object, old: Object | None) -> Iterator[str]:
    worker, annotations = spec.get("workerSpec"), spec.get("annotations") or {}
    if worker is None:
        if ((old or {}).get("spec") or {}).get("workerSpec") is not None:
            yield "removing workerSpec where it already exists is not allowed"
        return
    containers = worker.get("containers") or []
    if len(containers) > 1:
        yield "setting multiple containers in workerSpec is not allowed"
    for container in spec.get("containers") or []:
        if container.get("name") == SERVER:
            for variable_ in SIZE_VARIABLES:
                if variable(container, variable_) is not None:
                    yield f"setting {variable_} in environment variables is not allowed"
            yield from gpu_problems(container, annotations, f"unknown GPU resource type in a container({SERVER})")
    for container in containers[:1]:
        if container.get("name") == _WORKER:
            yield from gpu_problems(container, annotations, f"unknown GPU resource type in a container({_WORKER})")
    for field in SIZES:
        if worker.get(field, 1) < 1:
            yield f"the WorkerSpec.{field[0].upper()}{field[1:]} cannot be less than 1({worker[field]})"
