"""What a check cell calls: each check passes with one line, or fails with three: expected, saw, do this.

What differs from run to run in the texts (how many requests, which share) stands in brackets, so that the rest can
be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import yaml

from kserve_nb.access.api_client import INFERENCE_SERVICE, Client
from kserve_nb.access.ingress import IRIS_INPUT, Ingress, Response
from kserve_nb.checks import installation
from kserve_nb.checks.check import CheckFailed, check, step
from kserve_nb.rollout import progress
from kserve_nb.rollout.availability import AvailabilityProbe
from kserve_nb.rollout.reader import Tag
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.rollout.sampling import CAP, Tally
from kserve_nb.rollout.statistics import ALPHA, needed
from kserve_nb.values.foreign_text import last_line
from kserve_nb.values.manifest import to_new_schema
from kserve_nb.values.render import COLUMNS, pod_line, row_line, status_line, status_row
from kserve_nb.values.revisions import short
from kserve_nb.values.rollout_status import RolloutStatus, TrafficTarget
from kserve_nb.values.split import Split
from kserve_nb.values.well_known import UNKNOWN_HOST

Seen = tuple[str, dict[str, Any]]  # the line of a passed check, and what it saw


class Checks:
    """The tutorial's checks, on one InferenceService. `hint=True` tells the answer where `do` only points to it."""

    def __init__(
        self, client: Client, ingress: Ingress, name: str = "sklearn-iris", doctor: Callable[[], str] = lambda: ""
    ):
        self.doctor = doctor  # names what blocks the way, for a check that fails; empty where nothing does
        self._client, self._ingress = client, ingress
        self._rollout = Rollout(client, ingress, name)

    @check
    def backend(self, hint: bool = False) -> Seen:
        """The API server answers, serves KServe's and Knative's kinds, and KServe makes Knative Services of them."""
        return installation.check(self._client, hint)

    @check
    def namespace(self, hint: bool = False) -> Seen:
        """The namespace is there, and KServe may download models in it."""
        found = self._client.require_namespace()
        name, labels = self._client.namespace, found["metadata"].get("labels") or {}
        if "control-plane" in labels:
            raise CheckFailed(
                f"{name} carries the label control-plane",
                "a namespace without that label: KServe downloads no model where it is",
                f"control-plane={labels['control-plane']}",
                step(
                    "take the label away, or use another namespace", f"kubectl label ns {name} control-plane-", hint
                ),
            )
        return f"namespace {name} is ready for models", {"labels": labels}

    @check
    def ingress(self, hint: bool = False) -> Seen:
        """The gateway answers, and a host that nobody serves gets its empty 404."""
        answer = self._ingress.send("GET", UNKNOWN_HOST, "/", timeout_s=10)
        if answer.status != 404 or answer.text:
            raise CheckFailed(
                "This is not the ingress gateway",
                f"404 with an empty body for the unknown host {UNKNOWN_HOST}",
                f"{answer.status}: {answer.text.strip()[:80] or 'an empty body'}",
                step("look at what listens there", 'lab = connect(ingress="HOST:PORT")', hint),
            )
        return "the gateway answers, and knows no host that it was not told", {"address": self._ingress.address}

    @check
    def first_ready(self, hint: bool = False) -> Seen:
        """The first revision is ready and serves everybody."""
        status = self._settled("00001 is ready and LATEST is 100", "The first revision does not serve yet", hint)
        if _rows(status) != [("00001", 100)]:
            raise CheckFailed(
                "This is not the first revision alone",
                "LATEST 100 → 00001",
                _in_words(status),
                step("begin again", 'await lab.ensure("first-model")', hint),
            )
        return "revision 00001 serves 100 % (LATEST=100, PREV empty)", _seen(status)

    @check
    def predict(self, hint: bool = False) -> Seen:
        """The tutorial's two flowers are both Versicolour: class 1."""
        answer = self._rollout.request(IRIS_INPUT)
        if answer.status != 200 or answer.predictions != [1, 1]:
            raise CheckFailed(
                "The model did not say [1, 1]",
                '200 {"predictions":[1,1]}',
                f"{answer.status} {answer.text.strip()[:120] or 'with an empty body'}",
                step(_predictstep(answer), "compare: rollout.host() is the Host header that works", hint),
            )
        return '{"predictions":[1,1]} – both flowers are Versicolour', {"status": answer.status}

    @check
    def two_404s(self, hint: bool = False) -> Seen:
        """The gateway's 404 has an empty body, the model server's says which model it does not have."""
        gateway = self._ingress.request(UNKNOWN_HOST, self._rollout.name, IRIS_INPUT)
        server = self._ingress.request(self._rollout.host(), "nope", IRIS_INPUT)
        if (gateway.status, gateway.text) != (404, "") or server.status != 404 or "nope" not in server.text:
            raise CheckFailed(
                "The two 404s are not told apart",
                "an empty 404 from the gateway, a 404 that names the model from the server",
                f"{gateway.status} {gateway.text.strip()[:60]!r} and {server.status} {server.text.strip()[:60]!r}",
                step("see who answers: the header `server`", "print(rollout.request().headers)", hint),
            )
        return "a 404 without a body is the gateway's, one that names the model is the server's", {}

    @check
    def canary_spec(self, percent: int = 10, hint: bool = False) -> Seen:
        """`canaryTrafficPercent` stands under `spec.predictor`, beside the model, and is this number."""
        predictor = self._object()["spec"]["predictor"]
        asked = predictor.get("canaryTrafficPercent")
        if asked != percent or isinstance(asked, bool):
            saw = "no such field" if asked is None else f"{asked}"
            if "canaryTrafficPercent" in (predictor.get("model") or {}):
                saw = "it is under model:, KServe looks under predictor:"
            raise CheckFailed(
                "The percent is not asked for",
                f"spec.predictor.canaryTrafficPercent: {percent}",
                saw,
                step("write the field beside model:, as deep as it", "kubectl explain isvc.spec.predictor", hint),
            )
        return f"asked for {percent} %", {"percent": asked}

    @check
    def split_status(self, percent: int = 10, hint: bool = False) -> Seen:
        """The traffic list names two different revisions with these percents, and it has been routed."""
        status = self._settled(f"PREV {100 - percent}, LATEST {percent}", "Traffic is not split yet", hint)
        latest, previous = status.latest, status.previous
        good = latest and previous and latest.revision != previous.revision and latest.percent == percent
        if not good or latest is None or previous is None:
            raise CheckFailed(
                "Traffic is not split so",
                f"PREV {100 - percent} and LATEST {percent}, of two different revisions",
                _in_words(status),
                step("set the percent, then await rollout.wait()", f"rollout.canary(percent={percent})", hint),
            )
        return f"PREV={previous.percent} ({short(previous.revision)}) {_latest(latest)}", _seen(status)

    @check
    def pods(self, expected: Mapping[str, int] | None = None, hint: bool = False) -> Seen:
        """Each of these revisions has that many ready pods, and no other has any; Terminating ones do not count.

        Args:
            expected: ready pods by revision number, `{"00001": 1, "00002": 1}`;
                by default one of each that the traffic list names.
        """
        wanted = expected or {short(target.revision): 1 for target in self._rollout.status().traffic}
        alive = [pod for pod in self._rollout.pods() if not pod.terminating]
        ready: dict[str, int] = {}
        for pod in alive:
            ready[short(pod.revision)] = ready.get(short(pod.revision), 0) + pod.is_ready
        if ready != dict(wanted):
            raise CheckFailed(
                "These are not the pods",
                _times(wanted),
                ", ".join(map(pod_line, alive)) or "none",
                step("await rollout.wait_pods(), or look why one waits", "%kubectl describe pod …", hint),
            )
        return f"ready pods: {_times(wanted)}", {"pods": ready}

    @check
    def split_observed(self, percent: int = 10, count: int = 1000, hint: bool = False) -> Seen:
        """The answers of real requests are split so; wrong only when a second sample, twice as large, says so too.

        Args:
            count: requests of the first sample; more are sent where this percent needs more to be judged.
        """
        self._asked_for(percent, hint)
        count = max(count, needed(percent))
        tally = self._sample(count, hint)
        if tally.alike:
            line = "the models answer alike, so no answer tells who gave it; the traffic list says"
            return f"{line} {percent} %", {"how": tally.how}
        if tally.verdict(percent).word == "not":
            tally = self._sample(min(2 * count, CAP), hint)
        verdict = tally.verdict(percent)
        if verdict.word == "not":
            raise CheckFailed(
                f"The answers are not {percent} %",
                f"{percent} % of them from {short(tally.latest)}, in one of two samples (exact test, p < {ALPHA})",
                repr(verdict),
                step("look who gets what", f"{tally.how}; {status_line(self._rollout.status())}", hint),
            )
        seen = {"hits": verdict.hits, "sent": verdict.sent, "p_value": verdict.p_value}
        return f"what users get is {verdict!r}", seen

    @check
    def no_failures(self, requests: Split | Tally | AvailabilityProbe, hint: bool = False) -> Seen:
        """Every one of those requests was answered. A probe has to be closed: what it still asks does not count."""
        counted = requests if isinstance(requests, Split) else requests.split
        if counted.failed or not counted.sent:
            raise CheckFailed(
                "Users noticed" if counted.failed else "Nobody has asked anything",
                "some requests, and every one answered with 200",
                f"{counted.failed} of {counted.sent} failed{getattr(requests, 'when', '')}",
                step(
                    "look at the pods; begin to ask before the change",
                    "rollout.pods(), rollout.probe()",
                    hint,
                ),
            )
        return "every request was answered", {"sent": counted.sent}

    @check
    def same_object(self, old: Mapping[str, Any] | str, new: Mapping[str, Any] | str, hint: bool = False) -> Seen:
        """Old and new schema are two spellings of one object."""
        first, second = (
            to_new_schema(yaml.safe_load(text) if isinstance(text, str) else text)["spec"] for text in (old, new)
        )
        if first != second:
            raise CheckFailed(
                "They are not the same object",
                f"{second}",
                f"{first}",
                step("compare storageUri and percent", "the block sklearn: becomes model: with modelFormat", hint),
            )
        return "old and new schema are the same object", {"spec": first}

    @check
    def promoted(self, hint: bool = False) -> Seen:
        """The field is gone, or says 100, which does the same; and the latest revision has everybody."""
        asked = self._object()["spec"]["predictor"].get("canaryTrafficPercent")
        if asked not in (None, 100):
            raise CheckFailed(
                "The canary is not promoted",
                "no canaryTrafficPercent in the object, or 100",
                f"canaryTrafficPercent: {asked}",
                step("take the field away; a merge patch does so with null", "rollout.promote()", hint),
            )
        status = self._settled("LATEST 100, PREV empty", "The canary is not promoted yet", hint)
        revision = short(status.latest.revision) if status.latest else ""
        if revision == "00001":
            raise CheckFailed(
                "There was nothing to promote",
                "LATEST 100 → 00002",
                _in_words(status),
                step("roll a canary out first", 'await lab.ensure("canary-10")', hint),
            )
        return f"{revision} has everyone (LATEST=100, PREV empty)", _seen(status)

    @check
    def scaled_down(self, revision: str = "00001", hint: bool = False) -> Seen:
        """That revision has no pods but ones that are ending."""
        named = short(revision) in map(short, self._rollout.status().percents)
        alive = [p for p in self._rollout.pods() if short(p.revision) == short(revision) and not p.terminating]
        if alive:
            saw = "the route still names it, and a revision in the route keeps its pods" if named else "it waits"
            raise CheckFailed(
                f"{short(revision)} still has pods",
                "none: it gets no traffic",
                f"{', '.join(map(pod_line, alive))}; {saw}",
                step("await rollout.wait_pods()", "a revision goes 60 s after its last request, over speed", hint),
            )
        return f"{short(revision)} has no pods", {}

    @check
    def pinned(self, hint: bool = False) -> Seen:
        """All users are back on the previous revision; the latest one keeps its pods and gets nothing."""
        status = self._settled("PREV 100, LATEST 0", "Users are not back yet", hint)
        latest, previous = status.latest, status.previous
        if not latest or not previous or (previous.percent, latest.percent) != (100, 0):
            raise CheckFailed(
                "Nothing is pinned",
                "PREV 100 → 00001, LATEST 0 → 00002",
                _in_words(status),
                step("set canaryTrafficPercent to 0 and await rollout.wait()", "rollout.pin()", hint),
            )
        line = f"users are back on {short(previous.revision)}: PREV=100 ({short(previous.revision)}) {_latest(latest)}"
        return line, _seen(status)

    @check
    def tags(self, hint: bool = False) -> Seen:
        """Both doors are open, `latest-` and `prev-`, and both answer."""
        status = self._settled("two targets with the tags latest and prev", "The doors are not open yet", hint)
        doors = {target.tag: target for target in status.traffic if target.url}
        if set(doors) != {"latest", "prev"}:
            raise CheckFailed(
                "Not both doors are open",
                "one target tagged latest, one tagged prev, each with its url",
                ", ".join(f"{tag} → {short(t.revision)}" for tag, t in sorted(doors.items())) or "no tags",
                step('the annotation must be the string "true"', "rollout.tag(); await rollout.wait()", hint),
            )
        open_doors: tuple[Tag, ...] = ("latest", "prev")
        for door in open_doors:
            self._rollout.predict(tag=door)
        opened = ", ".join(f"{tag}-→{short(target.revision)}" for tag, target in sorted(doors.items()))
        return f"both doors open: {opened}", _seen(status)

    @check
    def columns(
        self, *, ready: str, prev: int | str, latest: int | str, hint: bool = False
    ) -> Seen:
        """What was read off the row of `kubectl get isvc`; an empty column is written ""."""
        row = status_row(self._rollout.status())
        read = {"READY": ready, "PREV": str(prev), "LATEST": str(latest)}
        wrong = [name for name in row if read[name] != row[name]]
        if wrong:
            raise CheckFailed(
                f"{' and '.join(wrong)}: the row says something else",
                "the row of kubectl get isvc, an empty column as \"\"",
                row_line(read),
                step(COLUMNS[wrong[0]], f"the row has {row_line(row)}", hint),
            )
        return "you read the row right", row

    def _object(self) -> dict[str, Any]:
        return self._client.get(INFERENCE_SERVICE, self._rollout.name)

    def _settled(self, expected: str, title: str, hint: bool) -> RolloutStatus:
        """The status, once all that was asked for is done."""
        status, knative = self._rollout.status_and_service()
        left = progress.failure(status, knative) or progress.missing(status, knative)
        if left:
            raise CheckFailed(
                title,
                expected,
                last_line(left),
                step("await rollout.wait(), which says when it is done or why not", "rollout.pods()", hint),
            )
        return status

    def _asked_for(self, percent: int, hint: bool) -> None:
        """See that the traffic list says this percent: where it does not, no request need be sent."""
        status = self._rollout.status()
        latest = status.latest
        if latest is None or latest.percent != percent or (status.previous is None and percent < 100):
            raise CheckFailed(
                f"LATEST is not to get {percent} %",
                f"LATEST {percent} in the traffic list",
                _in_words(status),
                step("set the percent, then await rollout.wait()", f"rollout.canary(percent={percent})", hint),
            )

    def _sample(self, count: int, hint: bool) -> Tally:
        """A sample that can be judged: its answers attributed, and of one traffic list."""
        tally = self._rollout.send(count)
        split = tally.split
        attributed = split.sent - split.failed if tally.alike else split.attributed
        if tally.moved or attributed < 0.95 * split.sent or not split.sent:
            saw = "traffic changed under way" if tally.moved else f"only {attributed} of {split.sent} attributed"
            raise CheckFailed(
                "This sample tells nothing",
                "at least 95 % of the answers attributed, and traffic at rest",
                saw,
                step("await rollout.wait(), then again", tally.how, hint),
            )
        return tally


def _predictstep(answer: Response) -> str:
    if answer.status == 404 and not answer.text:
        return "the gateway does not know this Host: take it from status.url"
    if answer.status == 500 and "2D array" in answer.text:
        return "send the header Content-Type: application/json"
    return "look at the model's log"


def _rows(status: RolloutStatus) -> list[tuple[str, int]]:
    return [(short(target.revision), target.percent) for target in status.traffic]


def _in_words(status: RolloutStatus) -> str:
    return status_line(status).partition(": ")[2]


def _latest(target: TrafficTarget) -> str:
    return f"LATEST={target.percent} ({short(target.revision)})"


def _times(pods: Mapping[str, int]) -> str:
    return ", ".join(f"{revision}×{count}" for revision, count in sorted(pods.items())) or "none"


def _seen(status: RolloutStatus) -> dict[str, Any]:
    return {"traffic": _rows(status), "ready": status.ready.status}
