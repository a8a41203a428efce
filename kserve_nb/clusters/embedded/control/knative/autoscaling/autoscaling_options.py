"""The autoscaling options of a revision: its annotations, or the ConfigMap config-autoscaler, or Knative's defaults.

Source: knative serving pkg/apis/autoscaling/register.go (both spellings of the annotations),
pkg/autoscaler/config/config.go, pkg/apis/autoscaling/v1alpha1/pa_lifecycle.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kserve_nb.clusters.embedded.apimachinery.durations import parse_duration_s
from kserve_nb.clusters.embedded.apimachinery.kinds import CONFIG_MAP
from kserve_nb.clusters.embedded.apimachinery.objects import Object, Objects
from kserve_nb.values.labels import AUTOSCALING

CONFIG_NAMESPACE, CONFIG_NAME = "knative-serving", "config-autoscaler"


@dataclass(frozen=True)
class Options:
    """The options of one revision, read from two maps of texts."""

    annotations: Mapping[str, str]
    config: Mapping[str, str]

    @classmethod
    def of(cls, obj: Object, objects: Objects) -> Options:
        """The options of a Revision or PodAutoscaler."""
        config = objects.find(CONFIG_MAP, CONFIG_NAMESPACE, CONFIG_NAME) or {}
        return cls(obj["metadata"].get("annotations") or {}, config.get("data") or {})

    def annotation(self, name: str) -> str | None:
        """An annotation in its new spelling (`min-scale`) or its old one (`minScale`)."""
        first, *rest = name.split("-")
        old = first + "".join(word.capitalize() for word in rest)
        return self.annotations.get(f"{AUTOSCALING}{name}", self.annotations.get(f"{AUTOSCALING}{old}"))

    def number(self, name: str, key: str, default: float) -> float:
        """A number from the annotation `name`, or from the key of the ConfigMap."""
        found = (_number(self.annotation(name)) if name else None, _number(self.config.get(key)))
        return next((number for number in found if number is not None), default)

    def integer(self, name: str, key: str, default: int) -> int:
        """A whole number from the annotation `name`, or from the key of the ConfigMap."""
        return int(self.number(name, key, default))

    def seconds(self, name: str, key: str, default_s: float) -> float:
        """A duration from the annotation `name`, or from the key of the ConfigMap."""
        texts = (self.annotation(name) if name else None, self.config.get(key))
        found = (parse_duration_s(text) for text in texts)
        return next((duration_s for duration_s in found if duration_s is not None), default_s)

    @property
    def initial_scale(self) -> int:
        """The number of pods with which a revision starts."""
        return self.integer("initial-scale", "initial-scale", 1) or 1

    @property
    def scales_to_zero(self) -> bool:
        """Whether revisions without requests lose their last pod."""
        return self.config.get("enable-scale-to-zero", "true").lower() not in ("false", "f", "0")


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
