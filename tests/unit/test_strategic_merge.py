"""Strategic merge patches, as kubectl and KServe send them."""

from __future__ import annotations

from typing import Any

import pytest

from kserve_nb.clusters.embedded.apimachinery.strategic_merge import merge


def env(*names: str, **values: str) -> list[dict[str, str]]:
    return [{"name": name, "value": values.get(name, name)} for name in names]


def names(items: list[dict[str, Any]]) -> str:
    return " ".join(item["name"] for item in items)


@pytest.mark.parametrize(("before", "patch", "after"), [
    ("a b", "c", "c a b"),  # items that only the patch has come first
    ("a b", "b", "a b"),
    ("a b", "b c", "a b c"),
    ("a b", "b a", "b a"),
    ("a b c", "c a", "b c a"),
    ("", "b a", "b a"),
])
def test_items_are_merged_in_the_order_of_kubernetes(before: str, patch: str, after: str) -> None:
    merged = merge({"env": env(*before.split())}, {"env": env(*patch.split())})

    assert names(merged["env"]) == after


def test_items_are_merged_by_their_key() -> None:
    current = {"containers": [{"name": "a", "image": "one", "ports": [{"containerPort": 1, "name": "x"}]}]}

    merged = merge(current, {"containers": [{"name": "a", "ports": [{"containerPort": 1, "protocol": "TCP"}]}]})

    assert merged == {"containers": [
        {"name": "a", "image": "one", "ports": [{"containerPort": 1, "name": "x", "protocol": "TCP"}]}]}
    assert current["containers"][0]["ports"] == [{"containerPort": 1, "name": "x"}]


def test_an_item_can_be_deleted_and_a_list_replaced() -> None:
    current = {"env": env("a", "b")}

    assert names(merge(current, {"env": [{"name": "a", "$patch": "delete"}]})["env"]) == "b"
    assert names(merge(current, {"env": [*env("c"), {"$patch": "replace"}]})["env"]) == "c"


def test_a_list_without_a_key_is_replaced() -> None:
    assert merge({"args": ["a", "b"]}, {"args": ["c"]}) == {"args": ["c"]}


def test_values_are_taken_out_of_a_list_of_values() -> None:
    current = {"finalizers": ["keep", "drop"]}

    assert merge(current, {"$deleteFromPrimitiveList/finalizers": ["drop"]}) == {"finalizers": ["keep"]}


def test_values_are_added_to_a_list_of_values_once() -> None:
    assert merge({"finalizers": ["a"]}, {"finalizers": ["a", "b"]}) == {"finalizers": ["a", "b"]}


def test_the_order_of_a_list_is_that_of_the_directive() -> None:
    current = {"containers": [{"name": "injected"}, {"name": "app"}, {"name": "other"}]}
    order = {"$setElementOrder/containers": [{"name": "other"}, {"name": "app"}]}

    assert names(merge(current, order)["containers"]) == "injected other app"
    added = merge(current, order | {"containers": [{"name": "app", "image": "new"}]})
    assert names(added["containers"]) == "injected other app"


def test_null_removes_a_field_and_retained_keys_remove_the_rest() -> None:
    assert merge({"a": 1, "b": 2}, {"a": None}) == {"b": 2}
    assert merge({"type": "Recreate", "rollingUpdate": {}}, {"type": "X", "$retainKeys": ["type"]}) == {"type": "X"}


@pytest.mark.parametrize(("patch", "words"), [
    ({"$patch": "mend"}, "Unknown patch type: mend"),
    ({"env": [{"value": "a"}]}, "does not contain declared merge key: name"),
])
def test_an_invalid_patch_is_refused(patch: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        merge({}, patch)
