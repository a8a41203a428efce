"""Rules about pods: scheduling, images, configuration, downloads and crashes; and about revisions that are not ready.

The words of the scheduler, the kubelet and the containers are explained by the same tables as pasted messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from kserve_nb.doctor.fact_check import service_check
from kserve_nb.doctor.facts import Facts, ServiceFacts, moment
from kserve_nb.doctor.finding import Finding
from kserve_nb.doctor.messages.message_table import CONTAINER_TABLES, Names, explain
from kserve_nb.doctor.pod_facts import (
    DOWNLOADER,
    ContainerFailure,
    PodProgress,
    lacks_model_file,
    progress_of,
    requests_in_words,
    seconds_between,
    unschedulable,
)
from kserve_nb.doctor.remedy import Remedy, kubectl, pod_log
from kserve_nb.doctor.rule import declare
from kserve_nb.rollout import progress
from kserve_nb.values.kserve_versions import ignores_canary
from kserve_nb.values.labels import SOURCE_URI
from kserve_nb.values.revisions import short
from kserve_nb.values.text.foreign_text import last_line

NO_MODEL = declare("K13", "the model cannot be downloaded")
NO_REVISION = declare("K17", "no revision becomes ready")
OTHER_VERSION = declare("K14", "the model was saved with other library versions")
NO_MODEL_FILE = declare("L01", "the folder of storageUri has not exactly one model file")
IN_PROGRESS = declare("P15", "the rollout is in progress")
_NO_ROOM = "K04"
_OTHER_VERSION = re.compile(r"Trying to unpickle estimator \S+ from version (?P<saved>\S+) when using version "
                            r"(?P<served>[\w.+]*\w)")


@service_check
def unscheduled(facts: Facts, service: ServiceFacts) -> Iterator[Finding]:
    """K04, P01 and S04: the scheduler found no node for a pod; its message counts the nodes by reason."""
    for pod, message, requests in _unscheduled(service):
        names = Names(facts.namespace, service.name, pod=pod)
        for found in explain(message, names=names, where=pod, tables=("storage", "scheduler"))[:1]:
            why = found.why
            if found.id == _NO_ROOM and requests:
                why = f"The pod requests {requests}; the node has {_allocatable(facts)} in all. {why}"
            yield Finding(found.rule, "blocker", "pod", pod, message, f"{_users(service)} {why}", found.remedy)


def _unscheduled(service: ServiceFacts) -> Iterator[tuple[str, str, str]]:
    """Name, message and requests of each pod without a node; from events when the pod is gone."""
    for pod in service.wanted_pods:
        if message := unschedulable(pod):
            yield pod["metadata"]["name"], message, requests_in_words(pod)
    status = service.status
    events = [event for event in service.events if event.get("reason") == "FailedScheduling"]
    if not service.pods and events and status.latest_created != status.latest_ready:
        yield events[-1]["involvedObject"]["name"], events[-1].get("message") or "", ""


def _allocatable(facts: Facts) -> str:
    found = [(node.get("status") or {}).get("allocatable") or {} for node in facts.nodes]
    return "; ".join(f"{row.get('cpu')} cpu and {row.get('memory')} memory" for row in found) or "an unknown amount"


@service_check
def failed_containers(facts: Facts, service: ServiceFacts) -> Iterator[Finding]:
    """K11 to K15, K08, P04 …: why a container of the newest revision does not run."""
    for failure in service.failures[:1]:
        found = _explained(facts, service, failure)
        if found is None:
            continue
        yield Finding(
            found.rule, "blocker", "pod", failure.pod, failure.last_words,
            f"{_users(service)} {_container(failure)}{found.why}", found.remedy,
        )  # fmt: skip


@service_check
def other_versions(facts: Facts, service: ServiceFacts) -> Iterator[Finding]:
    """K14: a model server runs, and its log begins with scikit-learn's warning about a model of another version."""
    for pod, log in service.first_lines.items():
        warned = _OTHER_VERSION.search(log)
        if warned is not None:
            saved, served = warned["saved"], warned["served"]
            yield Finding(
                OTHER_VERSION, "warning", "model", pod, warned[0],
                f"The model was saved with scikit-learn {saved}, and the model server has {served}. It may answer "
                "differently, without an error.",
                Remedy(f"train and save it again with scikit-learn {served}, and publish it as a new version",
                       f"pip install scikit-learn=={served}"),
            )  # fmt: skip


