"""One widget that combines the widgets of a rollout: change it, watch it, and see the details."""

from __future__ import annotations

from typing import Any

import ipywidgets as W  # noqa: N812 - short, as widgets fill these lines

from kserve_nb.observe.snapshot import Snapshot
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.widgets.condition_ladder import ConditionLadder
from kserve_nb.widgets.pod_table import PodTable
from kserve_nb.widgets.request_trace import RequestTrace
from kserve_nb.widgets.revision_timeline import RevisionTimeline
from kserve_nb.widgets.rollout_tree import RolloutTree
from kserve_nb.widgets.sheet.rollout_widget import seen_at
from kserve_nb.widgets.sheet.saved_output import SavedOutput
from kserve_nb.widgets.sheet.sheet import static_html
from kserve_nb.widgets.slider.traffic_slider import TrafficSlider
from kserve_nb.widgets.split_chart import SplitChart
from kserve_nb.widgets.status_line import StatusLine

_TABS = {"Pods": "pods", "Timeline": "timeline", "Conditions": "conditions", "Request": "request"}
_MAX_WIDTH = "800px"


class Panel(SavedOutput, W.VBox):  # type: ignore[misc]  # ipywidgets ships no types
    """Status line, traffic slider, tree and chart; pods, timeline, conditions and a request in tabs below.

    Each part is an attribute and works as it does alone: `panel.slider.value = 20`, `panel.chart.send(300)`.
    """

    _parts: tuple[Any, ...] = ()

    def __init__(self, rollout: Rollout):
        self.line, self.slider = StatusLine(rollout), TrafficSlider(rollout)
        self.tree, self.chart = RolloutTree(rollout), SplitChart(rollout)
        self.pods, self.timeline = PodTable(rollout), RevisionTimeline(rollout)
        self.conditions, self.request = ConditionLadder(rollout), RequestTrace(rollout)
        tabs = W.Tab([getattr(self, name) for name in _TABS.values()], titles=list(_TABS))
        above = (self.line, self.slider, self.tree, self.chart)
        self._parts = (*above, self.pods, self.timeline, self.conditions, self.request)
        super().__init__([*above, tabs], layout=W.Layout(max_width=_MAX_WIDTH))
        self.add_class("knb-panel")

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot that all parts show."""
        return self.line.snapshot

    @property
    def text(self) -> str:
        """The texts of the parts, one below the other."""
        return "\n\n".join(part.text for part in self._readable())

    @property
    def html(self) -> str:
        """The pictures of the parts, one below the other."""
        return static_html("".join(part._picture() for part in self._readable()))

    @property
    def json(self) -> dict[str, Any]:
        """The snapshot as dicts and lists."""
        return self.line.json

    @property
    def is_open_in_browser(self) -> bool:
        """Whether a browser shows the panel."""
        return any(part.has_view for part in self._parts)

    def close(self) -> None:
        """Stop updating; the last state stays visible."""
        for part in self._parts:
            part.close()

    def _readable(self) -> tuple[Any, ...]:
        return (self.line, self.tree, self.chart, self.pods, self.timeline, self.conditions)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        self.line.wait_first()
        bundle = super()._repr_mimebundle_(**kwargs)
        return {**bundle, "text/html": bundle["text/html"] + seen_at(self.snapshot)}
