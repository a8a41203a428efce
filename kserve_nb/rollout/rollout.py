"""The verbs of a rollout: deploy, canary, promote, pin, tag; `wait` until traffic has moved; and what to look at."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import yaml

from kserve_nb.access.api_client import (
    INFERENCE_SERVICE,
    KNATIVE_SERVICE,
    POD,
    REVISION,
    UNREACHABLE,
    Client,
    RefusedError,
)
from kserve_nb.access.ingress import IRIS_INPUT, Ingress, Protocol, Response, Rows, host_of
from kserve_nb.rollout import progress
from kserve_nb.values import kserve_versions, manifest
from kserve_nb.values.render import pod_line
from kserve_nb.values.rollout_status import TAG_ROUTING, Pod, Revision, RolloutStatus, short

Tag = Literal["main", "latest", "prev"]
T = TypeVar("T")

_LOOK_S = 0.25  # between two looks
_TRIES = 10  # of a write that comes between two of a controller's
_FAILED_FOR_S = 2.0  # a conflict between the controllers may flash Ready False for up to a second


class NotReadyError(TimeoutError):
    """Traffic has not moved in time, or will not move at all; carries the controller's own message."""


class NotPossibleError(RuntimeError):
    """A verb that makes no sense now, or would do harm; says what to do first."""


class ChangedError(RuntimeError):
    """Somebody else changed the InferenceService between the look and the write; nothing was written."""


