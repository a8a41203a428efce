"""All of a rollout at a glance: steer it, see what comes of it, look closer."""

from __future__ import annotations

from typing import Any

import ipywidgets as W  # noqa: N812 - short, as widgets fill these lines

from kserve_nb.observe.snapshot import Snapshot
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.widgets.condition_ladder import ConditionLadder
from kserve_nb.widgets.drawing.draw import WIDTH
from kserve_nb.widgets.feed.rollout_feed import faces_of
from kserve_nb.widgets.pod_table import PodTable
from kserve_nb.widgets.request_trace import RequestTrace
from kserve_nb.widgets.revision_timeline import RevisionTimeline
from kserve_nb.widgets.rollout_tree import RolloutTree
from kserve_nb.widgets.slider.traffic_slider import TrafficSlider
from kserve_nb.widgets.split_chart import SplitChart
from kserve_nb.widgets.status_line import StatusLine

_BELOW = {"Pods": "pods", "Timeline": "timeline", "Conditions": "conditions", "Request": "request"}


class Panel(W.VBox):  # type: ignore[misc]  # ipywidgets ships no types
    """Status line, traffic slider, tree and chart; pods, timeline, conditions and a request in tabs below.

    Each is an attribute and works as it does alone: `panel.slider.value = 20`, `panel.chart.send(300)`.
    """

    _parts: tuple[Any, ...] = ()

    def __init__(self, rollout: Rollout):
        self.line, self.slider = StatusLine(rollout), TrafficSlider(rollout)
        self.tree, self.chart = RolloutTree(rollout), SplitChart(rollout)
        self.pods, self.timeline = PodTable(rollout), RevisionTimeline(rollout)
        self.conditions, self.request = ConditionLadder(rollout), RequestTrace(rollout)
        below = W.Tab([getattr(self, name) for name in _BELOW.values()], titles=list(_BELOW))
        above = (self.line, self.slider, self.tree, self.chart)
        self._seat = self.line._seat
        self._parts = (*above, self.pods, self.timeline, self.conditions, self.request)
        super().__init__([*above, below], layout=W.Layout(max_width=f"{WIDTH + 40}px"))

    @property
    def snapshot(self) -> Snapshot:
        """What its parts show."""
        return self.line.snapshot

    @property
    def text(self) -> str:
        """What its parts say, one below the other."""
        return "\n\n".join(part.text for part in self._shown())

    @property
    def html(self) -> str:
        """What its parts show, one below the other."""
        return "<hr>".join(part.html for part in self._shown())

    @property
    def json(self) -> dict[str, Any]:
        """All that is known, as JSON's own types."""
        return self.line.json

    def close(self) -> None:
        """Stop following; what was seen last stays in view."""
        for part in self._parts:
            part.close()

    def _shown(self) -> tuple[Any, ...]:
        return (self.line, self.tree, self.chart, self.pods, self.timeline, self.conditions)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        return faces_of(self, super()._repr_mimebundle_(**kwargs))
