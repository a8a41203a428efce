"""The questions of the course, and how the cluster answers them."""

from __future__ import annotations

from kserve_nb.observe.snapshot import Snapshot
from kserve_nb.tasks.question import ONE, CourseQuestion, Fields

_NONE_OF_TEN = 10  # requests


# --- how the cluster answers -----------------------------------------------------------------------------------------


def row(start: Snapshot, now: Snapshot) -> Fields | None:
    """PREV, LATEST and the number of pods, after a change is complete and the pods have followed."""
    status = now.status
    if status is None or status.latest is None or now.phase != "settled" or now.document == start.document:
        return None
    alive = [pod for pod in now.pods if not pod.terminating]
    if {pod.revision for pod in alive} != {target.revision for target in status.traffic}:
        return None
    if not all(pod.is_ready for pod in alive):
        return None
    previous = str(status.previous.percent) if status.previous else ""
    return {"PREV": previous, "LATEST": str(status.latest.percent), "pods": str(len(alive))}


def makes_revision(start: Snapshot, now: Snapshot) -> Fields | None:
    """Whether a change has created a revision."""
    before, status = start.status, now.status
    if before is None or status is None or now.phase != "settled" or now.document == start.document:
        return None
    return {ONE: "no" if status.latest_created == before.latest_created else "yes"}


def restarts_pod(start: Snapshot, now: Snapshot) -> Fields | None:
    """Whether a change has started or stopped a pod."""
    before, status = start.status, now.status
    if before is None or status is None or now.phase != "settled" or now.document == start.document:
        return None
    alive = [{pod.name for pod in seen.pods if not pod.terminating} for seen in (start, now)]
    return {ONE: "no" if alive[0] == alive[1] else "yes"}


def stored_model(start: Snapshot, now: Snapshot) -> Fields | None:
    """Which of the two models is stored after a change."""
    if now.status is None or now.document == start.document:
        return None
    return {ONE: now.status.model.rpartition("/")[2]}


def none_of_ten(_start: Snapshot, now: Snapshot) -> Fields | None:
    """In how many of 100 tries none of ten requests reaches LATEST, at the percent that is routed."""
    latest = now.status.latest if now.status else None
    return {ONE: f"{100 * (1 - latest.percent / 100) ** _NONE_OF_TEN:.0f}"} if latest else None


def tag_hosts(_start: Snapshot, now: Snapshot) -> Fields | None:
    """Which tags have a host."""
    if now.status is None or now.phase != "settled":
        return None
    tags = sorted(target.tag for target in now.status.traffic if target.url)
    return {ONE: "+".join(tags) or "none"}


# --- sentences -------------------------------------------------------------------------------------------------------

_SHARE = "canaryTrafficPercent is the share of LATEST; PREV gets the rest."
_TWO_PODS = "Each revision in the traffic list keeps its pod, even at 0 %."
_YES_NO = (("yes", "yes"), ("no", "no"))
_ROW = {"PREV": _SHARE, "LATEST": _SHARE, "pods": _TWO_PODS}
_NO_FAILURE = {ONE: "No request fails: a revision gets traffic when it can answer, and until then the old one does."}

