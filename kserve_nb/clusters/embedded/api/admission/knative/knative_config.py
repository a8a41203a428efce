"""The ConfigMaps in namespace knative-serving that Knative's webhooks read, and their own validation.

Source: knative serving 1.21 pkg/apis/config/{features,defaults}.go, pkg/autoscaler/config/config.go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kserve_nb.clusters.embedded.api.admission.review import Review, denied
from kserve_nb.clusters.embedded.apimachinery import quantity
from kserve_nb.clusters.embedded.apimachinery.durations import parse_duration_s
from kserve_nb.clusters.embedded.apimachinery.kinds import CONFIG_MAP
from kserve_nb.clusters.embedded.apimachinery.objects import Objects
from kserve_nb.values.labels import KPA_CLASS

NAMESPACE, WEBHOOK = "knative-serving", "config.webhook.serving.knative.dev"
_FEATURES, _DEFAULTS, _AUTOSCALER = "config-features", "config-defaults", "config-autoscaler"
_ENABLED_BY_DEFAULT = {"multi-container": "enabled", "kubernetes.podspec-volumes-emptydir": "enabled"}
_INTEGERS = {"revision-timeout-seconds": 300, "max-revision-timeout-seconds": 600, "revision-idle-timeout-seconds": 0,
             "container-concurrency": 0, "container-concurrency-max-limit": 1000}
_RESPONSE_START = "revision-response-start-timeout-seconds"
_RESOURCES = ("cpu", "memory", "ephemeral-storage")

Data = Mapping[str, str]


class Features:
    """The feature flags of config-features: each is enabled, allowed or disabled."""

    def __init__(self, data: Data):
        self._flags = _ENABLED_BY_DEFAULT | {
            name: value.lower() for name, value in data.items()
            if value.lower() in ("enabled", "allowed", "disabled", "allowrootbounded")}

    def enabled(self, name: str) -> bool:
        return self._flags.get(name) == "enabled"

    def allowed(self, name: str) -> bool:
        """Whether the flag is anything but disabled."""
        return self._flags.get(name, "disabled") != "disabled"

    def secure_defaults(self) -> bool:
        """Whether pods get the settings of the `restricted` profile (`secure-pod-defaults`)."""
        return self._flags.get("secure-pod-defaults") in ("enabled", "allowrootbounded")


@dataclass(frozen=True)
class Defaults:
    """The settings of config-defaults."""

    timeout_s: int
    longest_timeout_s: int
    response_start_timeout_s: int
    idle_timeout_s: int
    concurrency: int
    most_concurrency: int
    allows_unlimited_concurrency: bool
    service_links: bool | None
    user_container_name: str
    init_container_name: str
    requests: dict[str, str]
    limits: dict[str, str]


@dataclass(frozen=True)
class AutoscalerConfig:
    """The settings of config-autoscaler that annotations are checked against."""

    class_: str
    allows_zero_initial_scale: bool
    max_scale_limit: int


def features(objects: Objects) -> Features:
    """The cluster's feature flags."""
    return Features(_data(objects, _FEATURES))


def defaults(objects: Objects) -> Defaults:
    """The cluster's defaults for revisions."""
    return _parse_defaults(_data(objects, _DEFAULTS))


def autoscaler(objects: Objects) -> AutoscalerConfig:
    """The cluster's limits for autoscaling annotations."""
    return _parse_autoscaler(_data(objects, _AUTOSCALER))


def validate(review: Review) -> None:
    """Refuse a ConfigMap of Knative with values that its webhooks cannot read. Raises StatusError 400."""
    meta = review.new["metadata"]
    parse = _PARSERS.get(meta["name"]) if meta.get("namespace") == NAMESPACE else None
    if parse is None:
        return
    try:
        parse(review.new.get("data") or {})
    except ValueError as error:
        raise denied(WEBHOOK, f"validation failed: {error}", code=400, reason="BadRequest") from None


def _data(objects: Objects, name: str) -> Data:
    found: Data = (objects.find(CONFIG_MAP, NAMESPACE, name) or {}).get("data") or {}
    return found


