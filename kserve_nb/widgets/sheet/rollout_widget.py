"""The base class of all widgets that follow one rollout."""

from __future__ import annotations

from typing import Any

import traitlets as T  # noqa: N812 - short, as traits fill these lines

from kserve_nb.observe.feed.subscription import Subscription
from kserve_nb.observe.snapshot import Snapshot, clock
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.widgets.sheet.sheet import Sheet

FIRST_SNAPSHOT_S = 2.0  # how long displaying a widget waits for the cluster


class RolloutWidget(Sheet):
    """A view of one rollout's snapshot, live until `close()`."""

    snapshot: Snapshot = T.Instance(Snapshot, ("",))  # type: ignore[assignment]  # traitlets returns the value

    def __init__(self, rollout: Rollout, **traits: Any):
        super().__init__(**traits)
        self._subscription = Subscription(rollout, self._on_snapshot)

    @property
    def json(self) -> dict[str, Any]:
        """The snapshot as dicts and lists."""
        return self.snapshot.as_json()

    def close(self) -> None:
        """Stop updating; the last state stays visible."""
        subscription: Subscription | None = self.__dict__.get("_subscription")
        if subscription is not None:  # ipywidgets also closes widgets whose __init__ failed
            subscription.end()

    def _on_snapshot(self, snapshot: Snapshot) -> None:
        self.set_trait("snapshot", snapshot)

    @T.observe("snapshot")
    def _on_change(self, _change: Any) -> None:
        self.redraw()

    def wait_first(self) -> None:
        """Wait a moment for the first snapshot of the cluster, so that a saved output is not empty."""
        self._subscription.feed.wait_first(FIRST_SNAPSHOT_S)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]  # IPython takes both
        self.wait_first()
        bundle = super()._repr_mimebundle_(**kwargs)
        return {**bundle, "text/html": bundle["text/html"] + seen_at(self.snapshot)}


def seen_at(snapshot: Snapshot) -> str:
    """The time of the state in a saved output, as HTML."""
    return f"<div>{f'state at {clock(snapshot.at)}' if snapshot.at else 'not seen yet'}</div>"
