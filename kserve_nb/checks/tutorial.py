"""The tutorial's checks, as the methods of `lab.check`.

Values that differ from run to run (how many requests, which share) are in brackets, so that the rest of a line can be
compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kserve_nb.access.api_client import Client
from kserve_nb.access.ingress import Ingress
from kserve_nb.checks import cluster_checks, document_checks, installation, request_checks, status_checks
from kserve_nb.checks.check import Outcome, check
from kserve_nb.rollout.availability import AvailabilityProbe
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.rollout.sampling import Tally
from kserve_nb.values.split import Split


class Checks:
    """The tutorial's checks of one InferenceService: `lab.check.promoted()`.

    A check prints one line and returns a record, or raises CheckFailed. With `hint=True` the failure contains the exact
    command.
    """

    def __init__(
        self, client: Client, ingress: Ingress, name: str = "sklearn-iris", doctor: Callable[[], str] = lambda: ""
    ):
        self.doctor = doctor  # returns the first blocker in one line; called after a check has failed
        self._client, self._ingress = client, ingress
        self._rollout = Rollout(client, ingress, name)

    def of(self, name: str) -> Checks:
        """The same checks of another InferenceService: `lab.check.of("wine").promoted()`."""
        return Checks(self._client, self._ingress, name, self.doctor)

    @check
    def backend(self, hint: bool = False) -> Outcome:
        """The API server answers, and KServe runs in Knative mode."""
        return installation.backend(self._client, hint)

    @check
    def namespace(self, hint: bool = False) -> Outcome:
        """The namespace exists, and KServe may download models in it."""
        return cluster_checks.namespace(self._client, hint)

    @check
    def ingress(self, hint: bool = False) -> Outcome:
        """The gateway answers, and an unknown host gets its empty 404."""
        return cluster_checks.gateway(self._ingress, hint)

    @check
    def first_ready(self, hint: bool = False) -> Outcome:
        """The first revision is ready and receives all traffic."""
        return status_checks.first_ready(self._rollout, hint)

    @check
    def predict(self, hint: bool = False) -> Outcome:
        """The model predicts class 1, Versicolour, for the tutorial's two flowers."""
        return request_checks.predict(self._rollout, hint)

    @check
    def two_404s(self, hint: bool = False) -> Outcome:
        """The gateway's 404 has an empty body; the model server's 404 names the model that it does not have."""
        return request_checks.two_404s(self._ingress, self._rollout, hint)

    @check
    def canary_spec(self, percent: int = 10, hint: bool = False) -> Outcome:
        """`canaryTrafficPercent` is under `spec.predictor`, beside the model, and has this value."""
        return status_checks.canary_spec(self._rollout, percent, hint)

    @check
    def split_status(self, percent: int = 10, hint: bool = False) -> Outcome:
        """The traffic list names two different revisions with these percents, and Knative has routed them."""
        return status_checks.split_status(self._rollout, percent, hint)

    @check
    def pods(self, expected: Mapping[str, int] | None = None, hint: bool = False) -> Outcome:
        """Each of these revisions has that many ready pods, and no other has one; Terminating pods do not count.

        Args:
            expected: ready pods by revision number, `{"00001": 1, "00002": 1}`;
                by default one for each revision that the traffic list names.
        """
        return status_checks.pods(self._rollout, expected, hint)

    @check
    def split_observed(self, percent: int = 10, count: int = 1000, hint: bool = False) -> Outcome:
        """The answers to real requests fit the percent. Fails only when a second, larger sample deviates as well.

        Args:
            count: requests of the first sample; more are sent when this percent needs more to be judged.
        """
        return request_checks.split_observed(self._rollout, percent, count, hint)

    @check
    def no_failures(self, requests: Split | Tally | AvailabilityProbe, hint: bool = False) -> Outcome:
        """Every one of these requests was answered. Close a probe first: later requests do not count."""
        return request_checks.no_failures(requests, hint)

    @check
    def same_object(self, old: Mapping[str, Any] | str, new: Mapping[str, Any] | str, hint: bool = False) -> Outcome:
        """A manifest in the old schema and one in the new schema describe the same object."""
        return document_checks.same_object(old, new, hint)

    @check
    def promoted(self, hint: bool = False) -> Outcome:
        """The percent is absent, or 100 (both mean the same), and the latest revision receives all traffic."""
        return status_checks.promoted(self._rollout, hint)

    @check
    def scaled_down(self, revision: str = "00001", hint: bool = False) -> Outcome:
        """That revision has no pods except terminating ones."""
        return status_checks.scaled_down(self._rollout, revision, hint)

    @check
    def pinned(self, hint: bool = False) -> Outcome:
        """The previous revision serves all users; the latest one keeps its pods and receives no traffic."""
        return status_checks.pinned(self._rollout, hint)

    @check
    def tags(self, hint: bool = False) -> Outcome:
        """The hosts of the tags `latest-` and `prev-` both answer."""
        return request_checks.tags(self._rollout, hint)

    @check
    def columns(self, *, ready: str, prev: int | str, latest: int | str, hint: bool = False) -> Outcome:
        """The values that you read in the row of `kubectl get isvc` are right; write an empty column as ""."""
        read = {"READY": ready, "PREV": str(prev), "LATEST": str(latest)}
        return document_checks.columns(self._rollout.status(), read, hint)
