"""Complete texts, rendered from objects of a real cluster."""

from __future__ import annotations

from kserve_nb.values.cluster import Cluster
from kserve_nb.values.manifest import MODEL, diff, inference_service
from kserve_nb.values.pods import Pod
from kserve_nb.values.rollout_status import RolloutStatus
from kserve_nb.values.split import Split
from kserve_nb.values.text import render
from tests.fake_api import DATA, one, recorded


def pods(step: str) -> list[Pod]:
    return [Pod.of(item) for item in recorded(step, "pods")["items"]]


def test_status_line() -> None:
    assert render.status_line(RolloutStatus.of(one("01-create", "isvc"))) == (
        "sklearn-iris: LATEST 100 % → 00001 · READY True")
    assert render.status_line(RolloutStatus.of(one("05-rollback", "isvc"))) == (
        "sklearn-iris: PREV 100 % → 00001 · LATEST 0 % → 00002 · READY True")


def test_status_table() -> None:
    assert render.text(render.status_table(RolloutStatus.of(one("06-tag", "isvc")))) == """\
TARGET   REVISION   PERCENT   OWN URL
LATEST   00003      10 %      http://latest-sklearn-iris-predictor.kserve-test.example.com
PREV     00001      90 %      http://prev-sklearn-iris-predictor.kserve-test.example.com"""


def test_pod_table_holds_nothing_that_differs_from_run_to_run() -> None:
    assert render.text(render.pod_table(pods("06-tag"))) == """\
REVISION   READY   STATUS        RESTARTS
00001      2/2     Running       0
00002      2/2     Terminating   0
00003      2/2     Running       0"""


def test_change_table() -> None:
    changes = diff(inference_service("x", MODEL), inference_service("x", MODEL, percent=10))

    assert render.text(render.change_table(changes)) == """\
FIELD                                 IS   WILL BE   CAUSES
spec.predictor.canaryTrafficPercent   –    10        only traffic: LATEST gets 10 %, PREV the other 90 %"""


def test_html_is_escaped() -> None:
    table = (["A"],), [["<b>"]]

    assert "&lt;b&gt;" in render.html(table) and "<b>" not in render.html(table)


def test_split_and_cluster_lines() -> None:
    cluster = Cluster(DATA, "127.0.0.1:8080", kind="embedded", speed=10)

    assert render.split_line(Split({"x-00002": 9, "x-00001": 90}, failed=1)) == (
        "100 requests: 00001 90 · 00002 9 · failed 1")
    assert render.cluster_line(cluster) == (
        "embedded cluster default · namespace kserve-test · gateway 127.0.0.1:8080 · "
        "waiting periods 10 times shorter")
