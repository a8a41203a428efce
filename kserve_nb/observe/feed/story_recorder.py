"""The recorder of a rollout's story, which `rollout.story()` returns and `rollout.wait()` shows."""

from __future__ import annotations

from collections.abc import Callable

from kserve_nb.observe.feed.subscription import Subscription
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.values.story import Story

_FIRST_S = 2.0  # for the first answer of the API server
_CATCH_UP_S = 1.0  # a watch can be a little later than a reading


class StoryRecorder:
    """Records the story of one rollout from `start()` on, through the feed that its widgets use too.

    Args:
        show: how to show a story; None if there is nobody to show it to, as in a script.
    """

    def __init__(self, rollout: Rollout, show: Callable[[Story], None] | None):
        self._rollout, self._show = rollout, show
        self._subscription: Subscription | None = None
        self._shown: tuple[str, int] | None = None  # the change whose story was shown

    def start(self) -> None:
        """Start recording, so that the next change is seen from its beginning. A second call does nothing.

        A widget's cell that is run again ends the subscriptions of its last run, and this one may be among them.
        """
        if self._subscription is None or self._subscription.ended:
            self._subscription = Subscription(self._rollout, lambda _snapshot: None)
            self._subscription.feed.wait_first(_FIRST_S)

    def story(self) -> Story:
        """The states since the last change. Starts recording if it has not started."""
        self.start()
        assert self._subscription is not None
        return self._subscription.feed.recording.story()

    def catch_up(self, version: str) -> None:
        """Wait until the InferenceService's state with this resourceVersion is recorded, or has been missed."""
        if self._subscription is not None:
            self._subscription.feed.recording.wait_for(version, _CATCH_UP_S)

    def skip(self) -> None:
        """Do not show the story of the changes until now."""
        if self._subscription is not None and (story := self.story()):
            self._shown = story.states[1].edition

    def show(self, settled: bool) -> None:
        """Show the story of the last change, unless it has been shown since traffic settled."""
        if self._show is None or self._subscription is None:
            return
        story = self.story()
        if story and story.states[1].edition != self._shown:
            self._shown = story.states[1].edition if settled else None
            self._show(story)
