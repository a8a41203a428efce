"""The scaler: keeps the number of pods within the revision's bounds, and decides when it may become zero.

Source: knative serving pkg/reconciler/autoscaling/kpa/scaler.go and pkg/apis/autoscaling/v1alpha1/pa_lifecycle.go.
"""

from __future__ import annotations

from dataclasses import dataclass

from kserve_nb.clusters.embedded.apimachinery.durations import parse_duration_s, seconds_since
from kserve_nb.clusters.embedded.apimachinery.kinds import DEPLOYMENT
from kserve_nb.clusters.embedded.apimachinery.objects import Object, Objects, condition
from kserve_nb.clusters.embedded.control.framework.condition_set import Conditions
from kserve_nb.clusters.embedded.control.framework.reconciler import Changes, Moment
from kserve_nb.clusters.embedded.control.knative.autoscaling.autoscaling_options import Options
from kserve_nb.clusters.embedded.control.knative.revision_deployment import PROGRESS_DEADLINE_S
from kserve_nb.values.labels import PROGRESS_DEADLINE

UNKNOWN = -1  # the number of pods before any metrics exist
GRACE_S = 30.0  # default of scale-to-zero-grace-period
_ACTIVATION_BUFFER_S = 30.0  # scaler.go `activationTimeoutBuffer`


@dataclass(frozen=True)
class Bounds:
    """The limits of a revision's scale, from annotations and reachability (`ScaleBounds`)."""

    minimum: int
    maximum: int  # 0: no limit
    initial: int

    @classmethod
    def of(cls, autoscaler: Object, options: Options) -> Bounds:
        minimum = 0 if is_unreachable(autoscaler) else options.integer("min-scale", "min-scale", 0)
        return cls(minimum, options.integer("max-scale", "max-scale", 0), options.initial_scale)

    def apply(self, pods: int) -> int:
        """The nearest number of pods within the bounds."""
        pods = max(pods, self.minimum)
        return min(pods, self.maximum) if self.maximum else pods


@dataclass(frozen=True)
class Scaler:
    """Applies the autoscaler's decision to the Deployment of one revision."""

    autoscaler: Object
    options: Options
    service: Object  # the ServerlessService
    conditions: Conditions
    moment: Moment
    changes: Changes
    stable_window_s: float
    active_s: float  # for how long the condition Active has had its current status

    def scale(self, desired: int, objects: Objects) -> int:
        """Scale the Deployment. Returns the number of pods that is really desired, which may be UNKNOWN (`scale`)."""
        if desired < 0 and self.conditions.status_of("Active") != "Unknown":
            return desired
        bounds = Bounds.of(self.autoscaler, self.options)
        initialized = self.conditions.status_of("ScaleTargetInitialized") == "True"
        if bounds.initial > 1 and not initialized and not is_unreachable(self.autoscaler):
            bounds = Bounds(max(bounds.initial, bounds.minimum), bounds.maximum, bounds.initial)
        desired, apply = bounds.apply(desired), True
        if desired == 0:
            desired, apply = self._scale_to_zero()
        target = self.autoscaler["spec"]["scaleTargetRef"]["name"]
        deployment = objects.find(DEPLOYMENT, self.autoscaler["metadata"]["namespace"], target)
        if apply and deployment is not None and deployment["spec"].get("replicas", 1) != desired:
            deployment["spec"]["replicas"] = desired
            self.changes.update(DEPLOYMENT, deployment)
        return desired

    def _scale_to_zero(self) -> tuple[int, bool]:
        """The desired scale if no pods are needed, and whether to apply it to the Deployment (`handleScaleToZero`).

        An active revision becomes inactive after a stable window. An inactive one loses its pods once the activator has
        been in the request path for the grace period. One that never became active loses them after the progress
        deadline.
        """
        if not self.options.scales_to_zero:
            return 1, True
        active = self.conditions.status_of("Active")
        if active == "Unknown":
            timeout_s = self._activation_timeout_s()
            if self.active_s > timeout_s:
                return 0, True
            self.changes.requeue_after(timeout_s)
            return UNKNOWN, False
        if active == "True":
            if self.active_s >= self.stable_window_s:
                return 0, False
            self.changes.requeue_after(self.stable_window_s - self.active_s)
            return 1, True
        wait_s = self._inactive_wait_s()
        if wait_s > 0:
            self.changes.requeue_after(wait_s)
        return 0, wait_s <= 0

    def _activation_timeout_s(self) -> float:
        annotations = self.autoscaler["metadata"].get("annotations", {})
        deadline_s = parse_duration_s(annotations.get(PROGRESS_DEADLINE)) or PROGRESS_DEADLINE_S
        return self.moment.settings.window_s(deadline_s + _ACTIVATION_BUFFER_S)

    def _inactive_wait_s(self) -> float:
        """How long an inactive revision keeps its last pod: until retention and grace period have passed."""
        window_s, retention = self.moment.settings.window_s, "scale-to-zero-pod-retention-period"
        retention_s = 0.0
        if not is_unreachable(self.autoscaler):
            retention_s = window_s(self.options.seconds(retention, retention, 0))
        grace_s = window_s(self.options.seconds("", "scale-to-zero-grace-period", GRACE_S))
        if self.active_s >= max(grace_s, retention_s):
            return 0
        if self.active_s < retention_s:
            return retention_s - self.active_s
        in_path = condition(self.service, "ActivatorEndpointsPopulated")
        if in_path.get("status") != "True":
            return grace_s
        return grace_s - seconds_since(in_path["lastTransitionTime"], self.moment.now)


def is_unreachable(autoscaler: Object) -> bool:
    """Whether no Route refers to the revision."""
    return bool(autoscaler["spec"].get("reachability") == "Unreachable")
