"""Tests of the differences between two documents, and of the consequence of each."""

from __future__ import annotations

from kserve_nb.rollout.rollout import Rollout
from kserve_nb.values import manifest
from kserve_nb.widgets import yaml_diff
from kserve_nb.widgets.yaml_diff import YamlDiff
from tests.fake_api import FakeApi
from tests.widgets.page import press, text_of
from tests.widgets.replay import at
from tests.widgets.seen import until


def document(percent: int | None, model: str = manifest.MODEL_2, *, old: bool = False) -> str:
    made = manifest.inference_service("sklearn-iris", model, percent=percent, old_schema=old)
    if not old:  # the recorded object
        amounts = {"limits": {"cpu": "1", "memory": "512Mi"}, "requests": {"cpu": "100m", "memory": "256Mi"}}
        made["spec"]["predictor"]["model"]["resources"] = amounts
    return manifest.to_yaml(made)


def test_a_percent_makes_no_revision() -> None:
    said = yaml_diff.text(at(50), document(25))

    assert said == (
        "sklearn-iris: makes no new revision\n"
        "\n"
        "⋯\n"
        " spec:\n"
        "   predictor:\n"
        "-    canaryTrafficPercent: 10\n"
        "+    canaryTrafficPercent: 25\n"
        "     model:\n"
        "       modelFormat:\n"
        "\n"
        "FIELD                                 IS   WILL BE   CAUSES\n"
        "spec.predictor.canaryTrafficPercent   10   25        "
        "only traffic: LATEST gets 25 %, PREV the other 75 %"
    )


def test_another_model_makes_one() -> None:
    assert "makes a new revision" in yaml_diff.text(at(50), document(10, manifest.MODEL))
    assert "a new revision with this model" in yaml_diff.text(at(50), document(10, manifest.MODEL))


def test_the_same_document_changes_nothing() -> None:
    assert yaml_diff.text(at(50), document(10)) == "sklearn-iris: no change"
    assert "   predictor:" in yaml_diff.text(at(50), document(10), whole=True)


def test_where_there_is_none_yet_it_is_created() -> None:
    said = yaml_diff.text(at(0), document(None))

    assert said.startswith("sklearn-iris: does not exist yet: applying the document creates it")


def test_lines_have_a_sign_beside_their_colour() -> None:
    drawn = yaml_diff.html(at(50), document(25))

    assert ">-    canaryTrafficPercent: 10<" in drawn and ">+    canaryTrafficPercent: 25<" in drawn


def test_side_by_side_a_new_line_stands_beside_the_one_it_takes_the_place_of() -> None:
    found = yaml_diff.compare(at(50).document, document(25))

    assert ("-    canaryTrafficPercent: 10", "+    canaryTrafficPercent: 25") in found.pairs()
    assert [left for left, _ in found.pairs(whole=True) if left.startswith(" ")] == [
        right for _, right in found.pairs(whole=True) if right.startswith(" ")]
    assert "knb-columns" in yaml_diff.html(at(50), document(25), beside=True)


def test_a_column_is_empty_where_the_other_one_has_more_lines() -> None:
    found = yaml_diff.compare(at(50).document, document(None))

    assert ("-    canaryTrafficPercent: 10", "") in found.pairs()


def test_a_dry_run_writes_nothing_and_shows_the_clusters_answer(api: FakeApi, rollout: Rollout) -> None:
    api.load("02-canary-10")
    shown = YamlDiff(rollout, document(25))
    until(shown, lambda snapshot: snapshot.state == "live")

    press(shown, "Dry run")
    assert "✔ the cluster accepts the document; nothing was written" in text_of(shown)

    api.turned_down = "admission webhook denied <it>"
    assert shown.dry_run() == "✖ the cluster rejects the document: admission webhook denied <it>"
    assert "denied <it>" in text_of(shown) and shown.text.endswith("denied <it>")
    assert api.writes == []
    shown.document = document(30)
    assert shown.tried == ""
    shown.close()


def test_the_same_as_a_command_is_there_to_be_copied() -> None:
    assert "kubectl apply -n kserve-test -f - &lt;&lt;&#x27;EOF&#x27;" in yaml_diff.html(at(50), document(25))


def test_text_that_is_no_document_is_reported_in_the_view(api: FakeApi, rollout: Rollout) -> None:
    api.load("02-canary-10")
    shown = YamlDiff(rollout, document(25))
    until(shown, lambda snapshot: snapshot.state == "live")
    assert "25" in shown.text

    shown.document = "not: [closed"

    assert "✖ Cannot draw this: ParserError" in text_of(shown)
    shown.document = document(10)
    assert "no change" in text_of(shown)
    shown.close()
