"""Read one InferenceService from the API server, and send it predictions through the gateway."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from kserve_nb.access.api_client import INFERENCE_SERVICE, KNATIVE_SERVICE, POD, REVISION, Client
from kserve_nb.access.ingress import IRIS_INPUT, Ingress, Protocol, Response, Rows, host_of
from kserve_nb.access.model_input import InputError, checked_rows
from kserve_nb.rollout.errors import NotPossibleError
from kserve_nb.values import dns_names, manifest
from kserve_nb.values.change_plan import ChangePlan
from kserve_nb.values.labels import INFERENCE_SERVICE_LABEL
from kserve_nb.values.pods import Pod
from kserve_nb.values.related_objects import predictor_service
from kserve_nb.values.revisions import Revision
from kserve_nb.values.rollout_status import RolloutStatus

Tag = Literal["main", "latest", "prev"]


class RolloutReader:
    """The read-only methods of a rollout: status, pods, revisions and predictions.

    `rows` are inputs of its model, from which requests are chosen; None for the flowers of the tutorial.
    """

    def __init__(self, client: Client, ingress: Ingress, name: str = "sklearn-iris", *, rows: Rows | None = None):
        self.name = _checked_name(name)
        self.rows = None if rows is None else checked_rows(rows)
        self.client = client
        self.ingress = ingress

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r} in {self.client.namespace})"

    @property
    def read_only(self) -> str:
        """Why this InferenceService cannot be changed here; empty if it can."""
        return self.client.read_only

    def status(self) -> RolloutStatus:
        """The requested percent and the traffic now. Raises NotFoundError that names what to create."""
        return RolloutStatus.of(self.client.get(INFERENCE_SERVICE, self.name))

    def pods(self) -> tuple[Pod, ...]:
        """All pods of the InferenceService, including the terminating ones."""
        found = self.client.find_all(POD, f"{INFERENCE_SERVICE_LABEL}={self.name}")
        return tuple(Pod.of(item) for item in found)

    def revisions(self) -> tuple[Revision, ...]:
        """All revisions that exist, the oldest first."""
        found = self.client.find_all(REVISION, f"{INFERENCE_SERVICE_LABEL}={self.name}")
        return tuple(Revision.of(item) for item in found)

    def plan(self, document: Mapping[str, Any] | str) -> ChangePlan:
        """The fields that applying a document (or its YAML) would change, and the effect of each change.

        >>> rollout.plan(lab.manifest(MODEL_2, percent=20))
        FIELD                                 IS   WILL BE   CAUSES
        spec.predictor.canaryTrafficPercent   10   20        only traffic: LATEST gets 20 %, PREV the other 80 %
        """
        live = self.client.get(INFERENCE_SERVICE, self.name)
        patch = manifest.apply_patch(manifest.read(document), live)
        return ChangePlan(manifest.diff(live, manifest.merged(live, patch)))

    def host(self, tag: Tag = "main") -> str:
        """The Host header of a tag: `main` is split by percent, `latest` and `prev` lead to one revision each.

        >>> rollout.host()
        'sklearn-iris-predictor.kserve-test.example.com'
        >>> rollout.host("prev")
        'prev-sklearn-iris-predictor.kserve-test.example.com'
        """
        status = self.status()
        if tag == "main":
            if status.url:
                return host_of(status.url)
            raise NotPossibleError(
                f"{self.name}: it has no URL before its first revision is ready. First: await rollout.wait()"
            )
        target = next((target for target in status.traffic if target.tag == tag and target.url), None)
        if target is None:
            how = "rollout.tag() adds it" if tag == "latest" else "it exists during a canary or a pin"
            raise NotPossibleError(f"{self.name}: no traffic target has the tag {tag}; {how}.")
        return host_of(target.url)

    @property
    def sample(self) -> Rows:
        """Two inputs of its model, for a request whose answer does not matter."""
        return IRIS_INPUT if self.rows is None else self.rows[:2]

    def predict(self, rows: Rows | None = None, *, tag: Tag = "main", protocol: Protocol = "v1") -> list[Any]:
        """Predictions for rows of features, sent through the gateway. Raises PredictError with the response instead.

        >>> rollout.predict([[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]])
        [1, 1]
        """
        return self.ingress.predict(self.host(tag), self.name, self.sample if rows is None else rows, protocol)

    def request(self, rows: Rows | None = None, *, tag: Tag = "main", protocol: Protocol = "v1") -> Response:
        """The response to a prediction request, whatever its status: status, headers and body.

        >>> rollout.request().status
        200
        """
        return self.ingress.request(self.host(tag), self.name, self.sample if rows is None else rows, protocol)

    def status_and_service(self) -> tuple[RolloutStatus, dict[str, Any] | None]:
        """The status, and the Knative Service to compare it with (None before KServe has created one)."""
        # Read the Knative Service first: it is then never newer than the status it is compared with.
        services = self.client.find_all(KNATIVE_SERVICE, f"{INFERENCE_SERVICE_LABEL}={self.name}")
        return self.status(), predictor_service(services, self.name)


def _checked_name(name: Any) -> str:
    """The name of an InferenceService. Raises InputError, with Kubernetes' reason, if it is not valid."""
    if problem := dns_names.problem("an InferenceService", name, dns_names.subdomain_errors):
        raise InputError(f"{problem}See the names that exist: kubectl get isvc")
    return str(name)
