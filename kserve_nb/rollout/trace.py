"""One request, hop by hop: which of them answered, what, and how long it took."""

from __future__ import annotations

import http.client
import time
from dataclasses import dataclass, replace
from typing import Literal

from kserve_nb.access.ingress import IRIS_INPUT, Response, Rows, request_of
from kserve_nb.rollout.rollout import NotPossibleError, Rollout, Tag
from kserve_nb.rollout.sampling import DiscriminatingInput
from kserve_nb.values import render
from kserve_nb.values.rollout_status import RolloutStatus, short

_TIMEOUT_S = 60.0  # a first request from zero waits for its pod
Word = Literal["ok", "failed", "not reached"]
_GLYPHS: dict[Word, str] = {"ok": "✔", "failed": "✖", "not reached": "·"}


@dataclass(frozen=True)
class Hop:
    """One station of a request."""

    name: str
    word: Word
    said: str
    took_ms: float | None = None


@dataclass(frozen=True, repr=False)
class Trace:
    """Where a request went, and who answered it."""

    host: str
    path: str
    body: str
    address: str  # HOST:PORT of the gateway
    hops: tuple[Hop, ...]
    answer: Response | None = None

    @property
    def failed(self) -> Hop | None:
        """The hop that did not pass it on."""
        return next((hop for hop in self.hops if hop.word == "failed"), None)

    @property
    def sentence(self) -> str:
        """Who answered, or which hop failed."""
        if self.failed:
            return f"✖ {self.failed.name} did not pass it on: {self.failed.said}"
        return f"✔ answered by {self.hops[-1].said}"

    @property
    def table(self) -> tuple[render.Rows, render.Rows]:
        """Header and rows: a row a hop."""
        rows = [
            (_GLYPHS[hop.word], hop.name, "" if hop.took_ms is None else f"{hop.took_ms:.1f}", hop.said or hop.word)
            for hop in self.hops
        ]
        return (("", "HOP", "MS", "SAID"),), rows

    def __repr__(self) -> str:
        return f"{self.sentence}\n{render.text(self.table)}\n{self.curl}".rstrip()

    @property
    def curl(self) -> str:
        """The same request as a command; empty where it has no host to go to."""
        return "" if not self.host else (
            f"curl -v -H 'Host: {self.host}' -H 'Content-Type: application/json' "
            f"http://{self.address}{self.path} -d '{self.body}'"
        )


_NAMES = ("name", "dial", "gateway", "model server", "revision")


def trace(
    rollout: Rollout, *, tag: Tag = "main", rows: Rows | None = None, probe: DiscriminatingInput | None = None
) -> Trace:
    """Send one prediction, and take the time at each hop.

    Args:
        rows: what to ask; the probe's input, or the tutorial's, where not given.
        probe: an input whose answer tells the revisions apart, see `traffic.find_discriminating_input`.
    """
    path, body = request_of(rollout.name, rows or (probe.rows if probe else IRIS_INPUT), "v1")
    bare = Trace("", path, body, rollout.ingress.address, ())
    try:
        status, host = rollout.status(), rollout.host(tag)
    except (NotPossibleError, LookupError, RuntimeError) as error:
        return _stopped(bare, (), "name", str(error))
    known = replace(bare, host=host)
    return _send(known, (Hop("name", "ok", f"{host}, the {tag} host of {rollout.name}"),), tag, status, probe)


def _send(
    known: Trace, hops: tuple[Hop, ...], tag: Tag, status: RolloutStatus, probe: DiscriminatingInput | None
) -> Trace:
    started = time.monotonic()
    connection = http.client.HTTPConnection(known.address, timeout=_TIMEOUT_S)
    try:
        connection.connect()
        dialled = time.monotonic()
        hops = (*hops, Hop("dial", "ok", f"connected to {known.address}", 1000 * (dialled - started)))
        headers = {"Host": known.host, "Content-Type": "application/json"}
        connection.request("POST", known.path, known.body, headers)
        raw = connection.getresponse()
        answer = Response(raw.status, {k.lower(): v for k, v in raw.getheaders()}, raw.read().decode(errors="replace"))
    except (OSError, http.client.HTTPException) as error:
        at = "gateway" if hops[-1].name == "dial" else "dial"
        return _stopped(known, hops, at, f"{known.address}: {type(error).__name__}: {error}")
    finally:
        connection.close()
    whole_ms = 1000 * (time.monotonic() - dialled)
    return judge_answer(replace(known, hops=hops, answer=answer), answer, whole_ms, tag, status, probe)


def judge_answer(
    known: Trace, answer: Response, whole_ms: float, tag: Tag, status: RolloutStatus, probe: DiscriminatingInput | None
) -> Trace:
    """Say which hop an answer comes from. Pure.

    Envoy adds `x-envoy-upstream-service-time` to what its upstream answered; what it answers by itself lacks it, and
    is no JSON, which all answers of the model server are.
    """
    upstream = answer.headers.get("x-envoy-upstream-service-time")
    if upstream is None and answer.status >= http.HTTPStatus.BAD_REQUEST and not answer.text.startswith("{"):
        why = _gateway_words(answer)
        return _stopped(known, known.hops, "gateway", why, whole_ms)
    inside = float(upstream) if upstream is not None else None
    own = Hop("gateway", "ok", f"{answer.headers.get('server', 'it')} passed it on", _less(whole_ms, inside))
    hops = (*known.hops, own)
    said = f"HTTP {answer.status}: {' '.join(answer.text.split())[:200]}"
    if answer.status != http.HTTPStatus.OK:
        return _stopped(replace(known, hops=hops), hops, "model server", said, inside)
    hops = (*hops, Hop("model server", "ok", said, inside), Hop("revision", "ok", _who(answer, tag, status, probe)))
    return replace(known, hops=hops)


def _who(answer: Response, tag: Tag, status: RolloutStatus, probe: DiscriminatingInput | None) -> str:
    if tag != "main":
        named = next((target for target in status.traffic if target.tag == tag), None)
        return f"{short(named.revision)}: its own host leads nowhere else" if named else "unknown"
    alone = {target.revision for target in status.traffic if target.percent}
    if len(alone) == 1:
        return f"{short(alone.pop())}: nobody else has traffic"
    name = probe.revision_of(answer.predictions) if probe else None
    if probe and name:
        return f"{short(name)}: {probe.how}"
    return "unknown: no response says which revision answered, and this input does not tell them apart"


def _gateway_words(answer: Response) -> str:
    if answer.status == http.HTTPStatus.NOT_FOUND:
        return "404 with an empty body: it knows no such host. Compare it with status.url"
    if answer.status == http.HTTPStatus.SERVICE_UNAVAILABLE:
        return f"503: no pod took it. Look at rollout.pods(). {answer.text.strip()[:200]}"
    return f"HTTP {answer.status}: {answer.text.strip()[:200] or 'empty body'}"


def _stopped(known: Trace, hops: tuple[Hop, ...], at: str, why: str, took_ms: float | None = None) -> Trace:
    """It came so far: what follows was not reached."""
    after = _NAMES[_NAMES.index(at) + 1 :]
    left = tuple(Hop(name, "not reached", "") for name in after)
    return replace(known, hops=(*hops, Hop(at, "failed", why, took_ms), *left))


def _less(whole_ms: float, inside: float | None) -> float:
    return whole_ms if inside is None else max(whole_ms - inside, 0.0)