def _parse_defaults(data: Data) -> Defaults:
    numbers = {name: _integer(data, name, default) for name, default in _INTEGERS.items()}
    for name in (f"revision-{resource}-{kind}" for kind in ("request", "limit") for resource in _RESOURCES):
        _check_quantity(data, name)
    timeout_s, longest_s = numbers["revision-timeout-seconds"], numbers["max-revision-timeout-seconds"]
    start_s, idle_s = _integer(data, _RESPONSE_START, timeout_s), numbers["revision-idle-timeout-seconds"]
    concurrency, most = numbers["container-concurrency"], numbers["container-concurrency-max-limit"]
    if timeout_s > longest_s:
        raise ValueError(f"revision-timeout-seconds ({timeout_s}) cannot be greater than max-revision-timeout-seconds "
                         f"({longest_s})")
    for name, value in ((_RESPONSE_START, start_s), ("revision-idle-timeout-seconds", idle_s)):
        if value > 0 and value > timeout_s:
            raise ValueError(f"{name} ({value}) cannot be greater than revision-timeout-seconds ({timeout_s})")
    if most < 1:
        raise ValueError(f"expected 1 <= {most} <= 2147483647: container-concurrency-max-limit")
    if not 0 <= concurrency <= most:
        raise ValueError(f"expected 0 <= {concurrency} <= {most}: container-concurrency")
    links = {"true": True, "false": False}.get(data.get("enable-service-links", "false").lower())
    return Defaults(
        timeout_s, longest_s, start_s, idle_s, concurrency, most,
        _boolean(data, "allow-container-concurrency-zero", True), links,
        data.get("container-name-template", "user-container"),
        data.get("init-container-name-template", "init-container"),
        _resources(data, "request"), _resources(data, "limit"))


def _parse_autoscaler(data: Data) -> AutoscalerConfig:
    try:
        allows_zero = _boolean(data, "allow-zero-initial-scale", False)
        _boolean(data, "enable-scale-to-zero", True)
        floats = {name: _number(data, name, default) for name, default in _AUTOSCALER_FLOATS.items()}
        scales = {name: _integer(data, name, default) for name, default in _AUTOSCALER_INTEGERS.items()}
        times_s = {name: _duration_s(data, name, default_s) for name, default_s in _AUTOSCALER_TIMES_S.items()}
    except ValueError as error:
        raise ValueError(f"failed to parse data: {error}") from None
    for problem in (*_time_problems(data, times_s), *_rate_problems(floats), *_scale_problems(scales, allows_zero)):
        raise ValueError(problem)
    return AutoscalerConfig(data.get("pod-autoscaler-class", KPA_CLASS), allows_zero, scales["max-scale-limit"])


_AUTOSCALER_FLOATS = {
    "max-scale-up-rate": 1000.0, "max-scale-down-rate": 2.0, "container-concurrency-target-percentage": 70.0,
    "container-concurrency-target-default": 100.0, "requests-per-second-target-default": 200.0,
    "target-burst-capacity": 211.0, "panic-window-percentage": 10.0, "activator-capacity": 100.0,
    "panic-threshold-percentage": 200.0}
_AUTOSCALER_INTEGERS = {"initial-scale": 1, "min-scale": 0, "max-scale": 0, "max-scale-limit": 0}
_AUTOSCALER_TIMES_S = {"stable-window": 60.0, "scale-down-delay": 0.0, "scale-to-zero-grace-period": 30.0,
                       "scale-to-zero-pod-retention-period": 0.0}


def _time_problems(data: Data, times_s: Mapping[str, float]) -> Iterator[str]:
    window_s, delay_s = times_s["stable-window"], times_s["scale-down-delay"]
    if times_s["scale-to-zero-grace-period"] <= 0:
        yield f"scale-to-zero-grace-period must be positive, was: {data['scale-to-zero-grace-period']}"
    if delay_s < 0:
        yield f"scale-down-delay cannot be negative, was: {data['scale-down-delay']}"
    if delay_s != round(delay_s):
        yield f"scale-down-delay = {data['scale-down-delay']}, must be specified with at most second precision"
    if times_s["scale-to-zero-pod-retention-period"] < 0:
        retention = data["scale-to-zero-pod-retention-period"]
        yield f"scale-to-zero-pod-retention-period cannot be negative, was: {retention}"
    if not 6 <= window_s <= 3600:
        yield f"stable-window = {data['stable-window']}, must be in [6s; 1h0m0s] range"
    if window_s != round(window_s):
        yield f"stable-window = {data['stable-window']}, must be specified with at most second precision"