class Rollout:
    """One InferenceService: change who gets what percent of its traffic, and see whether it happened.

    Every verb is one write of the InferenceService, returns the status as that write left it, and does not wait:
    follow it with `await rollout.wait()` (in a script: `asyncio.run(rollout.wait())`).
    """

    def __init__(self, client: Client, ingress: Ingress, name: str = "sklearn-iris"):
        self.name = name
        self.client = client
        self.ingress = ingress

    def __repr__(self) -> str:
        return f"Rollout({self.name!r} in {self.client.namespace})"

    @property
    def read_only(self) -> str:
        """Why the verbs that change something are refused here; empty where they are not."""
        return self.client.read_only

    # --- change ------------------------------------------------------------------------------------------------

    def deploy(self, model: str, *, model_format: str = "sklearn") -> RolloutStatus:
        """Create the InferenceService with this model (a storageUri), or give all users the model at once."""
        if self.client.find(INFERENCE_SERVICE, self.name) is None:
            return self.apply(manifest.inference_service(self.name, model, model_format=model_format))
        self._refuse_detour(model, 100)
        block = {"modelFormat": {"name": model_format}, "storageUri": model}
        return self._patch({"canaryTrafficPercent": None, "model": block})

    def canary(
        self, model: str | None = None, percent: int | None = None, *, seen: RolloutStatus | None = None
    ) -> RolloutStatus:
        """Give a percent of the users a new model, or change the percent, or both.

        Args:
            model: the storageUri of a new revision; None keeps the one there is.
            percent: what the canary gets, 0 to 100; None keeps what is asked now.
            seen: the status on which this was decided, where that took time: with a hand on a slider, say.

        Raises:
            NotPossibleError: there is nobody to share traffic with.
            ChangedError: the spec has changed since `seen`, or at this very moment.
        """
        status = self.status()
        percent = status.requested_percent if percent is None else _percent(percent)
        if percent is None:
            raise NotPossibleError(f"{self.name}: no canary percent is set. Say one: rollout.canary(model, percent=10)")
        if not status.latest_rolledout:
            raise NotPossibleError(
                f"{self.name}: its first revision serves nobody yet, and a percent would be ignored. "
                "First: await rollout.wait()"
            )
        if model is None and status.previous is None and not status.previous_rolledout:
            raise NotPossibleError(
                f"{self.name}: there is one revision alone, nobody to share traffic with. "
                f"Bring a new model: rollout.canary(model, percent={percent})"
            )
        self._refuse_detour(model, percent, status)
        changes: dict[str, Any] = {"canaryTrafficPercent": percent}
        return self._patch(changes | ({"model": {"storageUri": model}} if model else {}), seen=seen or status)

    def promote(self, *, seen: RolloutStatus | None = None) -> RolloutStatus:
        """Give the latest revision to all users: takes `canaryTrafficPercent` away. `seen`: as for `canary`."""
        status = self.status()
        self._refuse_detour(None, 100, status)
        return self._patch({"canaryTrafficPercent": None}, seen=seen or status)

    def pin(self, *, seen: RolloutStatus | None = None) -> RolloutStatus:
        """Give all users the previous revision back: sets `canaryTrafficPercent` to 0. Both revisions keep pods."""
        status = self.status()
        if status.previous is None and not status.previous_rolledout:
            raise NotPossibleError(f"{self.name}: there is no previous revision to go back to.")
        return self._patch({"canaryTrafficPercent": 0}, seen=seen or status)

    def tag(self, on: bool = True) -> RolloutStatus:
        """Open (or close) the `latest-` host. The annotation lands in the pods' template: a new revision."""
        return self._patch({}, {TAG_ROUTING: "true" if on else None})

    def apply(self, document: Mapping[str, Any] | str, *, dry_run: bool = False) -> RolloutStatus:
        """Do with a document (or its YAML) what `kubectl apply` does, its last-applied annotation included.

        With `dry_run` the cluster says what would come of it, or refuses it; nothing is written.
        """
        wanted = _document(document)
        live = self.client.find(INFERENCE_SERVICE, self.name)
        if live is None:
            self.client.require_namespace()
            body = manifest.applied(wanted, self.client.namespace)
            return RolloutStatus.of(self.client.create(INFERENCE_SERVICE, body, dry_run=dry_run))
        patch = manifest.apply_patch(wanted, live)
        patched = self.client.patch(INFERENCE_SERVICE, self.name, patch, dry_run=dry_run) if patch else live
        return RolloutStatus.of(patched)

    def delete(self) -> None:
        """Delete the InferenceService; all that it owns goes with it. A second time does nothing."""
        self.client.delete(INFERENCE_SERVICE, self.name)

    # --- look --------------------------------------------------------------------------------------------------

    def status(self) -> RolloutStatus:
        """What is asked and who gets what now. Raises NotFoundError that says what to create."""
        return RolloutStatus.of(self.client.get(INFERENCE_SERVICE, self.name))

    def pods(self) -> tuple[Pod, ...]:
        """Its pods, those that are ending included."""
        found = self.client.find_all(POD, f"serving.kserve.io/inferenceservice={self.name}")
        return tuple(Pod.of(item) for item in found)

    def revisions(self) -> tuple[Revision, ...]:
        """All revisions there have been, the oldest first."""
        found = self.client.find_all(REVISION, f"serving.kserve.io/inferenceservice={self.name}")
        return tuple(Revision.of(item) for item in found)

    def plan(self, document: Mapping[str, Any] | str) -> tuple[manifest.Change, ...]:
        """What applying a document (or its YAML) would change, and what each change would cause."""
        live = self.client.get(INFERENCE_SERVICE, self.name)
        return manifest.diff(live, manifest.merged(live, manifest.apply_patch(_document(document), live)))

    def host(self, tag: Tag = "main") -> str:
        """The Host header of a tag: `main` is split by percent, `latest` and `prev` lead to one revision."""
        status = self.status()
        if tag == "main":
            if status.url:
                return host_of(status.url)
            raise NotPossibleError(f"{self.name}: no URL before its first revision is ready. await rollout.wait()")
        target = next((target for target in status.traffic if target.tag == tag and target.url), None)
        if target is None:
            how = "rollout.tag() opens it" if tag == "latest" else "there is one during a canary or a pin"
            raise NotPossibleError(f"{self.name}: no traffic target has the tag {tag}; {how}.")
        return host_of(target.url)

    def predict(self, rows: Rows = IRIS_INPUT, *, tag: Tag = "main", protocol: Protocol = "v1") -> list[Any]:
        """Predictions for rows of features, through the ingress. Raises PredictError with what came instead."""
        return self.ingress.predict(self.host(tag), self.name, rows, protocol)

    def request(self, rows: Rows = IRIS_INPUT, *, tag: Tag = "main", protocol: Protocol = "v1") -> Response:
        """The same request with whatever is answered: status, headers and body."""
        return self.ingress.request(self.host(tag), self.name, rows, protocol)

    # --- wait --------------------------------------------------------------------------------------------------

    async def wait(self, timeout_s: float = 180) -> RolloutStatus:
        """Wait until traffic has moved to what the spec asks for, seen twice; returns that status.

        Raises:
            NotReadyError: not within timeout_s, or earlier where a controller says that it failed.
        """
        deadline = time.monotonic() + timeout_s
        settled: RolloutStatus | None = None
        failing = _Failing()
        while True:
            status, knative = await self._patiently(self.look, deadline)
            left = progress.missing(status, knative)
            if not left and settled is not None and settled.traffic == status.traffic:
                return status
            settled = None if left else status
            failed = progress.failure(status, knative)
            if failing.lasts(failed):
                raise NotReadyError(_failed(status, failed))
            if time.monotonic() > deadline:
                raise NotReadyError(_late(status, failed or left, timeout_s))
            await asyncio.sleep(_LOOK_S)

    async def wait_pods(self, timeout_s: float = 180) -> tuple[Pod, ...]:
        """Wait until each revision in the traffic list has a ready pod, and no other has one but Terminating ones."""
        deadline = time.monotonic() + timeout_s
        while True:
            status, pods = await self._patiently(lambda: (self.status(), self.pods()), deadline)
            named = {target.revision for target in status.traffic}
            alive = [pod for pod in pods if not pod.terminating]
            if {pod.revision for pod in alive} == named and all(pod.is_ready for pod in alive):
                return pods
            if time.monotonic() > deadline:
                raise NotReadyError(_late_pods(self.name, pods, named, timeout_s))
            await asyncio.sleep(_LOOK_S)

    async def _patiently(self, look: Callable[[], T], deadline: float) -> T:
        """What a look sees, once the API server answers: it may be restarting."""
        while True:
            try:
                return await asyncio.to_thread(look)
            except RefusedError as refused:
                if refused.reason != UNREACHABLE or time.monotonic() > deadline:
                    raise
            await asyncio.sleep(_LOOK_S)

    def look(self) -> tuple[RolloutStatus, dict[str, Any] | None]:
        """The status, and the Knative Service that it is to be read with (None before there is one)."""
        # The Knative Service first: what it says is then never newer than the status it is compared with.
        named = (self.client.find(KNATIVE_SERVICE, name) for name in kserve_versions.knative_services(self.name))
        knative = next((found for found in named if found is not None), None)
        return self.status(), knative

    def _patch(
        self,
        predictor: Mapping[str, Any],
        annotations: Mapping[str, Any] | None = None,
        seen: RolloutStatus | None = None,
    ) -> RolloutStatus:
        """One merge patch: None takes a field away, what is not named stays; what was not seen is not written over."""
        metadata: dict[str, Any] = {"annotations": annotations} if annotations else {}
        body: dict[str, Any] = {"spec": {"predictor": dict(predictor)}} if predictor else {}
        now = self.status()
        seen = seen or now
        for _ in range(_TRIES):
            if now.edition != seen.edition:
                raise ChangedError(progress.rewritten(seen, now) + " Look again, then decide.")
            metadata["resourceVersion"] = now.version
            try:
                return RolloutStatus.of(self.client.patch(INFERENCE_SERVICE, self.name, body | {"metadata": metadata}))
            except RefusedError as refused:
                if refused.reason != "Conflict":
                    raise
            now = self.status()  # most often it was a controller, that wrote the status
        raise ChangedError(f"{self.name}: it is written so often that {_TRIES} tries came too late. Try again.")

    def _refuse_detour(self, model: str | None, percent: int, status: RolloutStatus | None = None) -> None:
        now = status or self.status()
        if now.requested_percent == 0 and percent:
            models = {revision.name: revision.model for revision in self.revisions()}
            if harm := progress.detour(now, percent, model, models):
                raise NotPossibleError(harm)


