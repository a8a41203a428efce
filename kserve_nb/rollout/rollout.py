"""Change how an InferenceService's traffic is split: deploy, canary, promote, pin, tag; and wait for the result."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

from kserve_nb.access.api_client import INFERENCE_SERVICE, Client, RefusedError
from kserve_nb.access.ingress import Ingress, Rows
from kserve_nb.rollout import progress, sampling, waiting
from kserve_nb.rollout.availability import AvailabilityProbe
from kserve_nb.rollout.discriminating_input import DiscriminatingInput
from kserve_nb.rollout.errors import ChangedError, NotPossibleError, NotReadyError
from kserve_nb.rollout.reader import RolloutReader, Tag
from kserve_nb.rollout.trace import Trace, trace
from kserve_nb.values import manifest
from kserve_nb.values.labels import TAG_ROUTING
from kserve_nb.values.pods import Pod
from kserve_nb.values.rollout_status import RolloutStatus
from kserve_nb.values.story import Story

_TRIES = 10  # attempts at a write that conflicts with a controller's writes


class Recorder(Protocol):
    """Records the states that a rollout passes through; `lab.rollout()` provides one."""

    def story(self) -> Story:
        """The states since the last change."""

    def catch_up(self, version: str) -> None:
        """Wait until the state with this resourceVersion is recorded."""

    def show(self, settled: bool) -> None:
        """Show the story of the last change in the notebook."""


class Rollout(RolloutReader):
    """One InferenceService, and the methods that change how its traffic is split.

    Each of them writes the InferenceService once, returns the status after that write, and does not wait for the
    controllers. Wait with `await rollout.wait()`, in a script with `asyncio.run(rollout.wait())`.

    >>> rollout = lab.rollout("sklearn-iris")
    >>> rollout.canary(percent=20).requested_percent
    20
    >>> [(target.revision, target.percent) for target in rollout.status().traffic]  # the controllers act later
    [('sklearn-iris-predictor-00002', 10), ('sklearn-iris-predictor-00001', 90)]
    """

    def __init__(
        self,
        client: Client,
        ingress: Ingress,
        name: str = "sklearn-iris",
        *,
        rows: Rows | None = None,
        clock: waiting.WaitClock | None = None,
        recorder: Recorder | None = None,
    ):
        super().__init__(client, ingress, name, rows=rows)
        self._clock = clock or waiting.MonotonicClock()
        self._recorder = recorder

    # --- change ------------------------------------------------------------------------------------------------

    def deploy(self, model: str, *, model_format: str = "sklearn") -> RolloutStatus:
        """Create the InferenceService with this model (a storageUri), or give all users this model at once.

        >>> rollout.deploy("gs://kfserving-examples/models/sklearn/1.0/model-2").requested_percent is None
        True
        """
        if self.client.find(INFERENCE_SERVICE, self.name) is None:
            return self.apply(manifest.inference_service(self.name, model, model_format=model_format))
        self._refuse_detour(model, 100)
        block = {"modelFormat": {"name": model_format}, "storageUri": model}
        return self._patch({"canaryTrafficPercent": None, "model": block})

    def canary(
        self,
        model: str | None = None,
        percent: int | None = None,
        *,
        tag_routing: bool | None = None,
        seen: RolloutStatus | None = None,
    ) -> RolloutStatus:
        """Give a percent of the users a new model, or change the percent, or both.

        Args:
            model: the storageUri of a new revision; None keeps the present model.
            percent: what the canary receives, 0 to 100; None keeps the requested percent.
            tag_routing: whether each revision gets its own host; None keeps the present setting.
            seen: the status that the decision is based on, if the decision took time (a slider, for example).

        Raises:
            NotPossibleError: there is no other revision to share traffic with.
            ChangedError: the spec has changed since `seen`, or during the write.
        """
        status = self.status()
        percent = status.requested_percent if percent is None else _percent(percent)
        if percent is None:
            raise NotPossibleError(
                f"{self.name}: no canary percent is set. Pass one: rollout.canary(model, percent=10)"
            )
        if not status.latest_rolledout:
            raise NotPossibleError(
                f"{self.name}: its first revision does not serve yet, so a percent would be ignored. "
                "First: await rollout.wait()"
            )
        if model is None and status.previous is None and not status.previous_rolledout:
            raise NotPossibleError(
                f"{self.name}: it has only one revision, so there is no other to share traffic with. "
                f"Pass a new model: rollout.canary(model, percent={percent})"
            )
        self._refuse_detour(model, percent, status)
        changes: dict[str, Any] = {"canaryTrafficPercent": percent}
        annotations = None if tag_routing is None else {TAG_ROUTING: "true" if tag_routing else None}
        return self._patch(changes | ({"model": {"storageUri": model}} if model else {}), annotations, seen or status)

    def promote(self, *, seen: RolloutStatus | None = None) -> RolloutStatus:
        """Give the latest revision to all users, by removing `canaryTrafficPercent`. `seen`: as for `canary`."""
        status = self.status()
        self._refuse_detour(None, 100, status)
        return self._patch({"canaryTrafficPercent": None}, seen=seen or status)

    def pin(self, *, seen: RolloutStatus | None = None) -> RolloutStatus:
        """Give all users the previous revision, by setting `canaryTrafficPercent` to 0. Both revisions keep pods."""
        status = self.status()
        if status.previous is None and not status.previous_rolledout:
            raise NotPossibleError(f"{self.name}: there is no previous revision to roll back to.")
        return self._patch({"canaryTrafficPercent": 0}, seen=seen or status)

    def tag(self, on: bool = True) -> RolloutStatus:
        """Add or remove the `latest-` host. The annotation is part of the pods' template, so a new revision starts."""
        return self._patch({}, {TAG_ROUTING: "true" if on else None})

    def apply(self, document: Mapping[str, Any] | str, *, dry_run: bool = False) -> RolloutStatus:
        """Apply a document (or its YAML) as `kubectl apply` does, including the last-applied annotation.

        With `dry_run` the cluster validates the document and nothing is written.
        """
        wanted = manifest.read(document)
        live = self.client.find(INFERENCE_SERVICE, self.name)
        if live is None:
            self.client.require_namespace()
            body = manifest.applied(wanted, self.client.namespace)
            return RolloutStatus.of(self.client.create(INFERENCE_SERVICE, body, dry_run=dry_run))
        patch = manifest.apply_patch(wanted, live)
        patched = self.client.patch(INFERENCE_SERVICE, self.name, patch, dry_run=dry_run) if patch else live
        return RolloutStatus.of(patched)

    def delete(self) -> None:
        """Delete the InferenceService and everything it owns. Does nothing if it is already gone."""
        self.client.delete(INFERENCE_SERVICE, self.name)

    # --- observe -----------------------------------------------------------------------------------------------

    def send(
        self, count: int = 300, *, candidates: Rows | None = None, known: DiscriminatingInput | None = None
    ) -> sampling.Tally:
        """Send requests to the main host and count which revision answered.

        >>> rollout.send(100).split.failed
        0

        Args:
            candidates: rows to search for one to which the revisions give different answers; by default the
                rollout's rows.
            known: such an input, if one was found earlier.
        """
        return sampling.send(self, count, candidates=candidates, known=known)

    def probe(self) -> AvailabilityProbe:
        """Start sending twenty requests a second, as a user would, until `close()`; failures are counted.

        >>> with rollout.probe() as user:
        ...     _ = rollout.canary(percent=50)
        >>> user.failed
        0
        """
        return AvailabilityProbe(self)

    def trace(
        self, tag: Tag = "main", *, rows: Rows | None = None, known: DiscriminatingInput | None = None
    ) -> Trace:
        """Send one prediction and time each hop: name, connection, gateway, model server, revision.

        >>> rollout.trace("prev").sentence
        "✔ answered by 00001: its tag's host leads to no other revision"

        Args:
            rows: what to send; by default the input of `known`, or the tutorial's.
            known: an input to which the revisions give different answers.
        """
        return trace(self, tag, rows=rows, known=known)

    def story(self) -> Story:
        """The states since the last change, with their times, as the API server reported them.

        In a notebook, recording starts with `lab.rollout()`; in a script, with the first call of this method.

        >>> rollout.story()
        No change has been recorded since this rollout was opened.

        Raises:
            NotPossibleError: this rollout does not come from `lab.rollout()`, so nothing is recorded.
        """
        if self._recorder is None:
            raise NotPossibleError(f"{self.name}: nothing is recorded. Get the rollout from lab.rollout().")
        return self._recorder.story()

    # --- wait --------------------------------------------------------------------------------------------------

    async def wait(self, timeout_s: float = 180) -> RolloutStatus:
        """Wait until traffic has moved to what the spec requests, and return that status.

        In a notebook it also shows the `story()` of the change.

        >>> asyncio.run(rollout.wait(timeout_s=180)).canary_percent
        10

        Raises:
            NotReadyError: not within timeout_s; or earlier, as soon as a controller reports a lasting failure.
        """
        try:
            status = await waiting.wait_traffic(self, timeout_s, self._clock)
        except NotReadyError:
            if self._recorder:
                self._recorder.show(settled=False)
            raise
        if self._recorder:
            await asyncio.to_thread(self._recorder.catch_up, status.version)
            self._recorder.show(settled=True)
        return status

    async def wait_pods(self, timeout_s: float = 180, *, drained: bool = False) -> tuple[Pod, ...]:
        """Wait until only the revisions in the traffic list have pods, and all of them are ready.

        Terminating pods do not count, unless `drained`: then it waits until they are gone too.
        """
        return await waiting.wait_pods(self, timeout_s, self._clock, drained=drained)

    async def wait_no_pods(self, timeout_s: float = 180) -> tuple[Pod, ...]:
        """Wait until no pod is left, as with `minReplicas: 0` after the time without requests."""
        return await waiting.wait_no_pods(self, timeout_s, self._clock)

    # --- write -------------------------------------------------------------------------------------------------

    def _patch(
        self,
        predictor: Mapping[str, Any],
        annotations: Mapping[str, Any] | None = None,
        seen: RolloutStatus | None = None,
    ) -> RolloutStatus:
        """Send one merge patch: None removes a field, and fields that are not named stay.

        The patch carries a resourceVersion, so that it never overwrites a change that nobody has seen.
        """
        metadata: dict[str, Any] = {"annotations": annotations} if annotations else {}
        body: dict[str, Any] = {"spec": {"predictor": dict(predictor)}} if predictor else {}
        now = self.status()
        seen = seen or now
        for _ in range(_TRIES):
            if now.edition != seen.edition:
                raise ChangedError(progress.rewritten(seen, now) + " Read the status again, then decide.")
            metadata["resourceVersion"] = now.version
            try:
                return RolloutStatus.of(self.client.patch(INFERENCE_SERVICE, self.name, body | {"metadata": metadata}))
            except RefusedError as refused:
                if refused.reason != "Conflict":
                    raise
            now = self.status()  # usually a controller wrote the status
        raise ChangedError(
            f"{self.name}: {_TRIES} attempts to write it met other writes each time. Try again in a moment."
        )

    def _refuse_detour(self, model: str | None, percent: int, status: RolloutStatus | None = None) -> None:
        now = status or self.status()
        if now.requested_percent == 0 and percent:
            models = {revision.name: revision.model for revision in self.revisions()}
            if harm := progress.detour(now, percent, model, models):
                raise NotPossibleError(harm)


def _percent(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 100:
        raise ValueError(f"canaryTrafficPercent: {value!r} is not a whole number from 0 to 100.")
    return value
