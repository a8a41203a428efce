"""Follow one prediction request hop by hop: which hop answered, with what, and how long it took."""

from __future__ import annotations

import http.client
import time
from dataclasses import dataclass, replace
from typing import Literal

from kserve_nb.access.ingress import PredictError, Response, Rows, request_of
from kserve_nb.rollout.discriminating_input import DiscriminatingInput
from kserve_nb.rollout.errors import NotPossibleError
from kserve_nb.rollout.reader import RolloutReader, Tag
from kserve_nb.values.revisions import short
from kserve_nb.values.rollout_status import RolloutStatus
from kserve_nb.values.text import render

_TIMEOUT_S = 60.0  # the first request to a revision that is scaled to zero waits for its pod
HopState = Literal["ok", "failed", "not reached"]
_GLYPHS: dict[HopState, str] = {"ok": "✔", "failed": "✖", "not reached": "·"}


@dataclass(frozen=True)
class Hop:
    """One hop on the path of a request, such as the gateway, with its result."""

    name: str
    word: HopState
    result: str
    took_ms: float | None = None


@dataclass(frozen=True, repr=False)
class Trace:
    """The path of a request, and which revision answered it.

    >>> print(rollout.trace("prev").hops[-1].result)
    00001: its tag's host leads to no other revision
    """

    host: str
    path: str
    body: str
    address: str  # HOST:PORT of the gateway
    hops: tuple[Hop, ...]
    response: Response | None = None

    @property
    def failed(self) -> Hop | None:
        """The hop that did not pass the request on; None if all did."""
        return next((hop for hop in self.hops if hop.word == "failed"), None)

    @property
    def sentence(self) -> str:
        """Which revision answered, or which hop failed."""
        if self.failed:
            return f"✖ {self.failed.name} did not pass the request on: {self.failed.result}"
        return f"✔ answered by {self.hops[-1].result}"

    @property
    def table(self) -> render.Table:
        """A table with one row per hop."""
        rows = [
            (_GLYPHS[hop.word], hop.name, "" if hop.took_ms is None else f"{hop.took_ms:.1f}", hop.result or hop.word)
            for hop in self.hops
        ]
        return (("", "HOP", "MS", "SAID"),), rows

    def __repr__(self) -> str:
        return f"{self.sentence}\n{render.text(self.table)}\n{self.curl}".rstrip()

    @property
    def curl(self) -> str:
        """The same request as a curl command; empty if no host is known."""
        return "" if not self.host else (
            f"curl -v -H 'Host: {self.host}' -H 'Content-Type: application/json' "
            f"http://{self.address}{self.path} -d '{self.body}'"
        )


_NAMES = ("name", "dial", "gateway", "model server", "revision")


def trace(
    rollout: RolloutReader, tag: Tag = "main", *, rows: Rows | None = None, known: DiscriminatingInput | None = None
) -> Trace:
    """Send one prediction and time each hop.

    Args:
        rows: what to send; by default the input of `known`, or the rollout's sample.
        known: an input to which the revisions give different answers.
    """
    path, body = request_of(rollout.name, (known.rows if known else rollout.sample) if rows is None else rows, "v1")
    bare = Trace("", path, body, rollout.ingress.address, ())
    try:
        status, host = rollout.status(), rollout.host(tag)
    except (NotPossibleError, LookupError, RuntimeError) as error:
        return _stopped(bare, (), "name", str(error))
    hops = (Hop("name", "ok", f"{host}, the {tag} host of {rollout.name}"),)
    return _send(replace(bare, host=host), hops, tag, status, known)


