"""KServe's canary rollout, learned by doing it: `lab = kserve_nb.connect()`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kserve_nb.checks.check import CheckFailed
    from kserve_nb.lab import Lab, connect
    from kserve_nb.rollout.rollout import NotReadyError, Rollout
    from kserve_nb.rollout.sampling import Tally
    from kserve_nb.values.rollout_status import Cluster, Pod, RolloutStatus, TrafficTarget
    from kserve_nb.widgets.pod_table import PodTable
    from kserve_nb.widgets.slider.traffic_slider import TrafficSlider

__all__ = [
    "CheckFailed",
    "Cluster",
    "Lab",
    "NotReadyError",
    "Pod",
    "PodTable",
    "Rollout",
    "RolloutStatus",
    "Tally",
    "TrafficSlider",
    "TrafficTarget",
    "connect",
]

# Imported when first asked for: the embedded cluster's processes import this package too, and need none of it.
_HOMES = {
    "CheckFailed": "checks.check",
    "Cluster": "values.rollout_status",
    "Lab": "lab",
    "NotReadyError": "rollout.rollout",
    "Pod": "values.rollout_status",
    "PodTable": "widgets.pod_table",
    "Rollout": "rollout.rollout",
    "RolloutStatus": "values.rollout_status",
    "Tally": "rollout.sampling",
    "TrafficSlider": "widgets.slider.traffic_slider",
    "TrafficTarget": "values.rollout_status",
    "connect": "lab",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
