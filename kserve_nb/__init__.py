"""Learn KServe's canary rollout in notebooks.

The names below are the public API: what the notebooks import, and nothing else.

>>> from kserve_nb import connect
>>> lab = connect("attach", kubeconfig=kubeconfig, ingress=ingress)
>>> lab.rollout().status().requested_percent
10
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kserve_nb.clusters.publishing.model_package import PublishError
    from kserve_nb.gates.criteria.answer_gates import AgreementGate, LossGate
    from kserve_nb.gates.criteria.request_gates import ErrorsGate
    from kserve_nb.gates.plan import ProbeTraffic, RolloutPlan
    from kserve_nb.lab import connect
    from kserve_nb.rollout.discriminating_input import IRIS_CANDIDATES
    from kserve_nb.rollout.errors import NotPossibleError, NotReadyError
    from kserve_nb.rollout.statistics import judge
    from kserve_nb.tasks.course_map import course_map
    from kserve_nb.values.manifest import MODEL, MODEL_2
    from kserve_nb.widgets import (
        ConditionLadder,
        DisagreementMap,
        LoadPanel,
        PodTable,
        RequestTrace,
        RevisionTimeline,
        RunnerPanel,
        SplitChart,
        TrafficSlider,
        YamlDiff,
    )

__all__ = [
    "IRIS_CANDIDATES",
    "MODEL",
    "MODEL_2",
    "AgreementGate",
    "ConditionLadder",
    "DisagreementMap",
    "ErrorsGate",
    "LoadPanel",
    "LossGate",
    "NotPossibleError",
    "NotReadyError",
    "PodTable",
    "ProbeTraffic",
    "PublishError",
    "RequestTrace",
    "RevisionTimeline",
    "RolloutPlan",
    "RunnerPanel",
    "SplitChart",
    "TrafficSlider",
    "YamlDiff",
    "connect",
    "course_map",
    "judge",
]

# Imported on first use: the processes of the embedded cluster import this package too, and need none of it.
_MODULES = {
    "IRIS_CANDIDATES": "rollout.discriminating_input",
    "MODEL": "values.manifest",
    "MODEL_2": "values.manifest",
    "AgreementGate": "gates.criteria.answer_gates",
    "ErrorsGate": "gates.criteria.request_gates",
    "LossGate": "gates.criteria.answer_gates",
    "NotPossibleError": "rollout.errors",
    "NotReadyError": "rollout.errors",
    "ProbeTraffic": "gates.plan",
    "PublishError": "clusters.publishing.model_package",
    "RolloutPlan": "gates.plan",
    "connect": "lab",
    "course_map": "tasks.course_map",
    "judge": "rollout.statistics",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'widgets')}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
