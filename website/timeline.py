"""python -m website.timeline FILE: record a rollout on a new cluster, and save its timeline as HTML."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from kserve_nb import MODEL_2, RevisionTimeline, clusters, connect

_NAME = f"site-timeline-{os.getpid()}"
_PAUSE_S = 2  # the timeline's axis is readable if changes are not too close


async def record(file: Path) -> None:
    """Play a rollout: a canary of 10 %, 50 %, a promotion, and back to the first model."""
    lab = connect(name=_NAME)
    await lab.ensure("first-model")
    rollout = lab.rollout()
    timeline, user = RevisionTimeline(rollout), rollout.probe()
    for change in (lambda: rollout.canary(MODEL_2, percent=10), lambda: rollout.canary(percent=50), rollout.promote,
                   rollout.pin):  # fmt: skip
        await asyncio.sleep(_PAUSE_S)
        change()
        await rollout.wait()
    await asyncio.sleep(_PAUSE_S)
    timeline.export(file)
    user.close()
    timeline.close()


def main(file: Path) -> None:
    """Start a cluster, record, and delete the cluster."""
    cluster = clusters.start(_NAME, owner=os.getpid(), temporary=True)
    try:
        asyncio.run(record(file))
    finally:
        clusters.delete(cluster.name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
