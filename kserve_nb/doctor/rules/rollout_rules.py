"""Rules about the state of a rollout: what is wrong, and what is correct but surprising (C01 to C10, C13, C16)."""

from __future__ import annotations

from collections.abc import Iterator

from kserve_nb.doctor.fact_check import fact_check, service_check
from kserve_nb.doctor.facts import Facts, ServiceFacts
from kserve_nb.doctor.finding import Finding
from kserve_nb.doctor.remedy import Remedy, kubectl, percent_patch, wait_ready
from kserve_nb.doctor.rule import declare
from kserve_nb.rollout import progress
from kserve_nb.values.pods import Pod
from kserve_nb.values.revisions import short
from kserve_nb.values.rollout_status import RolloutStatus

FIRST_PERCENT = declare("C01", "a percent on the first revision splits nothing")
SMALL_SAMPLE = declare("C02", "too few requests to see the split")
ONE_CONNECTION = declare("C03", "one connection does not stay with one revision")
READY_MEANS = declare("C04", "READY is not about what users get")
PREPARING = declare("C05", "the canary is being prepared and does not serve yet")
OTHER_PODS = declare("C07", "pods of revisions without traffic")
TWO_STEPS = declare("C08", "a pin takes two steps")
PINNED = declare("C09", "a new model removes the pin first")
LEFT_OUT = declare("C10", "previousRolledoutRevision is left out while it is empty")
TAG_HOSTS = declare("C13", "the prev- host always exists, the latest- host only with tag routing")
BOTH_SPLIT = declare("C16", "two components split their traffic independently")


@service_check
def first_percent(facts: Facts, service: ServiceFacts) -> Iterator[Finding]:
    """C01: a percent, and only one revision."""
    status = service.status
    done = service.knative is None or progress.follows(status, service.knative)  # otherwise a second one is on its way
    alone = len(service.revisions) == 1 and status.latest_ready == status.latest_created
    if alone and done and status.requested_percent not in (None, 100) and status.traffic:
        yield Finding(
            FIRST_PERCENT, "warning", "rollout", service.title, traffic_line(service),
            "There is no other revision to share traffic with: the first one gets all of it, whatever the percent.",
            Remedy("remove the percent, then apply the second model with a percent",
                   percent_patch(service.name, facts.namespace, None)),
        )  # fmt: skip


@service_check
def ready_means(facts: Facts, service: ServiceFacts) -> Iterator[Finding]:
    """C04: READY describes the newest revision, and is stale right after a write."""
    status = service.status
    left = progress.missing(status, service.knative)
    if status.ready.status != "True" and service.answered == 200:
        saw = f"{' '.join(filter(None, ('READY', status.ready.status, status.ready.reason)))}, the model answers 200"
        newest = short(status.latest_created)
        why = f"READY describes {newest}, the newest revision; users get {traffic_line(service)}."
    elif status.ready.status == "True" and left and service.knative is not None and not _alone(service):
        saw, why = f"READY True, and {left}", "READY still describes the state before the last write."
    else:
        return
    yield Finding(READY_MEANS, "note", "rollout", service.title, saw, why, _wait(facts, service))


@service_check
def preparing(facts: Facts, service: ServiceFacts) -> Iterator[Finding]:
    """C05: both traffic targets name the old revision while the new one starts."""
    status = service.status
    if _same_revision_twice(status) and status.latest and status.latest_created != status.latest_ready:
        yield Finding(
            PREPARING, "note", "rollout", service.title, traffic_line(service),
            f"Both targets are {short(status.latest.revision)}: it serves all users until "
            f"{short(status.latest_created)} is ready.",
            _wait(facts, service),
        )  # fmt: skip


@service_check
def other_pods(facts: Facts, service: ServiceFacts) -> Iterator[Finding]:
    """C07: pods of revisions that get no traffic."""
    percents = service.status.percents
    rest = [pod for pod in map(Pod.of, service.pods) if not percents.get(pod.revision) and percents]
    wanted = {pod["metadata"]["name"] for pod in service.wanted_pods}
    ending = [pod for pod in rest if pod.terminating]
    kept = [pod for pod in rest if pod.name in wanted and pod.revision in percents]
    left = [pod for pod in rest if pod.name not in wanted and not pod.terminating]
    for pods, why in (
        (ending, "It gets no new requests and drains for about 30 s, after 60 s without traffic."),
        (kept, "The route names its revision with 0 %, and a revision in the route keeps its pods."),
        (left, "Its revision is not the newest and has no traffic. Knative removes the pod, or, if the "
               "revision has failed, after the 10 minutes that it has to become ready."),
    ):
        for pod in pods:
            yield Finding(OTHER_PODS, "note", "pod", pod.name, f"{pod.ready}/{pod.containers} {pod.status}", why,
                          Remedy("nothing: this is the intended state"))  # fmt: skip


