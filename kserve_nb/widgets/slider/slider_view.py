"""Everything that a traffic slider shows at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kserve_nb.widgets.slider.slider_phase import ChangeStep, Journal, SliderPhase
from kserve_nb.widgets.slider.slider_state import SliderState
from kserve_nb.widgets.slider.traffic_change import Action


@dataclass(frozen=True)
class SliderView:
    """A slider's state and the values derived from it: text, card and JSON are functions of this value."""

    state: SliderState
    phase: SliderPhase
    steps: tuple[ChangeStep, ...]
    unavailable: str  # why no change at all is possible
    blocked: Mapping[Action, str]  # why a button cannot be pressed
    journal: Journal
    absent: str  # what is shown if there is no InferenceService
    namespace: str = ""
    number_problem: str = ""  # what is wrong with the number typed last
    typed: str = ""
    sending: str = ""  # how many requests have been sent; empty while none are being sent
    sending_error: str = ""
