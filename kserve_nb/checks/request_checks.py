"""Checks that send requests through the gateway: predictions, both kinds of 404, tag hosts, and the observed split."""

from __future__ import annotations

from kserve_nb.access.ingress import IRIS_INPUT, Ingress, Response
from kserve_nb.checks.check import CheckFailed, Outcome, step
from kserve_nb.checks.status_checks import seen, settled, traffic_in_words
from kserve_nb.rollout.availability import AvailabilityProbe
from kserve_nb.rollout.reader import Tag
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.rollout.sampling import CAP, Tally
from kserve_nb.rollout.statistics import ALPHA, needed
from kserve_nb.values.cluster import UNKNOWN_HOST
from kserve_nb.values.revisions import short
from kserve_nb.values.split import Split
from kserve_nb.values.text.render import status_line

_TAGS: tuple[Tag, ...] = ("latest", "prev")


def predict(rollout: Rollout, hint: bool) -> Outcome:
    """Pass when the tutorial's two flowers are both predicted as class 1, Versicolour."""
    answer = rollout.request(IRIS_INPUT)
    if answer.status != 200 or answer.predictions != [1, 1]:
        raise CheckFailed(
            "The prediction is not [1, 1]",
            '200 {"predictions":[1,1]}',
            f"{answer.status} {answer.text.strip()[:120] or 'with an empty body'}",
            step(_next_step(answer), "compare: rollout.host() returns the Host header that works", hint),
        )
    return '{"predictions":[1,1]} – both flowers are Versicolour', {"status": answer.status}


def two_404s(ingress: Ingress, rollout: Rollout, hint: bool) -> Outcome:
    """Pass when the gateway's 404 has an empty body and the model server's 404 names the model."""
    gateway = ingress.request(UNKNOWN_HOST, rollout.name, IRIS_INPUT)
    server = ingress.request(rollout.host(), "nope", IRIS_INPUT)
    if (gateway.status, gateway.text) != (404, "") or server.status != 404 or "nope" not in server.text:
        raise CheckFailed(
            "The two 404s look alike",
            "an empty 404 from the gateway, and a 404 that names the model from the model server",
            f"{gateway.status} {gateway.text.strip()[:60]!r} and {server.status} {server.text.strip()[:60]!r}",
            step("see which component answers: the header `server`", "print(rollout.request().headers)", hint),
        )
    return "a 404 without a body comes from the gateway, a 404 that names the model from the model server", {}


def tags(rollout: Rollout, hint: bool) -> Outcome:
    """Pass when the hosts of the tags `latest` and `prev` exist and answer."""
    status = settled(rollout, "two targets with the tags latest and prev", "The tag hosts are not ready yet", hint)
    targets = {target.tag: target for target in status.traffic if target.url}
    if set(targets) != set(_TAGS):
        raise CheckFailed(
            "A tag host is missing",
            "one target tagged latest, one tagged prev, each with its url",
            ", ".join(f"{tag} → {short(t.revision)}" for tag, t in sorted(targets.items())) or "no tags",
            step('the annotation must be the string "true"', "rollout.tag(); await rollout.wait()", hint),
        )
    for tag in _TAGS:
        rollout.predict(tag=tag)
    hosts = ", ".join(f"{tag}-→{short(target.revision)}" for tag, target in sorted(targets.items()))
    return f"both tag hosts answer: {hosts}", seen(status)


def split_observed(rollout: Rollout, percent: int, count: int, hint: bool) -> Outcome:
    """Pass when the answers fit the percent; fail only when a second, larger sample deviates as well."""
    _require_percent(rollout, percent, hint)
    count = max(count, needed(percent))
    tally = _sample(rollout, count, hint)
    if tally.alike:
        line = "both revisions give the same answers, so the split shows only in the traffic list:"
        return f"{line} {percent} %", {"how": tally.how}
    if tally.verdict(percent).word == "not":
        tally = _sample(rollout, min(2 * count, CAP), hint)
    verdict = tally.verdict(percent)
    if verdict.word == "not":
        raise CheckFailed(
            f"The share of answers is not {percent} %",
            f"{percent} % of them from {short(tally.latest)}, in one of two samples (exact test, p < {ALPHA})",
            repr(verdict),
            step("compare with the traffic list", f"{tally.how}; {status_line(rollout.status())}", hint),
        )
    return f"the observed share is {verdict!r}", {
        "hits": verdict.hits, "sent": verdict.sent, "p_value": verdict.p_value,
    }  # fmt: skip


def no_failures(requests: Split | Tally | AvailabilityProbe, hint: bool) -> Outcome:
    """Pass when at least one request was sent and none failed."""
    counted = requests if isinstance(requests, Split) else requests.split
    if counted.failed or not counted.sent:
        raise CheckFailed(
            "Users saw failures" if counted.failed else "No request was sent",
            "some requests, and every one answered with 200",
            f"{counted.failed} of {counted.sent} failed{getattr(requests, 'when', '')}",
            step(
                "inspect the pods; start the requests before the change",
                "rollout.pods(), rollout.probe()",
                hint,
            ),
        )
    return "every request was answered", {"sent": counted.sent}


def _require_percent(rollout: Rollout, percent: int, hint: bool) -> None:
    """Compare the traffic list with the percent first: if they differ, no request needs to be sent."""
    status = rollout.status()
    latest = status.latest
    if latest is None or latest.percent != percent or (status.previous is None and percent < 100):
        raise CheckFailed(
            f"LATEST does not receive {percent} %",
            f"LATEST {percent} in the traffic list",
            traffic_in_words(status),
            step("set the percent, then await rollout.wait()", f"rollout.canary(percent={percent})", hint),
        )


def _sample(rollout: Rollout, count: int, hint: bool) -> Tally:
    """A sample that can be judged: at least 95 % of the answers attributed to a revision, with one traffic list."""
    tally = rollout.send(count)
    split = tally.split
    attributed = split.sent - split.failed if tally.alike else split.attributed
    if tally.moved or attributed < 0.95 * split.sent or not split.sent:
        few = f"only {attributed} of {split.sent} attributed"
        raise CheckFailed(
            "This sample cannot be judged",
            "at least 95 % of the answers attributed, and no change of the traffic list",
            "the traffic list changed while the requests were sent" if tally.moved else few,
            step("await rollout.wait(), then run the check again", tally.how, hint),
        )
    return tally


def _next_step(answer: Response) -> str:
    if answer.status == 404 and not answer.text:
        return "the gateway has no route for this Host: take it from status.url"
    if answer.status == 500 and "2D array" in answer.text:
        return "send the header Content-Type: application/json"
    return "read the log of the model server"
