"""What Knative's webhook says to annotations of its autoscaler and of its gradual rollouts.

Source: knative serving 1.21 pkg/apis/autoscaling/annotation_validation.go, pkg/apis/serving/metadata_validation.go
`ValidateRolloutDurationAnnotation`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kserve_nb.clusters.embedded.durations import parse_duration_s
from kserve_nb.values.labels import HPA_CLASS, KPA_CLASS, ROLLOUT_DURATION

GROUP = "autoscaling.knative.dev"
_METRICS, _ALGORITHMS = ("concurrency", "rps"), ("linear", "weightedExponential", "weighted-exponential")
_MOST_SCALE, _LEAST_TARGET, _HOUR_S = 2**31 - 1, 0.01, 3600.0
_WHOLE_SECONDS = "must be specified with at most second precision"
_FLOATS = (("panic-window-percentage", 1, 100), ("panic-threshold-percentage", 110, 1000),
           ("target-utilization-percentage", 1, 100))
Problem = tuple[str, str]  # message, annotation


def scaling_problems(annotations: dict[str, str]) -> Iterator[Problem]:
    """What is wrong with a revision template's annotations (`ValidateAnnotations`)."""
    held = {key.removeprefix(f"{GROUP}/"): value for key, value in annotations.items() if key.startswith(f"{GROUP}/")}
    for message, name in (*_scale_problems(held), *_target_problems(held), *_time_problems(held), *_words(held)):
        yield message, f"{GROUP}/{name}"


def rollout_problems(annotations: dict[str, str]) -> Iterator[Problem]:
    """What is wrong with a Service's or Route's rollout-duration."""
    text = annotations.get(ROLLOUT_DURATION, "")
    duration_s = parse_duration_s(text)
    if text and duration_s is None:
        yield f"invalid value: {text}", ROLLOUT_DURATION
    elif duration_s is not None and duration_s != round(duration_s):
        yield f"rollout-duration={text} is not at second precision", ROLLOUT_DURATION
    elif duration_s is not None and duration_s < 0:
        yield f"rollout-duration={text} must be positive", ROLLOUT_DURATION


def out_of_bounds(least: Any, value: Any, most: Any) -> str:
    """`ErrOutOfBoundsValue`."""
    return f"expected {least} <= {value} <= {most}"


def _scale_problems(held: dict[str, str]) -> Iterator[Problem]:
    scales = {}
    for name in ("min-scale", "max-scale"):
        text = held.get(name, "0")
        scales[name] = number = _integer(text)
        if number is None:
            yield f"invalid value: {text}", name
        elif not 0 <= number <= _MOST_SCALE:
            yield out_of_bounds(0, text, _MOST_SCALE), name
    least, most = scales["min-scale"] or 0, scales["max-scale"] or 0
    if most and most < least:
        yield f"max-scale={most} is less than min-scale={least}", "max-scale"
        yield f"max-scale={most} is less than min-scale={least}", "min-scale"
    initial = held.get("initial-scale")
    if initial is not None:
        number = _integer(initial)
        if number is None or number <= 0:
            why = "" if number is None else "=0 not allowed by cluster" if number == 0 else " must be greater than 0"
            yield f"invalid value: {initial}", f"initial-scale{why}"


def _target_problems(held: dict[str, str]) -> Iterator[Problem]:
    for name, least, most in _FLOATS:
        if name in held:
            number = _number(held[name])
            if number is None:
                yield f"invalid value: {held[name]}", name
            elif not least <= number <= most:
                yield out_of_bounds(least, held[name], most), name
    target, burst = held.get("target"), held.get("target-burst-capacity")
    if target is not None and (number := _number(target)) is None:
        yield f"invalid value: {target}", "target"
    elif target is not None and number is not None and number < _LEAST_TARGET:
        yield f"target {target} should be at least {_LEAST_TARGET}", "target"
    if burst is not None and ((number := _number(burst)) is None or (number < 0 and number != -1)):
        yield f"invalid value: {burst}", "target-burst-capacity"


def _time_problems(held: dict[str, str]) -> Iterator[Problem]:
    for name, least_s, least, whole in (("window", 6, "6s", True), ("scale-down-delay", 0, "0s", True),
                                        ("scale-to-zero-pod-retention-period", 0, "0s", False)):
        if name in held:
            duration_s = parse_duration_s(held[name])
            if duration_s is None:
                yield f"invalid value: {held[name]}", name
            elif not least_s <= duration_s <= _HOUR_S:
                yield out_of_bounds(least, held[name], "1h0m0s"), name
            elif whole and duration_s != round(duration_s):
                yield _WHOLE_SECONDS, name


def _words(held: dict[str, str]) -> Iterator[Problem]:
    class_ = held.get("class", KPA_CLASS)
    if class_.endswith(".knative.dev") and class_ not in (KPA_CLASS, HPA_CLASS):
        yield f"invalid value: {class_}", "class"
    metric, algorithm = held.get("metric"), held.get("metric-aggregation-algorithm", "")
    known = metric in _METRICS if class_ == KPA_CLASS else metric or class_ != HPA_CLASS
    if metric is not None and not known:
        yield f"invalid value: {metric}", "metric"
    if class_ == KPA_CLASS and algorithm and algorithm not in _ALGORITHMS:
        yield f"invalid value: {algorithm}", "metric-aggregation-algorithm"


def _integer(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[+-]?\d+", text) else None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
