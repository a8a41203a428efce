"""A recorded rollout, event by event: it counts as settled at the right moments only."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kserve_nb.rollout import progress
from kserve_nb.values.revisions import short
from kserve_nb.values.rollout_status import RolloutStatus
from tests.fake_api import DATA, one


def replay() -> list[tuple[RolloutStatus, dict[str, Any] | None]]:
    """The status after each recorded event of the tutorial on a real cluster."""
    seen, status, knative = [], None, None
    for line in (DATA / "watch.jsonl").read_text().splitlines():
        event = json.loads(line)
        if event["kind"] == "ksvc":
            knative = event["object"]
        else:
            status = RolloutStatus.of(event["object"])
        if status is not None:
            seen.append((status, knative))
    return seen


def test_the_recorded_tutorial_settles_once_a_step_and_never_too_early() -> None:
    settled = [status for status, knative in replay() if not progress.missing(status, knative)]

    rows = [tuple((short(t.revision), t.percent) for t in status.traffic) for status in settled]
    assert list(dict.fromkeys(rows)) == [
        (("00001", 100),),
        (("00002", 10), ("00001", 90)),
        (("00002", 100),),
        (("00002", 0), ("00001", 100)),
        (("00003", 10), ("00001", 90)),
    ]
    assert len(settled) == 6  # the first step's status was written once more, with nothing new for users


def test_ready_was_stale_at_moments_that_are_not_settled() -> None:
    stale = [status for status, knative in replay() if status.ready.status == "True"
             and progress.missing(status, knative)]

    assert stale


def test_nothing_failed_in_the_recorded_tutorial() -> None:
    assert not any(progress.failure(status, knative) for status, knative in replay())


def test_a_broken_canary_fails_with_the_storage_initializers_message() -> None:
    status, knative = RolloutStatus.of(one("broken-canary", "isvc")), one("broken-canary", "ksvc")

    assert progress.missing(status, knative) == "revision 00002 is not ready yet"
    assert progress.failure(status, knative).strip().endswith("GCS resource 'kfserving-examples' not found.")


def test_a_repair_that_kserve_has_not_seen_yet_is_no_failure() -> None:
    repaired = one("broken-canary", "isvc")
    repaired["spec"]["predictor"]["model"]["storageUri"] = "gs://kfserving-examples/models/sklearn/1.0/model-2"

    assert progress.failure(RolloutStatus.of(repaired), one("broken-canary", "ksvc")) == ""


@pytest.mark.parametrize(
    ("amount", "left"), [("1000m", ""), ("2", "KServe has not passed the change on to Knative yet")])
def test_resources_are_compared_as_quantities(amount: str, left: str) -> None:
    isvc = one("02-canary-10", "isvc")
    isvc["spec"]["predictor"]["model"]["resources"]["limits"]["cpu"] = amount

    assert progress.missing(RolloutStatus.of(isvc), one("02-canary-10", "ksvc")) == left


def test_a_percent_that_knative_refuses_is_a_failure() -> None:
    isvc = one("01-create", "isvc")
    isvc["spec"]["predictor"]["canaryTrafficPercent"] = 101
    row = next(row for row in isvc["status"]["conditions"] if row["type"] == "PredictorReady")
    row.update(status="False", reason="ReconcileFailed", message="Traffic targets sum to 101, want 100")

    assert "sum to 101" in progress.failure(RolloutStatus.of(isvc), one("01-create", "ksvc"))


def test_standard_mode_is_named() -> None:
    isvc = one("01-create", "isvc")
    isvc["status"]["deploymentMode"] = "Standard"

    assert "Standard" in progress.failure(RolloutStatus.of(isvc), None)
