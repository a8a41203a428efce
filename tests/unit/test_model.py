"""Values that are read from objects of a real cluster."""

from __future__ import annotations

import pytest

from kserve_nb.values.pods import Pod
from kserve_nb.values.revisions import short
from kserve_nb.values.rollout_status import RolloutStatus
from kserve_nb.values.split import Split
from tests.fake_api import one, recorded

STEPS = {
    "01-create": ([("00001", 100)], None),
    "02-canary-10": ([("00002", 10), ("00001", 90)], 10),
    "04-promote": ([("00002", 100)], None),
    "05-rollback": ([("00002", 0), ("00001", 100)], 0),
    "06-tag": ([("00003", 10), ("00001", 90)], 10),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_status_lists_each_revisions_percent(step: str) -> None:
    status = RolloutStatus.of(one(step, "isvc"))

    traffic, canary = STEPS[step]
    assert [(short(target.revision), target.percent) for target in status.traffic] == traffic
    assert status.canary_percent == canary
    assert sum(status.percents.values()) == 100


def test_latest_and_previous_are_read_from_the_traffic_list() -> None:
    status = RolloutStatus.of(one("06-tag", "isvc"))

    assert status.latest is not None and status.latest.tag == "latest"
    assert status.previous is not None and status.previous.url.startswith("http://prev-")
    assert status.tag_routing and status.requested_percent == 10 and status.ready.status == "True"


def test_a_status_names_who_wrote_its_spec_last() -> None:
    isvc = one("02-canary-10", "isvc")
    assert RolloutStatus.of(isvc).changed_by == "kubectl-client-side-apply"

    fields = {"f:spec": {"f:predictor": {"f:canaryTrafficPercent": {}}}}
    patched = {"manager": "kubectl-patch", "time": isvc["metadata"]["managedFields"][1]["time"], "fieldsV1": fields}
    isvc["metadata"]["managedFields"].insert(0, patched)
    assert RolloutStatus.of(isvc).changed_by == "kubectl-patch"

    del isvc["metadata"]["managedFields"]
    assert RolloutStatus.of(isvc).changed_by == ""


def test_two_rows_of_one_revision_add_up() -> None:
    status = RolloutStatus.of(one("broken-canary", "isvc"))

    assert list(status.percents.values()) == [100]


def test_pods_have_kubectls_status_words() -> None:
    assert [str(_row(pod)) for pod in recorded("06-tag", "pods")["items"]] == [
        "('00001', '2/2', 'Running')",
        "('00002', '2/2', 'Terminating')",
        "('00003', '2/2', 'Running')",
    ]
    assert _row(recorded("broken-canary", "pods")["items"][1]) == ("00002", "0/2", "Init:Error")


def test_a_new_pod_without_a_status_is_pending() -> None:
    pod = Pod.of({"metadata": {"name": "p"}, "spec": {"containers": [{}, {}]}})

    assert (pod.status, pod.ready, pod.containers, pod.is_ready) == ("Pending", 0, 2, False)


def test_an_object_without_a_status_serves_no_traffic() -> None:
    status = RolloutStatus.of({"metadata": {"name": "x"}, "spec": {}})

    assert (status.latest, status.canary_percent, status.ready.status) == (None, None, "Unknown")


def test_splits_add_up() -> None:
    total = Split({"a": 1, "b": 2}, failed=1) + Split({"b": 3}, unattributed=2)

    assert total == Split({"a": 1, "b": 5}, 1, 2)
    assert (total.sent, total.attributed) == (9, 6)


def _row(obj: dict[str, object]) -> tuple[str, str, str]:
    pod = Pod.of(obj)
    return short(pod.revision), f"{pod.ready}/{pod.containers}", pod.status