@service_check
def no_model_file(facts: Facts, service: ServiceFacts) -> Iterator[Finding]:
    """L01: a model server runs and is ready, and its log begins with KServe's message that there is no model file."""
    addresses = {pod["metadata"]["name"]: (pod["metadata"].get("annotations") or {}).get(SOURCE_URI)
                 for pod in service.pods}
    for pod, log in service.first_lines.items():
        missing, uri = lacks_model_file(log), addresses.get(pod) or service.status.model
        if missing and uri:
            claim, _, path = uri.removeprefix("pvc://").partition("/")
            folder = f"The folder {path or '/'} of claim {claim}" if uri.startswith("pvc://") else "Its folder"
            yield Finding(
                NO_MODEL_FILE, "blocker", "model", f"storageUri {uri}", f"{missing}, in {pod}",
                f"{folder} does not exist, or has no model file (*.joblib, *.pkl, *.pickle). The server starts without "
                "a model then: READY is True, and each prediction is answered with 404.",
                Remedy("set storageUri to the address of a published model, as kserve-nb publish prints it; now it is",
                       kubectl("get", "isvc", service.name, "-o", "jsonpath={.spec.predictor.model.storageUri}",
                               namespace=facts.namespace)),
            )  # fmt: skip


@service_check
def no_model(facts: Facts, service: ServiceFacts) -> Iterator[Finding]:
    """K13: the storage-initializer failed."""
    failure = next((failure for failure in service.failures if failure.container == DOWNLOADER), None)
    if failure is not None and _explained(facts, service, failure) is not None:
        return  # its image cannot be pulled, or it ran out of memory
    message = service.status.failure if not service.failures and _failing(service) else ""
    if failure is None and "torage" not in message:
        return
    gone = f"a pod of {service.status.latest_created or service.name}"
    failure = failure or ContainerFailure(gone, DOWNLOADER, "Error", None, message)
    model = next(iter(failure.arguments), service.status.model)
    cause = next(iter(explain(failure.log, tables=("storage",))), None)
    yield Finding(
        NO_MODEL, "blocker", "pod", failure.pod, failure.last_words,
        f"{_first_line(service)}The init container storage-initializer cannot fetch {model}. "
        f"{_users(service)} {cause.why if cause else ''}".rstrip(),
        Remedy("compare storageUri with the place of the model",
               pod_log(failure.pod, DOWNLOADER, facts.namespace) if " " not in failure.pod else
               kubectl("get", "isvc", service.name, "-o", "jsonpath={.spec.predictor.model.storageUri}",
                       namespace=facts.namespace)),
    )  # fmt: skip


@service_check
def no_revision(facts: Facts, service: ServiceFacts) -> Iterator[Finding]:
    """K17: conditions such as RevisionMissing report that something failed; the deepest message has the cause."""
    if not _failing(service) or ignores_canary(service.mode) or _has_own_rule(facts, service):
        return
    where, saw = _deepest(service)
    cause = next((found for found in explain(saw) if found.id != NO_REVISION.id), None)
    events = kubectl("get", "events", "--sort-by=.lastTimestamp", namespace=facts.namespace)
    remedy = cause.remedy if cause and cause.remedy.text else Remedy("read the events of its objects", events)
    why = cause.why if cause else "This is the deepest cause that Kubernetes records."
    yield Finding(
        NO_REVISION, "blocker", "revision", where, saw, f"{_first_line(service)}{_users(service)} {why}", remedy,
    )  # fmt: skip


@service_check
def in_progress(facts: Facts, service: ServiceFacts) -> Iterator[Finding]:
    """P15: nothing has failed and the rollout is not complete: what it waits for, since when, the last log line."""
    left = progress.missing(service.status, service.knative) if service.isvc.get("status") else ""
    if not left or ignores_canary(service.mode) or _failing(service) or any(True for _ in _unscheduled(service)):
        return
    waiting = next(filter(None, map(progress_of, reversed(service.wanted_pods))), None)
    where = waiting.pod if waiting else service.title
    yield Finding(
        IN_PROGRESS, "progress", "pod" if waiting else "rollout", where,
        _waiting_in_words(facts, service, waiting) if waiting else left,
        f"{_users(service)} Nothing has failed yet: {left}. Knative gives a new revision 10 minutes.",
        Remedy("wait for it, or read the log", _progress_command(facts, service, waiting), "await rollout.wait()"),
    )  # fmt: skip


def _waiting_in_words(facts: Facts, service: ServiceFacts, waiting: PodProgress) -> str:
    age = seconds_between(waiting.since, facts.now)
    since = f" for {age:.0f} s" if age is not None else ""
    log = last_line(service.logs.get(waiting.pod) or "")
    return f"{waiting.state}{since}" + (f"; last log line: {log}" if log else "")


def _progress_command(facts: Facts, service: ServiceFacts, waiting: PodProgress | None) -> str:
    if waiting is not None and waiting.container:
        return pod_log(waiting.pod, waiting.container, facts.namespace)
    return kubectl("get", "pods", "-l", f"serving.kserve.io/inferenceservice={service.name}", namespace=facts.namespace)


