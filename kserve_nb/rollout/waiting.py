"""Wait until a rollout's traffic has moved and its pods have followed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar

from kserve_nb.access.api_client import RefusedError
from kserve_nb.rollout import progress
from kserve_nb.rollout.errors import NotReadyError, WaitInterrupted
from kserve_nb.rollout.reader import RolloutReader
from kserve_nb.values.pods import Pod
from kserve_nb.values.revisions import short
from kserve_nb.values.rollout_status import RolloutStatus
from kserve_nb.values.text.foreign_text import last_line
from kserve_nb.values.text.render import pod_line

POLL_S = 0.25
FAILED_FOR_S = 2.0  # a conflict between two controllers can set Ready to False for up to a second

T = TypeVar("T")


class WaitClock(Protocol):
    """The time, and how to wait; tests pass a clock that jumps instead of waiting."""

    def now(self) -> float:
        """Seconds on a clock that never goes back."""

    async def sleep(self, seconds: float) -> None:
        """Wait without blocking the event loop."""


class MonotonicClock:
    """This machine's monotonic clock."""

    def now(self) -> float:
        """Seconds since an arbitrary start."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait without blocking the event loop."""
        await asyncio.sleep(seconds)


@contextmanager
def interruptible(what: str) -> Iterator[None]:
    """Turn an interrupt of the cell into an error of one line, which names what goes on without the wait."""
    try:
        yield
    except asyncio.CancelledError as error:
        if isinstance(error, WaitInterrupted):
            raise
        raise WaitInterrupted(f"Interrupted: {what} Run the cell again to keep waiting.") from None


async def wait_traffic(rollout: RolloutReader, timeout_s: float, clock: WaitClock) -> RolloutStatus:
    """Wait until two readings in a row show the traffic that the spec requests; return the second.

    One reading is not enough: it can fall between two writes of the controllers.

    Raises:
        NotReadyError: the time is over, or a controller has reported the same failure for FAILED_FOR_S.
    """
    deadline = clock.now() + timeout_s
    settled: RolloutStatus | None = None
    failing = _Failing(clock)
    with interruptible(f"the rollout of {rollout.name} goes on."):
        while True:
            status, knative = await _patiently(rollout.status_and_service, deadline, clock)
            left = progress.missing(status, knative)
            if not left and settled is not None and settled.traffic == status.traffic:
                return status
            settled = None if left else status
            failed = progress.failure(status, knative)
            if failing.lasts(failed):
                raise NotReadyError(_failed(status, failed))
            if clock.now() > deadline:
                raise NotReadyError(_late(status, failed or left, timeout_s))
            await clock.sleep(POLL_S)


async def wait_pods(
    rollout: RolloutReader, timeout_s: float, clock: WaitClock, *, drained: bool = False
) -> tuple[Pod, ...]:
    """Wait until each revision in the traffic list has ready pods and no other revision has pods left.

    Terminating pods do not count, unless `drained`.
    """
    deadline = clock.now() + timeout_s
    with interruptible(f"the pods of {rollout.name} still start or stop."):
        while True:
            status, pods = await _patiently(lambda: (rollout.status(), rollout.pods()), deadline, clock)
            named = {target.revision for target in status.traffic}
            alive = [pod for pod in pods if drained or not pod.terminating]
            if {pod.revision for pod in alive} == named and all(pod.is_ready for pod in alive):
                return pods
            if clock.now() > deadline:
                raise NotReadyError(_late_pods(rollout.name, pods, named, timeout_s))
            await clock.sleep(POLL_S)


async def wait_no_pods(rollout: RolloutReader, timeout_s: float, clock: WaitClock) -> tuple[Pod, ...]:
    """Wait until the InferenceService has no pods, not even terminating ones."""
    deadline = clock.now() + timeout_s
    with interruptible(f"the pods of {rollout.name} still stop."):
        while pods := await _patiently(rollout.pods, deadline, clock):
            if clock.now() > deadline:
                names = ", ".join(pod.name for pod in pods)
                raise NotReadyError(f"{rollout.name}: pods still run after {timeout_s:.0f} s: {names}. Pods stop only "
                                    "with minReplicas: 0, and only while nobody sends requests.")
            await clock.sleep(POLL_S)
        return pods


async def _patiently(read: Callable[[], T], deadline: float, clock: WaitClock) -> T:
    """The result of a reading, repeated until the deadline while the API server does not respond."""
    while True:
        try:
            return await asyncio.to_thread(read)
        except RefusedError as refused:
            if not refused.transient or clock.now() > deadline:
                raise
        await clock.sleep(POLL_S)


class _Failing:
    """Distinguishes a lasting failure from a momentary one, which a conflict of two controllers causes."""

    def __init__(self, clock: WaitClock):
        self._clock = clock
        self._message, self._since = "", 0.0

    def lasts(self, message: str) -> bool:
        """Whether this message has been reported for longer than FAILED_FOR_S."""
        if message != self._message:
            self._message, self._since = message, self._clock.now()
        return bool(message) and self._clock.now() - self._since > FAILED_FOR_S


def _failed(status: RolloutStatus, log: str) -> str:
    serving = [short(name) for name, percent in status.percents.items() if percent]
    users = f"Users are served by {', '.join(serving)}. " if serving else "No revision serves yet. "
    revision = short(status.latest_created) if status.latest_created else "its first revision"
    return f"{status.name}: {revision} does not become ready: {last_line(log).rstrip('.')}. {users}{_next(status)}."


def _late(status: RolloutStatus, left: str, timeout_s: float) -> str:
    return f"{status.name}: traffic has not moved after {timeout_s:.0f} s: {left}. {_next(status)}."


def _next(status: RolloutStatus) -> str:
    return f"{'Roll back with rollout.pin(), or inspect' if status.previous else 'Inspect'} the pods: rollout.pods()"


def _late_pods(name: str, pods: Sequence[Pod], named: set[str], timeout_s: float) -> str:
    seen = ", ".join(map(pod_line, pods)) or "none"
    wanted = ", ".join(sorted(map(short, named)))
    return (
        f"{name}: after {timeout_s:.0f} s the pods are {seen}; expected ready pods of {wanted} only. "
        "See why: %kubectl get events"
    )