@service_check
def two_steps(facts: Facts, service: ServiceFacts) -> Iterator[Finding]:
    """C08: the first of the two steps of a pin after a promotion."""
    status = service.status
    first_step = _same_revision_twice(status) and status.requested_percent == 0 and not _alone(service)
    if first_step and status.latest and status.latest_created == status.latest_ready:
        yield Finding(
            TWO_STEPS, "note", "rollout", service.title, traffic_line(service),
            f"KServe first writes 0 and 100 for {short(status.latest.revision)} itself, and finds the revision before "
            "it a second later.",
            _wait(facts, service),
        )  # fmt: skip


@service_check
def pinned(facts: Facts, service: ServiceFacts) -> Iterator[Finding]:
    """C09: the effect of a new model on a pin."""
    status = service.status
    latest, previous = status.latest, status.previous
    if status.requested_percent == 0 and latest and previous and latest.revision != previous.revision:
        yield Finding(
            PINNED, "note", "rollout", service.title, traffic_line(service),
            f"If you raise the percent together with a new model, {short(latest.revision)} serves all users until the "
            "new revision is ready.",
            Remedy("apply the new model with percent 0, wait until it is ready, then raise the percent"),
        )  # fmt: skip


@service_check
def left_out(facts: Facts, service: ServiceFacts) -> Iterator[Finding]:
    """C10: KServe's page prints an empty string where the object has no field."""
    status = service.status
    if status.previous and not status.previous_rolledout and not _alone(service):
        yield Finding(
            LEFT_OUT, "note", "rollout", service.title, "no previousRolledoutRevision in the status",
            'KServe\'s page shows `"previousRolledoutRevision": ""`. The API leaves empty strings out, and a promotion '
            "fills the field. The column PREV is read from the traffic list.",
            Remedy("", kubectl("get", "isvc", service.name, "-o", "jsonpath={.status.components}",
                               namespace=facts.namespace)),
        )  # fmt: skip


@service_check
def tag_hosts(facts: Facts, service: ServiceFacts) -> Iterator[Finding]:
    """C13: the traffic list has the tag prev without tag routing."""
    status = service.status
    tags = {target.tag for target in status.traffic}
    if "prev" in tags and "latest" not in tags and not status.tag_routing:
        yield Finding(
            TAG_HOSTS, "note", "rollout", service.title, "the traffic list has the tag prev alone",
            "KServe always tags the previous revision. The host latest-… answers 404 until the annotation "
            'serving.kserve.io/enable-tag-routing: "true" is set.',
            Remedy("set the annotation, which creates a revision", kubectl(
                "annotate", "isvc", service.name, "serving.kserve.io/enable-tag-routing=true", "--overwrite",
                namespace=facts.namespace)),
        )  # fmt: skip


@service_check
def both_split(facts: Facts, service: ServiceFacts) -> Iterator[Finding]:
    """C16: transformer and predictor each have a canary percent."""
    spec = service.isvc.get("spec") or {}
    split = [part for part in ("predictor", "transformer", "explainer")
             if 0 < ((spec.get(part) or {}).get("canaryTrafficPercent") or 0) < 100]  # fmt: skip
    if len(split) > 1:
        yield Finding(
            BOTH_SPLIT, "warning", "rollout", service.title, f"canaryTrafficPercent in {' and '.join(split)}",
            "The two splits are independent, so a request may pass the new transformer and the old predictor.",
            Remedy("change one component at a time"),
        )  # fmt: skip


@fact_check
def small_sample(facts: Facts) -> Iterator[Finding]:
    """C02 and C03: what a sample of requests can show."""
    tally = facts.tally
    if tally is None:
        return
    verdict = tally.verdict()
    counts = {name: count for name, count in tally.split.counts.items() if count}
    if verdict.word == "too few":
        yield Finding(
            SMALL_SAMPLE, "note", "rollout", f"{verdict.sent} requests", repr(verdict),
            f"The gateway chooses a revision for each request at random: none of {verdict.sent} reaches "
            f"{verdict.percent} % in {100 * verdict.none_chance:.0f} % of all cases.",
            Remedy("send more requests", cell=f"rollout.send({verdict.sent + verdict.more})"),
        )  # fmt: skip
    if len(counts) == 1 and 0 < tally.percent < 100:
        yield Finding(
            ONE_CONNECTION, "note", "rollout", f"{verdict.sent} requests",
            f"all answered by {short(next(iter(counts)))}",
            "A connection does not stay with a revision: the gateway chooses for each request, also on one connection.",
            Remedy("send more requests; they reuse connections, and reach both revisions", cell="rollout.send(300)"),
        )  # fmt: skip


def traffic_line(service: ServiceFacts) -> str:
    """The traffic list in one line: "10 % 00002 / 90 % 00001"."""
    rows = service.status.traffic
    return " / ".join(f"{row.percent} % {short(row.revision)}" for row in rows) or "no traffic"


def _wait(facts: Facts, service: ServiceFacts) -> Remedy:
    cell = f'await lab.rollout("{service.name}").wait()'
    return Remedy("wait for it", wait_ready(service.name, facts.namespace), cell)


def _same_revision_twice(status: RolloutStatus) -> bool:
    latest, previous = status.latest, status.previous
    return latest is not None and previous is not None and latest.revision == previous.revision


def _alone(service: ServiceFacts) -> bool:
    return len(service.revisions) == 1