def _explained(facts: Facts, service: ServiceFacts, failure: ContainerFailure) -> Finding | None:
    """The explanation of a container's failure by the tables; None when only K13 or K17 applies."""
    if failure.container == DOWNLOADER and failure.reason not in ("OOMKilled", "ImagePullBackOff", "ErrImagePull"):
        return None
    names = Names(facts.namespace, service.name, pod=failure.pod)
    code = "" if failure.exit_code is None else f"exit code {failure.exit_code}"
    text = "\n".join((failure.log, f"{failure.reason} {code}"))
    found = explain(text, names=names, tables=CONTAINER_TABLES)
    return next((finding for finding in found if finding.id not in _TOO_GENERAL), None)


_TOO_GENERAL = ("P12", "L05", "P11")  # they only repeat what Kubernetes reports; K17 quotes the deepest message


def _container(failure: ContainerFailure) -> str:
    return f"Container {failure.container}: {failure.reason}. "


def _failing(service: ServiceFacts) -> bool:
    """Whether something has failed, and is not only in progress."""
    status = service.status
    current = status.latest_created != status.latest_ready or not status.latest_created
    failed = any(c.status == "False" for t, c in status.conditions.items() if t in ("PredictorReady", "Ready"))
    blocked = status.model_state == "BlockedByFailedLoad"
    return (
        bool(service.failures)
        or status.model_state == "InvalidSpec"
        or (current and (failed or blocked))
        or (failed and _reconcile_failed(service))
        or (not status.latest_created and bool(_refused(service)))
        or _change_refused(service)
    )


def _change_refused(service: ServiceFacts) -> bool:
    """Whether KServe has refused the last change of a service that runs: READY stays True, only an event shows it."""
    since = service.written_at
    return bool(since and _refused(service, since)) and bool(progress.missing(service.status, service.knative))


def _reconcile_failed(service: ServiceFacts) -> bool:
    predictor = service.status.conditions.get("PredictorReady")
    return predictor is not None and predictor.reason == "ReconcileFailed"


def _has_own_rule(facts: Facts, service: ServiceFacts) -> bool:
    """Whether a more specific rule names the cause."""
    status = service.status
    message = status.failure if not service.failures else ""
    failure = next(iter(service.failures), None)
    return (
        any(failure.container == DOWNLOADER for failure in service.failures)
        or "torage" in message
        or any(True for _ in _unscheduled(service))
        or (failure is not None and _explained(facts, service, failure) is not None)
        or (status.requested_percent is not None and not 0 <= status.requested_percent <= 100)
        or "control-plane" in (facts.namespace_labels or {})
    )


def _deepest(service: ServiceFacts) -> tuple[str, str]:
    """Where the deepest cause is, and its text: of a container, a revision, an event or a condition."""
    for failure in service.failures:
        code = "" if failure.exit_code is None else f" exited {failure.exit_code}"
        return f"pod {failure.pod}", f"container {failure.container}{code}: {failure.last_words}"
    status = service.status
    for revision in reversed(service.revision_values):
        if revision.message and not revision.ready:
            return f"revision {revision.name}", f"{revision.reason}: {revision.message}"
    refused = _refused(service)
    # KServe never clears the failure: for a service that runs it may describe an earlier change.
    failed = "" if _change_refused(service) and status.model_state != "InvalidSpec" else status.failure
    if refused or failed:
        return service.title, ": ".join(filter(None, (failed, refused)))
    ready = status.conditions.get("PredictorReady", status.ready)
    return service.title, f"{ready.reason}: {ready.message}"


def _refused(service: ServiceFacts, since: str = "") -> str:
    """The message of KServe's last InternalError event, which may be the only place where it gives a reason."""
    found = [event for event in service.events if event.get("reason") == "InternalError"
             and event["involvedObject"].get("kind") == "InferenceService"
             and event["involvedObject"].get("name") == service.name
             and moment(event) >= since
             and "object has been modified" not in (event.get("message") or "")]  # fmt: skip
    return str(found[-1].get("message") or "") if found else ""


def _first_line(service: ServiceFacts) -> str:
    """The condition that `kubectl get` shows, which names only the symptom."""
    ready = service.status.conditions.get("PredictorReady")
    return f"{ready.reason} is only the symptom. " if ready and ready.reason else ""


def _users(service: ServiceFacts) -> str:
    serving = [short(name) for name, percent in service.status.percents.items() if percent]
    return f"Users are served by {', '.join(dict.fromkeys(serving))}." if serving else "Nobody is served yet."
