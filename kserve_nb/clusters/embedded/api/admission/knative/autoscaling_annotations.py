"""Knative's rules for the annotations of a revision's autoscaler.

Source: knative serving 1.21 pkg/apis/autoscaling/{annotation_validation,register}.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from kserve_nb.clusters.embedded.api.admission.knative.field_problems import Problem, invalid_value, out_of_bounds
from kserve_nb.clusters.embedded.api.admission.knative.knative_config import AutoscalerConfig
from kserve_nb.clusters.embedded.apimachinery.durations import parse_duration_s
from kserve_nb.values.labels import HPA_CLASS, KPA_CLASS

GROUP = "autoscaling.knative.dev"
_METRICS, _ALGORITHMS = ("concurrency", "rps"), ("linear", "weightedExponential", "weighted-exponential")
_LARGEST_SCALE, _SMALLEST_TARGET, _HOUR_S = 2**31 - 1, 0.01, 3600.0
_FLOATS = (("panic-window-percentage", 1, 100), ("panic-threshold-percentage", 110, 1000),
           ("target-utilization-percentage", 1, 100))
_TIMES = (("window", 6, "6s", True), ("scale-down-delay", 0, "0s", True),
          ("scale-to-zero-pod-retention-period", 0, "0s", False))
_WITHOUT_OLD_SPELLING = ("class", "metric", "target", "window", "activation-scale")


class _Annotations:
    """The autoscaling annotations, which have an old spelling as well: `minScale` for `min-scale`."""

    def __init__(self, annotations: Mapping[str, str]):
        self._annotations = annotations

    def key(self, name: str) -> str:
        """The key that is set, by default the new spelling."""
        new, old = f"{GROUP}/{name}", f"{GROUP}/{_camel_case(name)}"
        return old if name not in _WITHOUT_OLD_SPELLING and new not in self._annotations and (
            old in self._annotations) else new

    def get(self, name: str) -> str | None:
        return self._annotations.get(self.key(name))


def scaling_problems(annotations: Mapping[str, str], config: AutoscalerConfig) -> Iterator[Problem]:
    """The problems of autoscaling annotations (`ValidateAnnotations`)."""
    held = _Annotations(annotations)
    yield from _class_problems(held, config)
    yield from _scale_problems(held, config)
    yield from _target_problems(held)
    yield from _time_problems(held)
    yield from _initial_scale_problems(held, config)


def _class_problems(held: _Annotations, config: AutoscalerConfig) -> Iterator[Problem]:
    class_, metric, algorithm = held.get("class"), held.get("metric"), held.get("metric-aggregation-algorithm")
    if class_ is not None and class_.endswith("knative.dev") and class_ not in (KPA_CLASS, HPA_CLASS):
        yield invalid_value(class_, held.key("class"))
    effective = config.class_ if class_ is None else class_
    if metric is not None and ((effective == KPA_CLASS and metric not in _METRICS)
                               or (effective == HPA_CLASS and not metric)):
        yield invalid_value(metric, held.key("metric"))
    if class_ == KPA_CLASS and algorithm and algorithm not in _ALGORITHMS:
        yield invalid_value(algorithm, held.key("metric-aggregation-algorithm"))


def _scale_problems(held: _Annotations, config: AutoscalerConfig) -> Iterator[Problem]:
    scales = {}
    for name in ("min-scale", "max-scale"):
        given = held.get(name)
        text = "0" if given is None else given
        number = _integer(text)
        in_range = number is not None and 0 <= number <= _LARGEST_SCALE
        scales[name] = number if number is not None and in_range else 0
        if number is None:
            yield invalid_value(text, held.key(name))
        elif not in_range:
            yield out_of_bounds(text, 0, _LARGEST_SCALE, held.key(name))
    least, most = scales["min-scale"], scales["max-scale"]
    if most and most < least:
        for name in ("max-scale", "min-scale"):
            yield Problem(f"max-scale={most} is less than min-scale={least}", f"{GROUP}/{name}")
    if held.get("max-scale") is not None:
        yield from _limit_problems(held.key("max-scale"), most, config.max_scale_limit)
    yield from _activation_problems(held, least, most)


def _limit_problems(key: str, most: int, limit: int) -> Iterator[Problem]:
    if limit and most > limit:
        yield out_of_bounds(most, 1, limit, key)
    if limit and not most:
        yield Problem(f"max-scale=0 (unlimited), must be less than {limit}", key)


def _activation_problems(held: _Annotations, least: int, most: int) -> Iterator[Problem]:
    text, key = held.get("activation-scale"), held.key("activation-scale")
    if text is None:
        return
    scale = _integer(text)
    if scale is None or not -_LARGEST_SCALE <= scale <= _LARGEST_SCALE:
        yield invalid_value(text, key)
    elif least > scale:
        yield Problem(f"min-scale={least} is greater than activation-scale={scale}", key)
    elif most and most < scale:
        yield Problem(f"max-scale={most} is less than activation-scale={scale}", key)
    elif scale < 2:
        yield Problem(f"activation-scale={scale} must be greater than 1", key)


def _target_problems(held: _Annotations) -> Iterator[Problem]:
    for name, lowest, highest in _FLOATS:
        text = held.get(name)
        if text is not None:
            number = _number(text)
            if number is None:
                yield invalid_value(text, held.key(name))
            elif not lowest <= number <= highest:
                yield out_of_bounds(text, lowest, highest, held.key(name))
    target, burst = held.get("target"), held.get("target-burst-capacity")
    if target is not None and (number := _number(target)) is None:
        yield invalid_value(target, held.key("target"))
    elif target is not None and number is not None and number < _SMALLEST_TARGET:
        yield Problem(f"target {target} should be at least {_SMALLEST_TARGET}", held.key("target"))
    if burst is not None and ((number := _number(burst)) is None or (number < 0 and number != -1)):
        yield invalid_value(burst, held.key("target-burst-capacity"))


def _time_problems(held: _Annotations) -> Iterator[Problem]:
    for name, lowest_s, lowest, whole_seconds in _TIMES:
        text, key = held.get(name), held.key(name)
        if text is not None:
            duration_s = parse_duration_s(text)
            if duration_s is None:
                yield invalid_value(text, key)
            elif not lowest_s <= duration_s <= _HOUR_S:
                yield out_of_bounds(text, lowest, "1h0m0s", key)
            elif whole_seconds and duration_s != round(duration_s):
                yield Problem("must be specified with at most second precision", key)


def _initial_scale_problems(held: _Annotations, config: AutoscalerConfig) -> Iterator[Problem]:
    text, key = held.get("initial-scale"), held.key("initial-scale")
    if text is None:
        return
    scale = _integer(text)
    if scale is None:
        yield invalid_value(text, key)
    elif scale < 0:
        yield invalid_value(text, f"{key} must be greater than 0")
    elif scale == 0 and not config.allows_zero_initial_scale:
        yield invalid_value(text, f"{key}=0 not allowed by cluster")


def _camel_case(name: str) -> str:
    first, *rest = name.split("-")
    return first + "".join(word.capitalize() for word in rest)


def _integer(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[+-]?\d{1,18}", text) else None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
