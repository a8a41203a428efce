"""Rules of the InferenceService CustomResourceDefinition about values: enumerations, patterns and bounds.

Source: kserve 0.20 config/crd/full/serving.kserve.io_inferenceservices.yaml.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from kserve_nb.clusters.embedded.api.admission.kserve.components import COMPONENTS
from kserve_nb.clusters.embedded.api.admission.review import Review
from kserve_nb.clusters.embedded.api.field_errors import Cause, invalid, invalid_value
from kserve_nb.clusters.embedded.apimachinery.objects import Object

_NAME, _PATH = "^[a-z]([-a-z0-9]*[a-z0-9])?$", "^/.*"
_LONGEST_PATH = 255


def check_schema(review: Review) -> None:
    """Refuse values that break a pattern or a bound of the schema. Raises StatusError 422."""
    causes = list(_causes(review.new["spec"]))
    if causes:
        raise invalid(review.kind, review.name, causes)


def _causes(spec: Object) -> Iterator[Cause]:
    for index, canary in enumerate(spec.get("canary") or []):
        at, percent = f"spec.canary[{index}]", canary.get("trafficPercent") or 0
        yield from _pattern(f"{at}.predictor.name", (canary.get("predictor") or {}).get("name"), _NAME)
        if percent > 100:
            yield _in_body(f"{at}.trafficPercent", percent, "should be less than or equal to 100")
        if percent < 0:
            yield _in_body(f"{at}.trafficPercent", percent, "should be greater than or equal to 0")
    yield from _pattern("spec.predictor.name", spec["predictor"].get("name"), _NAME)
    for component in COMPONENTS:
        uris = (spec.get(component) or {}).get("storageUris")
        if uris is not None:
            yield from _storage_causes(f"spec.{component}.storageUris", uris)


def _storage_causes(at: str, uris: list[Object]) -> Iterator[Cause]:
    if not uris:
        yield _in_body(at, 0, "should have at least 1 items")
    for index, uri in enumerate(uris):
        path = uri.get("mountPath", "")
        yield from _pattern(f"{at}[{index}].mountPath", path, _PATH)
        if len(path) > _LONGEST_PATH:
            yield Cause(f"{at}[{index}].mountPath", "FieldValueTooLong",
                        f"Too long: may not be more than {_LONGEST_PATH} bytes")
        if uri.get("uri") == "":
            yield _in_body(f"{at}[{index}].uri", "", "should be at least 1 chars long")


def _pattern(field: str, value: str | None, pattern: str) -> Iterator[Cause]:
    if value is not None and not re.search(pattern, value):
        yield _in_body(field, value, f"should match '{pattern}'")


def _in_body(field: str, value: object, text: str) -> Cause:
    return invalid_value(field, value, f"{field} in body {text}")
