"""Rules about models that do not get ready (K04, K13 and K17)."""

from __future__ import annotations

from collections.abc import Iterator

from kserve_nb.doctor.facts import Cause, Facts, Service, moment
from kserve_nb.doctor.finding import Finding
from kserve_nb.rollout import progress
from kserve_nb.values.condition import conditions_of
from kserve_nb.values.kserve_versions import ignores_canary
from kserve_nb.values.revisions import short

_DOWNLOADER = "storage-initializer"


def no_room(facts: Facts) -> Iterator[Finding]:
    """K04: the scheduler found no node for a pod."""
    for service in facts.services:
        for where, saw, asks in _unscheduled(service):
            yield Finding(
                "K04", "blocker", "pod", where, saw,
                f"It asks for {asks}; the node has {_allocatable(facts)} in all. Without resources in the "
                "manifest each revision asks for 1 CPU and 2Gi, and a canary has two.",
                "under predictor.model: resources: {requests: {cpu: 100m, memory: 256Mi}}",
            )  # fmt: skip


def _unscheduled(service: Service) -> Iterator[tuple[str, str, str]]:
    """Name, message and requests of each pod without a node; from events, where the pod has been given up."""
    for pod in service.wanted_pods:
        scheduled = conditions_of(pod).get("PodScheduled")
        if scheduled is not None and scheduled.reason == "Unschedulable":
            yield pod["metadata"]["name"], scheduled.message, _requests(pod)
    status = service.status
    told = [event for event in service.events if event.get("reason") == "FailedScheduling"]
    if not service.pods and told and status.latest_created != status.latest_ready:
        yield told[-1]["involvedObject"]["name"], told[-1].get("message") or "", "more than is free"


def _requests(pod: dict[str, object]) -> str:
    containers = pod["spec"]["containers"]  # type: ignore[index]  # a pod has them
    asked = [(c.get("resources") or {}).get("requests") or {} for c in containers]
    each = [" and ".join(f"{amount} {name}" for name, amount in row.items()) for row in asked if row]
    return " + ".join(each) or "nothing"


def _allocatable(facts: Facts) -> str:
    found = [(node.get("status") or {}).get("allocatable") or {} for node in facts.nodes]
    return "; ".join(f"{row.get('cpu')} cpu and {row.get('memory')} memory" for row in found) or "an unknown amount"


def no_model(facts: Facts) -> Iterator[Finding]:
    """K13: the storage-initializer failed."""
    for service in facts.services:
        found = next((cause for cause in service.causes if cause.container == _DOWNLOADER), None)
        told = service.status.failure if not service.causes and _failing(service) else ""
        if found is None and "torage" not in told:
            continue
        gone = f"POD of {service.status.latest_created or service.name}"
        cause = found or Cause(gone, _DOWNLOADER, "Error", None, told)
        model = next(iter(cause.arguments), service.status.model)
        yield Finding(
            "K13", "blocker", "pod", cause.pod, cause.last_words,
            f"{_messenger(service)}The init container storage-initializer cannot fetch {model}. "
            f"{_users(service)}",
            f"compare storageUri with where the model is; kubectl logs {cause.pod.partition(' ')[0]} -c {_DOWNLOADER}",
        )  # fmt: skip


def no_revision(facts: Facts) -> Iterator[Finding]:
    """K17: RevisionMissing and its like say that something failed; the deepest cause says what."""
    for service in facts.services:
        if not _failing(service) or ignores_canary(service.mode) or _explained(service, facts):
            continue
        where, saw = _deepest(service)
        yield Finding(
            "K17", "blocker", "revision", where, saw,
            f"{_messenger(service)}This is the deepest cause that is known. {_users(service)}",
            f"kubectl describe isvc {service.name}; kubectl get events --sort-by=.lastTimestamp",
        )  # fmt: skip


def _failing(service: Service) -> bool:
    """Whether something has gone wrong, not merely is under way."""
    status = service.status
    believed = status.latest_created != status.latest_ready or not status.latest_created
    failed = any(c.status == "False" for t, c in status.conditions.items() if t in ("PredictorReady", "Ready"))
    blocked = status.model_state == "BlockedByFailedLoad"
    return (
        bool(service.causes)
        or status.model_state == "InvalidSpec"
        or (believed and (failed or blocked))
        or (failed and _reconcile_failed(service))
        or (not status.latest_created and bool(_refused(service)))
        or _change_refused(service)
    )


def _change_refused(service: Service) -> bool:
    """Whether KServe has refused the last change of a service that runs: READY stays True, an event alone says it."""
    since = service.written_at
    return bool(since and _refused(service, since)) and bool(progress.missing(service.status, service.knative))


def _reconcile_failed(service: Service) -> bool:
    predictor = service.status.conditions.get("PredictorReady")
    return predictor is not None and predictor.reason == "ReconcileFailed"


def _explained(service: Service, facts: Facts) -> bool:
    """Whether a rule of its own names the cause."""
    status = service.status
    told = status.failure if not service.causes else ""
    return (
        any(cause.container == _DOWNLOADER for cause in service.causes)
        or "torage" in told
        or any(True for _ in _unscheduled(service))
        or (status.requested_percent is not None and not 0 <= status.requested_percent <= 100)
        or "control-plane" in (facts.namespace_labels or {})
    )


def _deepest(service: Service) -> tuple[str, str]:
    """Where the deepest cause is, and its own words: container, revision, event, condition."""
    for cause in service.causes:
        code = "" if cause.exit_code is None else f" exited {cause.exit_code}"
        return f"pod {cause.pod}", f"container {cause.container}{code}: {cause.last_words}"
    status = service.status
    for revision in reversed(service.revision_values):
        if revision.message and not revision.ready:
            return f"revision {revision.name}", f"{revision.reason}: {revision.message}"
    refused = _refused(service)
    # KServe never clears the failure: of a service that runs it may speak of an earlier change.
    failure = "" if _change_refused(service) and status.model_state != "InvalidSpec" else status.failure
    if refused or failure:
        return f"InferenceService {service.name}", ": ".join(filter(None, (failure, refused)))
    ready = status.conditions.get("PredictorReady", status.ready)
    return f"InferenceService {service.name}", f"{ready.reason}: {ready.message}"


def _refused(service: Service, since: str = "") -> str:
    """KServe's own word in an event, which may be the only place where it says why."""
    found = [event for event in service.events if event.get("reason") == "InternalError"
             and event["involvedObject"].get("kind") == "InferenceService"
             and event["involvedObject"].get("name") == service.name
             and moment(event) >= since
             and "object has been modified" not in (event.get("message") or "")]  # fmt: skip
    return str(found[-1].get("message") or "") if found else ""


def _messenger(service: Service) -> str:
    ready = service.status.conditions.get("PredictorReady")
    return f"{ready.reason} is only the messenger. " if ready and ready.reason else ""


def _users(service: Service) -> str:
    serving = [short(name) for name, percent in service.status.percents.items() if percent]
    return f"Users are served by {', '.join(dict.fromkeys(serving))} meanwhile." if serving else "Nobody is served yet."


RULES = (no_room, no_model, no_revision)
