"""Widgets: live views of one rollout, and controls to change it. Each also exists as text, HTML and JSON.

May import everything but `cli` and `lab`. Python draws HTML (`drawing`), the browser patches it (`sheet`), and
one feed per rollout delivers the data (`observe.feed`).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kserve_nb.widgets.condition_ladder import ConditionLadder
    from kserve_nb.widgets.doctor_panel import DoctorPanel
    from kserve_nb.widgets.drill_card import DrillCard
    from kserve_nb.widgets.evidence.disagreement_map import DisagreementMap
    from kserve_nb.widgets.evidence.load_panel import LoadPanel
    from kserve_nb.widgets.panel import Panel
    from kserve_nb.widgets.pod_table import PodTable
    from kserve_nb.widgets.prediction_card import PredictionCard
    from kserve_nb.widgets.request_trace import RequestTrace
    from kserve_nb.widgets.revision_timeline import RevisionTimeline
    from kserve_nb.widgets.rollout_tree import RolloutTree
    from kserve_nb.widgets.runner_panel import RunnerPanel
    from kserve_nb.widgets.slider.traffic_slider import TrafficSlider
    from kserve_nb.widgets.split_chart import SplitChart
    from kserve_nb.widgets.status_line import StatusLine
    from kserve_nb.widgets.task_card import TaskCard
    from kserve_nb.widgets.yaml_diff import YamlDiff

__all__ = [
    "ConditionLadder",
    "DisagreementMap",
    "DoctorPanel",
    "DrillCard",
    "LoadPanel",
    "Panel",
    "PodTable",
    "PredictionCard",
    "RequestTrace",
    "RevisionTimeline",
    "RolloutTree",
    "RunnerPanel",
    "SplitChart",
    "StatusLine",
    "TaskCard",
    "TrafficSlider",
    "YamlDiff",
]

_MODULES = {
    "ConditionLadder": "condition_ladder",
    "DisagreementMap": "evidence.disagreement_map",
    "DoctorPanel": "doctor_panel",
    "DrillCard": "drill_card",
    "LoadPanel": "evidence.load_panel",
    "Panel": "panel",
    "PodTable": "pod_table",
    "PredictionCard": "prediction_card",
    "RequestTrace": "request_trace",
    "RevisionTimeline": "revision_timeline",
    "RolloutTree": "rollout_tree",
    "RunnerPanel": "runner_panel",
    "SplitChart": "split_chart",
    "StatusLine": "status_line",
    "TaskCard": "task_card",
    "TrafficSlider": "slider.traffic_slider",
    "YamlDiff": "yaml_diff",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