QUESTIONS = {question.id: question for question in (
    CourseQuestion("first-row", "01_first_inference_service", "What will the row and the pods be?", "row", row,
             wrong={"PREV=0": "PREV is empty, not 0: there is no previous revision.",
                    "PREV=100": "PREV is the share of a previous revision, and there is none.",
                    "LATEST=0": "The only revision gets all users, as soon as it is ready."},
             otherwise={"PREV": "There is no previous revision, so PREV is empty.",
                        "LATEST": "The only revision gets all users.",
                        "pods": "One revision, one pod. Its two containers are the model server and Knative's proxy."}),
    CourseQuestion("flowers", "02_ingress_and_predictions", "Which classes will the two flowers get?", "choice",
             options=(("Versicolour and Versicolour", "[1, 1]"), ("Versicolour and Virginica", "[1, 2]"),
                      ("Virginica and Virginica", "[2, 2]"), ("Setosa and Versicolour", "[0, 1]")),
             wrong={"[1, 2]": "4.5 cm is short for a Virginica: most have petals of more than 5 cm.",
                    "[2, 2]": "Most petals of Virginica are longer than 5 cm; these have 4.8 and 4.5.",
                    "[0, 1]": "Petals of Setosa are shorter than 2 cm."}),
    CourseQuestion("canary-row", "03_canary", "What will the row and the pods be in the end?", "row", row,
             wrong={"PREV=10": "The percent is LATEST's share: the new revision gets it.",
                    "LATEST=90": "The percent is LATEST's share: the new revision gets it.",
                    "LATEST=100": "Without a percent it would be 100. Here the percent is set.",
                    "pods=1": "The old revision keeps its pod: it still serves most users."}, otherwise=_ROW),
    CourseQuestion("percent-revision", "03_canary", "Will there be a revision 00003?", "choice", makes_revision,
                   _YES_NO,
             wrong={"yes": "A percent only changes traffic. Knative creates a revision if the pod template changes."}),
    CourseQuestion("canary-failures", "03_canary", "How many of the user's requests failed?", "number",
             otherwise=_NO_FAILURE),
    CourseQuestion("old-schema-row", "04_old_schema", "What will the row and the pods be after this apply?", "row", row,
             wrong={"pods=3": "The old schema describes the same pods, so no revision is created.",
                    "LATEST=100": "The percent is set in this document too."}, otherwise=_ROW),
    CourseQuestion("diff-lines", "04_old_schema", "How many lines will differ?", "number",
             otherwise={ONE: "None: KServe stores every document in the new schema, so they are the same object."}),
    CourseQuestion("both-blocks", "04_old_schema", "Which model will run?", "choice", stored_model,
             (("the one under model:", "model"), ("the one under sklearn:", "model-2")),
             wrong={"model": "KServe's webhook replaces model: by the old block, without a warning."}),
    CourseQuestion("none-of-ten", "05_more_requests", "In how many of 100 tries does none of ten requests reach it?",
             "number", none_of_ten, tolerance=5,
             wrong={"0": "It is easy to miss: each request misses the canary with a probability of 90 %.",
                    "10": "10 is the percent of one request. Ten requests miss it with 0.9 to the power of 10.",
                    "90": "90 is the percent for one request. Ten have ten chances."},
             otherwise={ONE: "Each request misses it with the same probability: 0.9 to the power of 10."}),
    CourseQuestion("connections", "05_more_requests", "How many different answers come on one connection?", "number",
             wrong={"1": "A connection does not stay with a revision: the gateway chooses for each request."},
             otherwise={ONE: "There are two models, so there are two answers at most."}),
    CourseQuestion("half-row", "06_promote", "What will the row and the pods be at 50?", "row", row,
             wrong={"pods=3": "No pod starts: only the percents change.", "pods=1": "No pod stops: both serve half."},
             otherwise=_ROW),
    CourseQuestion("promote-row", "06_promote", "What will the row and the pods be in the end?", "row", row,
             wrong={"PREV=0": "PREV is empty, not 0: the traffic list names one revision only.",
                    "PREV=100": "A promotion gives all users to LATEST; PREV 100 would be a rollback.",
                    "pods=2": "In the beginning, yes. A revision outside the traffic list loses its pod soon."},
             otherwise={"PREV": "After a promotion the traffic list names one revision only, so PREV is empty.",
                        "LATEST": "Without a percent, LATEST gets everyone.",
                        "pods": "One revision is left in the traffic list, so one pod is left."}),
    CourseQuestion("pin-row", "07_rollback", "What will the row and the pods be in the end?", "row", row,
             wrong={"LATEST=100": "0 is LATEST's share, so the previous revision gets everyone.",
                    "pods=1": "00002 stays: a revision in the traffic list keeps its pod, even at 0 %."},
             otherwise=_ROW),
    CourseQuestion("pin-failures", "07_rollback", "How many requests failed?", "number",
             otherwise={ONE: "Knative's activator holds each request until a pod is ready. Some waited, none failed."}),
    CourseQuestion("slider-pods", "07_rollback", "Will a pod start or stop?", "choice", restarts_pod, _YES_NO,
             wrong={"yes": "Both revisions are in the traffic list before and after. Only the percents change."}),
    CourseQuestion("tag-hosts", "08_tag_routing", "Which of the two hosts answers now?", "choice", tag_hosts,
             (("prev-… only", "prev"), ("latest-… only", "latest"), ("both", "latest+prev"), ("none", "none")),
             wrong={"latest": "The host latest-… needs the annotation. KServe tags prev in each canary and pin.",
                    "latest+prev": "KServe always tags the previous revision, the latest one only with the annotation.",
                    "none": "KServe tags the previous revision in each canary and pin, without an annotation."}),
    CourseQuestion("tag-row", "08_tag_routing", "What will the row and the pods be in the end?", "row", row,
             wrong={"pods=3": "00002 leaves the traffic list, and its pod stops.",
                    "LATEST=0": "This document sets the percent back to 10."}, otherwise=_ROW),
    CourseQuestion("page-fault", "08_tag_routing", "Which fault will the response show?", "choice",
             options=(("404, an unknown host", "404"), ("500, a missing content type", "500"), ("200, none", "200")),
             wrong={"500": "The gateway is the first hop: it does not know the host, so no model server sees the body.",
                    "200": "Both faults of the page are in this command: the host has -default."}),
    CourseQuestion("gates-failures", "09_gates", "How many of the users' requests will fail on the way to 100 %?",
             "number", otherwise={ONE: "None: both models answer, and users move only to pods that are ready."}),
    CourseQuestion("gates-stop", "09_gates", "At which step is this canary stopped?", "choice",
             options=(("at 5 %", "5"), ("at 50 %", "50"), ("never: it answers every request", "100")),
             wrong={"50": "The comparison needs no users: the runner sends the rows itself, at each step.",
                    "100": "It answers, but differently. The agreement gate compares the answers, not the errors."}),
    CourseQuestion("gates-hold", "09_gates", "Nobody sends requests. In which state does the plan end?",
             "choice",
             options=(("promoted: nothing failed", "promoted"), ("rolled back: to be safe", "rolled back"),
                      ("on hold: nothing is known", "held")),
             wrong={"promoted": "Without requests, the lack of failures is no evidence: nobody has tried the canary.",
                    "rolled back": "A lack of traffic says nothing against the canary either. You decide."}),
    CourseQuestion("broken-failures", "10_broken_canary", "How many of the user's requests fail while it crashes?",
             "number", otherwise={ONE: "None: a revision that never becomes ready gets no traffic."}),
    CourseQuestion("broken-errors", "10_broken_canary", "Does the gate on errors stop a model that answers wrongly?",
             "choice", options=(("yes", "yes"), ("no", "no")),
             wrong={"yes": "Each answer is a 200. Only a comparison with the right answers shows the fault."}),
    CourseQuestion("compare-share", "11_compare", "On how many of 100 flowers will the two models differ?", "number",
             tolerance=4, otherwise={ONE: "Both models learned the same flowers. They differ only near the borders."}),
    CourseQuestion("zero-pods", "12_scale_to_zero", "How many pods run after the time without requests?", "number",
             otherwise={ONE: "None: with minReplicas 0 the last pod stops as well."}),
    CourseQuestion("zero-answer", "12_scale_to_zero", "No pod runs. What does the next request get?", "choice",
             options=(("404: there is no model", "404"), ("503: try again later", "503"),
                      ("200, after a wait", "200")),
             wrong={"404": "The route still exists, so the gateway has a host for it.",
                    "503": "The activator holds the request until a pod is ready, and then passes it on."}),
    CourseQuestion("load-failures", "13_load", "How many of about 500 requests fail during the three changes?",
             "number",
             otherwise={ONE: "None: the gateway moves new requests, and requests under way are finished."}),
    CourseQuestion("publish-again", "14_your_own_model", "What happens to the users of wine/v1?", "choice",
             options=(("they get the better model", "replaced"), ("some get it: those of new pods", "mixed"),
                      ("nothing: the model is not published", "refused")),
             wrong={"replaced": "Pods that run keep the model that they have loaded. Nobody could tell which one.",
                    "mixed": "That would happen if the file were replaced. Therefore a version never changes."}),
)}  # fmt: skip


def question_named(id_: str) -> CourseQuestion:
    """The question with this id. Raises ValueError if there is none."""
    if id_ not in QUESTIONS:
        raise ValueError(f"There is no question {id_!r}. The questions are: {', '.join(QUESTIONS)}.")
    return QUESTIONS[id_]
