"""The states of one rollout, recorded at each watch event: between two snapshots of the feed several can pass."""

from __future__ import annotations

import threading
from collections import deque

from kserve_nb.values.story import Story, StoryState

_STATES_KEPT = 600


class StoryRecording:
    """The states of one InferenceService and its pods in order. Watches add states on their threads."""

    def __init__(self, name: str):
        self._name = name
        self._states: deque[StoryState] = deque(maxlen=_STATES_KEPT)
        self._added = threading.Condition()

    def add(self, state: StoryState) -> None:
        """Add what a watch event has led to."""
        with self._added:
            self._states.append(state)
            self._added.notify_all()

    def story(self) -> Story:
        """The story of the last change that was recorded."""
        with self._added:
            return Story.of(self._name, tuple(self._states))

    def wait_for(self, version: str, timeout_s: float) -> bool:
        """Wait until the InferenceService's state with this resourceVersion is recorded; False after the timeout."""
        with self._added:
            return self._added.wait_for(lambda: version in self._versions(), timeout_s)

    def _versions(self) -> set[str]:
        return {state.status.version for state in self._states if state.status}
