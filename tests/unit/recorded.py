"""Objects that were recorded on a real cluster, and a comparison with objects of the embedded cluster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kserve_nb.clusters.embedded.apimachinery.kinds import KINDS
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object
from tests.unit.simulator import NS, Simulator

FOLDER = Path(__file__).parents[1] / "data" / "kserve"
OF_THIS_RUN = {  # identities and times: they differ in each run
    "uid", "resourceVersion", "creationTimestamp", "lastTransitionTime", "firstTimestamp", "lastTimestamp",
    "kubectl.kubernetes.io/last-applied-configuration", "serving.knative.dev/routingStateModified",
    "serving.knative.dev/serviceUID", "serving.knative.dev/configurationUID",
}
_KINDS = {(kind.api_version, kind.kind): kind for kind in KINDS}


def load(name: str) -> list[Object]:
    """The objects of one recorded moment, moved to the test's namespace."""
    found: list[Object] = json.loads((FOLDER / f"{name}.json").read_text())
    namespace = found[0]["metadata"]["namespace"]
    moved: list[Object] = json.loads(json.dumps(found).replace(namespace, NS))
    return moved


def kind_of(obj: Object) -> Kind:
    return _KINDS[obj["apiVersion"], obj["kind"]]


def masked(value: Any) -> Any:
    """The value without identities and times."""
    if isinstance(value, dict):
        return {key: masked(item) for key, item in value.items() if key not in OF_THIS_RUN}
    return [masked(item) for item in value] if isinstance(value, list) else value


def differences(name: str, simulator: Simulator, ignore: tuple[str, ...] = ()) -> list[str]:
    """The fields that differ from a recorded moment, one line for each."""
    words = []
    for real in load(name):
        kind, meta = kind_of(real), real["metadata"]
        here = simulator.store.find(kind, NS, meta["name"])
        words += [line for line in _compare(f"{kind.kind}/{meta['name']}", masked(real), masked(here))
                  if not any(part in line for part in ignore)]
    return words


def _compare(where: str, real: Any, here: Any) -> list[str]:
    if isinstance(real, dict) and isinstance(here, dict):
        return [line for key in sorted(real.keys() | here.keys())
                for line in _compare(f"{where}.{key}", real.get(key), here.get(key))]
    if isinstance(real, list) and isinstance(here, list) and len(real) == len(here):
        return [line for i, pair in enumerate(zip(real, here, strict=True))
                for line in _compare(f"{where}[{i}]", *pair)]
    return [] if real == here else [f"{where}: real {real!r}, here {here!r}"]