def _send(
    so_far: Trace, hops: tuple[Hop, ...], tag: Tag, status: RolloutStatus, known: DiscriminatingInput | None
) -> Trace:
    started = time.monotonic()
    connection = http.client.HTTPConnection(so_far.address, timeout=_TIMEOUT_S)
    try:
        connection.connect()
        dialled = time.monotonic()
        hops = (*hops, Hop("dial", "ok", f"connected to {so_far.address}", 1000 * (dialled - started)))
        headers = {"Host": so_far.host, "Content-Type": "application/json"}
        connection.request("POST", so_far.path, so_far.body, headers)
        raw = connection.getresponse()
        headers = {name.lower(): value for name, value in raw.getheaders()}
        response = Response(raw.status, headers, raw.read().decode(errors="replace"))
    except (OSError, http.client.HTTPException) as error:
        at = "gateway" if hops[-1].name == "dial" else "dial"
        return _stopped(so_far, hops, at, f"{so_far.address}: {type(error).__name__}: {error}")
    finally:
        connection.close()
    whole_ms = 1000 * (time.monotonic() - dialled)
    return locate(replace(so_far, hops=hops, response=response), response, whole_ms, tag, status, known)


def locate(
    so_far: Trace,
    response: Response,
    whole_ms: float,
    tag: Tag,
    status: RolloutStatus,
    known: DiscriminatingInput | None,
) -> Trace:
    """Determine which hop a response comes from. Pure.

    Envoy adds `x-envoy-upstream-service-time` to a response of its upstream. Its own responses lack this header and
    are not JSON, as all responses of the model server are.
    """
    upstream = response.headers.get("x-envoy-upstream-service-time")
    if upstream is None and response.status >= http.HTTPStatus.BAD_REQUEST and not response.text.startswith("{"):
        why = _gateway_words(response)
        return _stopped(so_far, so_far.hops, "gateway", why, whole_ms)
    inside = float(upstream) if upstream is not None else None
    passed_on = f"{response.headers.get('server', 'it')} passed the request on"
    hops = (*so_far.hops, Hop("gateway", "ok", passed_on, _less(whole_ms, inside)))
    result = f"HTTP {response.status}: {' '.join(response.text.split())[:200]}"
    if response.status != http.HTTPStatus.OK:
        return _stopped(replace(so_far, hops=hops), hops, "model server", result, inside)
    revision = Hop("revision", "ok", _answering_revision(response, tag, status, known))
    hops = (*hops, Hop("model server", "ok", result, inside), revision)
    return replace(so_far, hops=hops)


def _answering_revision(response: Response, tag: Tag, status: RolloutStatus, known: DiscriminatingInput | None) -> str:
    if tag != "main":
        named = next((target for target in status.traffic if target.tag == tag), None)
        return f"{short(named.revision)}: its tag's host leads to no other revision" if named else "unknown"
    alone = {target.revision for target in status.traffic if target.percent}
    if len(alone) == 1:
        return f"{short(alone.pop())}: no other revision receives traffic"
    try:
        name = known.revision_of(response.predictions) if known else None
    except PredictError:
        return "unknown: the response has no predictions"
    if known and name:
        return f"{short(name)}: {known.how}"
    return "unknown: a response does not name its revision, and all revisions answer this input alike"


def _gateway_words(response: Response) -> str:
    if response.status == http.HTTPStatus.NOT_FOUND:
        return "404 with an empty body: no route has this host. Compare it with status.url"
    if response.status == http.HTTPStatus.SERVICE_UNAVAILABLE:
        return f"503: no pod accepted the request. Inspect the pods: rollout.pods(). {response.text.strip()[:200]}"
    return f"HTTP {response.status}: {response.text.strip()[:200] or 'empty body'}"


def _stopped(so_far: Trace, hops: tuple[Hop, ...], at: str, why: str, took_ms: float | None = None) -> Trace:
    """The trace of a request that ended at this hop: the later hops were not reached."""
    after = _NAMES[_NAMES.index(at) + 1 :]
    left = tuple(Hop(name, "not reached", "") for name in after)
    return replace(so_far, hops=(*hops, Hop(at, "failed", why, took_ms), *left))


def _less(whole_ms: float, inside: float | None) -> float:
    return whole_ms if inside is None else max(whole_ms - inside, 0.0)