class _Failing:
    """Whether one failure lasts: a conflict between the controllers flashes and is gone."""

    def __init__(self) -> None:
        self._message, self._since = "", 0.0

    def lasts(self, message: str) -> bool:
        """Whether this message has been seen for long enough to be believed."""
        if message != self._message:
            self._message, self._since = message, time.monotonic()
        return bool(message) and time.monotonic() - self._since > _FAILED_FOR_S


def _percent(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 100:
        raise ValueError(f"canaryTrafficPercent: {value!r} is not a whole number from 0 to 100.")
    return value


def _document(document: Mapping[str, Any] | str) -> Mapping[str, Any]:
    loaded: Mapping[str, Any] = yaml.safe_load(document) if isinstance(document, str) else document
    return loaded


def _failed(status: RolloutStatus, log: str) -> str:
    message = (log.strip().splitlines() or [""])[-1]  # where KServe hands on a log, its end says what failed
    serving = [short(name) for name, percent in status.percents.items() if percent]
    users = f"Users are served by {', '.join(serving)}. " if serving else "Nobody is served yet. "
    back = "Roll back with rollout.pin(), or look" if status.previous else "Look"
    revision = short(status.latest_created) if status.latest_created else "its first revision"
    return f"{status.name}: {revision} does not get ready: {message.rstrip('.')}. {users}{back} at rollout.pods()."


def _late(status: RolloutStatus, left: str, timeout_s: float) -> str:
    back = "Roll back with rollout.pin(), or look" if status.previous else "Look"
    return f"{status.name}: traffic has not moved after {timeout_s:.0f} s: {left}. {back} at rollout.pods()."


def _late_pods(name: str, pods: Sequence[Pod], named: set[str], timeout_s: float) -> str:
    seen = ", ".join(map(pod_line, pods)) or "none"
    wanted = ", ".join(sorted(map(short, named)))
    return f"{name}: pods are {seen} after {timeout_s:.0f} s, expected ready ones of {wanted} alone. kubectl get events"
