"""A run of notebooks deletes what it created on a cluster that is kept, and nothing else."""

from __future__ import annotations

from kserve_nb.runner import deleting_created
from tests.fake_api import ISVC, FakeApi, one


def test_only_what_was_created_meanwhile_is_deleted(api: FakeApi) -> None:
    mine = one("02-canary-10", "isvc")
    api.put(f"{ISVC}/mine", mine | {"metadata": mine["metadata"] | {"name": "mine"}})

    with deleting_created(api.cluster(), print):
        api.put(f"{ISVC}/sklearn-iris", mine)

    assert [(verb, path) for verb, path, _ in api.writes] == [("DELETE", f"{ISVC}/sklearn-iris")]


def test_a_cluster_that_does_not_answer_afterwards_is_reported(api: FakeApi) -> None:
    told: list[str] = []

    with deleting_created(api.cluster(), told.append):
        api.close()

    assert "Cannot delete the InferenceServices that the notebooks created in kserve-test" in told[0]


def test_nothing_is_deleted_if_it_is_unknown_what_existed(api: FakeApi) -> None:
    told: list[str] = []
    api.close()

    with deleting_created(api.cluster(), told.append):
        pass

    assert (told, api.writes) == ([], [])
