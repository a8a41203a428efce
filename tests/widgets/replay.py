"""The snapshots of the tutorial, recorded on a real cluster."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kserve_nb.access.api_client import EVENT, INFERENCE_SERVICE, KNATIVE_SERVICE, POD, REVISION, ROUTE, Resource
from kserve_nb.observe.history import RolloutHistory, TimelineFrame
from kserve_nb.observe.snapshot import Snapshot, belongs_to, snapshot_of

DATA = Path(__file__).parents[1] / "data" / "widgets"
NAME = "sklearn-iris"
KINDS = {"InferenceService": INFERENCE_SERVICE, "Service": KNATIVE_SERVICE, "Route": ROUTE, "Revision": REVISION,
         "Pod": POD, "Event": EVENT}


@functools.cache
def replay() -> Sequence[tuple[float, Snapshot]]:
    """The snapshot after each recorded event, with the seconds since the first one."""
    objects: dict[Resource, dict[str, Any]] = {kind: {} for kind in KINDS.values()}
    seen: list[tuple[float, Snapshot]] = []
    start = 0.0
    for line in (DATA / "tutorial.jsonl").read_text().splitlines():
        row = json.loads(line)
        kind, obj = KINDS[row["object"]["kind"]], row["object"]
        if not belongs_to(NAME, kind, obj):
            continue
        objects[kind][obj["metadata"]["name"]] = obj
        if row["type"] == "DELETED":
            del objects[kind][obj["metadata"]["name"]]
        start = start or row["t"]
        known = snapshot_of(NAME, {k: list(found.values()) for k, found in objects.items()})
        seen.append((row["t"] - start, replace(known, namespace="kserve-test", source="lab:6443", at=row["t"])))
    return seen


def at(second: float) -> Snapshot:
    """The snapshot at a second of the recording."""
    return next(snapshot for moment, snapshot in reversed(replay()) if moment <= second)


def history() -> RolloutHistory:
    """The history of the whole recording."""
    first = 1795425290.6  # when the recording began
    frames: list[TimelineFrame] = []
    for second, snapshot in replay():
        frame = TimelineFrame.of(snapshot, first + second)
        if not frames or not frame.same(frames[-1]):
            frames.append(frame)
    return RolloutHistory(NAME, tuple(frames), at(1e9).events, first + replay()[-1][0] + 5)
