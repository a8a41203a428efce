"""Send requests at a constant rate, even if earlier ones have not been answered (open loop), and measure latencies.

The time of a response counts from the moment at which the request was due. A generator that waits for a slow response
before it sends the next request would leave out exactly the requests that users wait for (coordinated omission).
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from kserve_nb.access.ingress import PredictError, Response
from kserve_nb.rollout import sequential
from kserve_nb.rollout.discriminating_input import DiscriminatingInput
from kserve_nb.values.revisions import short
from kserve_nb.values.rollout_status import RolloutStatus
from kserve_nb.values.text.readable_error import ReadableError

MOST_RATE, MOST_S, MOST_REQUESTS = 1000.0, 600.0, 200_000
_LATE_S = 0.05  # a request that is sent later than this was held up by this process, not by the cluster
_LATE_SHARE = 0.01
_LONGEST_S = 60.0


class LoadError(ReadableError, ValueError):
    """A load that is refused, because it is unbounded or goes to a gateway that others use."""


@dataclass(frozen=True)
class Shot:
    """One request of a load, with its response. Times are seconds since the first request was due."""

    due_s: float
    sent_s: float
    ended_s: float
    revision: str = ""  # the revision that answered, if the answer shows it
    failure: str = ""  # why there was no answer; empty if there was one

    @property
    def latency_ms(self) -> float:
        """Milliseconds from the moment at which the request was due."""
        return 1000 * (self.ended_s - self.due_s)


@dataclass(frozen=True, repr=False)
class LoadResult:
    """The responses to a load, and their latencies.

    >>> print(LoadResult((Shot(0, 0, 0.012, "a-00001"), Shot(0.005, 0.005, 0.02, "a-00002")), 200, "a-00002", 10, 10))
    requested 10 % · routed 10 % · observed 50.0 % [0.4–99.6], n = 2 · 0 of 2 failed
    latency from the intended send time: p50 15 ms, p95 15 ms, p99 15 ms, max 15 ms
    """

    shots: tuple[Shot, ...]
    rate: float
    latest: str  # revision name of the LATEST target
    requested_percent: int | None
    routed_percent: int | None

    @property
    def failed(self) -> int:
        """Requests without an answer."""
        return sum(bool(shot.failure) for shot in self.shots)

    @property
    def warning(self) -> str:
        """Why the figures cannot be trusted; empty if this process kept up with the rate."""
        late = sum(shot.sent_s - shot.due_s > _LATE_S for shot in self.shots)
        if late <= _LATE_SHARE * len(self.shots):
            return ""
        return (f"This process could not keep up: {late} of {len(self.shots)} requests were sent more than "
                f"{1000 * _LATE_S:.0f} ms late. The latencies include this delay. Lower the rate.")

    def percentile(self, percent: float) -> float:
        """The percentile of the latencies in milliseconds; 0 without requests."""
        times = sorted(shot.latency_ms for shot in self.shots)
        return times[min(len(times) - 1, int(len(times) * percent / 100))] if times else 0.0

    @property
    def sentence(self) -> str:
        """Requested, routed and observed percent, and how many requests failed."""
        known = [shot for shot in self.shots if shot.revision]
        hits = sum(shot.revision == self.latest for shot in known)
        observed = "observed: no answer shows its revision"
        if known and self.routed_percent is not None:
            low, high = sequential.band(hits, len(known), self.routed_percent)
            observed = f"observed {100 * hits / len(known):.1f} % [{low:.1f}–{high:.1f}], n = {len(known)}"
        return (f"requested {_percent(self.requested_percent)} · routed {_percent(self.routed_percent)} · {observed} · "
                f"{self.failed:,} of {len(self.shots):,} failed")

    @property
    def seconds(self) -> list[dict[str, Any]]:
        """Per second: requests, failures, the slowest latency, and the answers by revision."""
        rows = []
        for second in range(int(max((shot.due_s for shot in self.shots), default=-1)) + 1):
            shots = [shot for shot in self.shots if int(shot.due_s) == second]
            rows.append({
                "second": second, "requests": len(shots), "failed": sum(bool(shot.failure) for shot in shots),
                "slowest_ms": round(max((shot.latency_ms for shot in shots), default=0.0), 1),
                "revisions": dict(Counter(short(shot.revision) for shot in shots if shot.revision)),
            })  # fmt: skip
        return rows

    def __str__(self) -> str:
        shown = [f"p{percent} {self.percentile(percent):.0f} ms" for percent in (50, 95, 99)]
        reasons = Counter(shot.failure for shot in self.shots if shot.failure).most_common(3)
        lines = [self.sentence, "latency from the intended send time: "
                 + ", ".join([*shown, f"max {self.percentile(100):.0f} ms"])]
        lines += [f"{count} times: {reason}" for reason, count in reasons]
        return "\n".join([*lines, self.warning] if self.warning else lines)


def check(rate: float, duration_s: float, address: str, *, attached: bool) -> None:
    """Raise LoadError if the load is unbounded, or its target is a gateway that was not named on purpose."""
    if not 0 < rate <= MOST_RATE:
        raise LoadError(f"Cannot send {rate:g} requests a second: choose a rate above 0 and at most {MOST_RATE:g}.")
    if not 0 < duration_s <= MOST_S or rate * duration_s > MOST_REQUESTS:
        raise LoadError(f"Cannot send {rate:g} requests a second for {duration_s:g} s: the limits are {MOST_S:g} s and "
                        f"{MOST_REQUESTS:,} requests.")
    if not attached and address.rpartition(":")[0] not in ("127.0.0.1", "localhost", "[::1]"):
        raise LoadError(f"Cannot send load to {address}: it is not on this machine. "
                        "If you want that, name the cluster: --kubeconfig FILE")


async def send(
    address: str, host: str, model: str, known: DiscriminatingInput, status: RolloutStatus,
    *, rate: float = 50, duration_s: float = 10,
) -> LoadResult:  # fmt: skip
    """Send equal requests at a constant rate.

    Args:
        address: HOST:PORT of the ingress gateway.
        host: the Host header.
        model: the name in the path.
        known: the input to send, and the answers by revision.
        status: the rollout, for the requested and the routed percent.
    """
    began, count = time.monotonic(), round(rate * duration_s)
    body = {"instances": [list(row) for row in known.rows]}
    async with aiohttp.ClientSession(
        f"http://{address}", trust_env=False, headers={"Host": host},
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(_LONGEST_S),
    ) as session:  # fmt: skip
        tasks = []
        for number in range(count):
            due_s = number / rate
            await asyncio.sleep(max(began + due_s - time.monotonic(), 0))
            tasks.append(asyncio.create_task(_shoot(session, f"/v1/models/{model}:predict", body, began, due_s, known)))
        shots = await asyncio.gather(*tasks)
    latest = status.latest
    return LoadResult(tuple(shots), rate, latest.revision if latest else "", status.requested_percent,
                      latest.percent if latest else None)


async def _shoot(
    session: aiohttp.ClientSession, path: str, body: Mapping[str, Any], began: float, due_s: float,
    known: DiscriminatingInput,
) -> Shot:  # fmt: skip
    sent_s, revision, failure = time.monotonic() - began, "", ""
    try:
        async with session.post(path, json=body) as response:
            text = await response.text()
        if response.status == 200:
            revision = known.revision_of(Response(response.status, {}, text).predictions) or ""
        else:
            failure = f"{response.status} {text.strip()[:100] or 'with an empty body'}"
    except (aiohttp.ClientError, TimeoutError, ValueError, PredictError) as error:
        failure = f"{type(error).__name__} {error}".strip()
    return Shot(due_s, sent_s, time.monotonic() - began, revision, failure)


def _percent(percent: int | None) -> str:
    return "no percent" if percent is None else f"{percent} %"
