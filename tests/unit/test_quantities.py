"""Quantities, durations, image names: the small notations that several parts of the embedded cluster read."""

from __future__ import annotations

from decimal import Decimal

import pytest

from kserve_nb.clusters.embedded.apimachinery import quantity
from kserve_nb.clusters.embedded.apimachinery.durations import parse_duration_s
from kserve_nb.clusters.embedded.container_images import pull_policy


@pytest.mark.parametrize(("text", "value"), [
    ("100m", "0.1"), ("1", "1"), (2, "2"), ("1.5", "1.5"), (".5", "0.5"), ("1Ki", "1024"), ("2Gi", str(2 * 2**30)),
    ("1k", "1000"), ("3e2", "300"), ("1E", "1e18"), ("5n", "5e-9"), ("-1", "-1"), ("1E3", "1000"),
])
def test_a_quantity_has_its_value(text: str | int, value: str) -> None:
    assert quantity.parse(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "one", "1 Gi", "1gi", True, None, "1e999999999999"])
def test_an_invalid_quantity_raises_and_is_stored_unchanged(text: object) -> None:
    with pytest.raises(ValueError):
        quantity.parse(text)

    assert quantity.canonical(text) == text


@pytest.mark.parametrize(("text", "seconds"), [
    ("60s", 60), ("1m30s", 90), ("500ms", 0.5), (".5s", 0.5), ("1.s", 1), ("-1s", -1), ("+2h", 7200), ("0", 0),
    ("-0", 0), ("1h1m1s1ms1us1ns", 3661.001001001), ("5µs", 5e-6),
])
def test_a_duration_is_read_as_go_reads_it(text: str, seconds: float) -> None:
    assert parse_duration_s(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", [None, "", "10", "s", "-", ".s", "1d", "1s ", "1 s", "--1s"])
def test_text_that_go_cannot_parse_is_no_duration(text: str | None) -> None:
    assert parse_duration_s(text) is None


@pytest.mark.parametrize(("image", "policy"), [
    ("kserve/sklearnserver:v0.20.0", "IfNotPresent"), ("kserve/sklearnserver", "Always"),
    ("kserve/sklearnserver:latest", "Always"), ("localhost:5000/model", "Always"), ("localhost:5000/model:1",
    "IfNotPresent"), (f"kserve/sklearnserver@sha256:{'0' * 64}", "IfNotPresent"),
    (f"kserve/sklearnserver:latest@sha256:{'0' * 64}", "IfNotPresent"),
])
def test_an_image_is_pulled_always_only_without_a_fixed_version(image: str, policy: str) -> None:
    assert pull_policy(image) == policy