def _rate_problems(floats: Mapping[str, float]) -> Iterator[str]:
    burst, percentage = floats["target-burst-capacity"], floats["container-concurrency-target-percentage"]
    if burst < 0 and burst != -1:
        yield f"target-burst-capacity must be either non-negative or -1 (for unlimited), was: {burst:f}"
    fraction = percentage / 100 if percentage > 1 else percentage
    if not 0 < fraction <= 1:
        yield f"container-concurrency-target-percentage = {fraction:f} is outside of valid range of (0, 100]"
    target = fraction * floats["container-concurrency-target-default"]
    if target < 0.01:
        yield ("container-concurrency-target-percentage and container-concurrency-target-default yield target "
               f"concurrency of {target:g}, can't be less than 0.01")
    if floats["requests-per-second-target-default"] < 0.01:
        rps = floats["requests-per-second-target-default"]
        yield f"requests-per-second-target-default must be at least 0.01, was: {rps:g}"
    if floats["activator-capacity"] < 1:
        yield f"activator-capacity = {floats['activator-capacity']:g}, must be at least 1"
    for name in ("max-scale-up-rate", "max-scale-down-rate"):
        if floats[name] <= 1:
            yield f"{name} = {floats[name]:g}, must be greater than 1.0"
    if not 1 <= floats["panic-window-percentage"] <= 100:
        yield f"panic-window-percentage = {floats['panic-window-percentage']:g}, must be in [1, 100] interval"


def _scale_problems(scales: Mapping[str, int], allows_zero: bool) -> Iterator[str]:
    initial, least, most, limit = (scales[name] for name in _AUTOSCALER_INTEGERS)
    if initial < 0 or (initial == 0 and not allows_zero):
        yield (f"initial-scale = {initial}, must be at least 0 (or at least 1 when allow-zero-initial-scale is false)")
    if least < 0:
        yield f"min-scale = {least}, must be at least 0"
    lowest = 1 if limit > 0 else 0
    if most < lowest or most > limit > 0:
        yield f"max-scale = {most}, must be in [{lowest}, max-scale-limit({limit})] range"
    if limit < 0:
        yield f"max-scale-limit = {limit}, must be at least 0"
    if least > most > 0:
        yield f"min-scale ({least}) must be less than max-scale ({most})"


_PARSERS: dict[str, Callable[[Data], Any]] = {
    _FEATURES: Features, _DEFAULTS: _parse_defaults, _AUTOSCALER: _parse_autoscaler}


def _integer(data: Data, name: str, default: int) -> int:
    text = data.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[+-]?\d{1,18}", text):
        raise ValueError(f'failed to parse "{name}": strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)


def _number(data: Data, name: str, default: float) -> float:
    try:
        return float(data.get(name, default))
    except ValueError:
        raise ValueError(
            f'failed to parse "{name}": strconv.ParseFloat: parsing "{data[name]}": invalid syntax') from None


def _boolean(data: Data, name: str, default: bool) -> bool:
    text = data.get(name)
    if text is None:
        return default
    known = {"1": True, "t": True, "T": True, "true": True, "TRUE": True, "True": True,
             "0": False, "f": False, "F": False, "false": False, "FALSE": False, "False": False}
    if text not in known:
        raise ValueError(f'failed to parse "{name}": strconv.ParseBool: parsing "{text}": invalid syntax')
    return known[text]


def _duration_s(data: Data, name: str, default_s: float) -> float:
    if name not in data:
        return default_s
    parsed = parse_duration_s(data[name])
    if parsed is None:
        raise ValueError(f'failed to parse "{name}": time: invalid duration "{data[name]}"')
    return parsed


def _check_quantity(data: Data, name: str) -> None:
    try:
        quantity.parse(data.get(name, "0"))
    except ValueError:
        raise ValueError(f'failed to parse "{name}": quantities must match the regular expression '
                         r"'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'") from None


def _resources(data: Data, kind: str) -> dict[str, str]:
    return {resource: data[f"revision-{resource}-{kind}"] for resource in _RESOURCES
            if f"revision-{resource}-{kind}" in data}
