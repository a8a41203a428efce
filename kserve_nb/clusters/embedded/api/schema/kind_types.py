"""Which fields every kind has, and of what type: the tables behind validation, decoding errors and OpenAPI.

`data/sdk_types.json` is generated from the installed SDKs (see generate_schemas.py); `data/own_types.json` holds what
they lack, Knative's kinds above all, and corrects them where a real KServe 0.20 differs (a null takes a field away,
`string=a|b` is a string that must be one of those).
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from kserve_nb.clusters.embedded import kinds
from kserve_nb.clusters.embedded.objects import Kind

SCALARS = frozenset(("string", "bool", "int", "int32", "int64", "number", "any", "time", "quantity", "intstr", "open"))
IDLE = "Idle"  # of kinds that can be listed, and no more

_ROOTS = {
    kinds.KNATIVE_SERVICE: "KnativeService", kinds.CONFIGURATION: "KnativeConfiguration",
    kinds.ROUTE: "KnativeRoute", kinds.REVISION: "KnativeRevision", kinds.POD_AUTOSCALER: "KnativePodAutoscaler",
    kinds.INGRESS: "KnativeIngress", kinds.SERVERLESS_SERVICE: "KnativeServerlessService",
    kinds.VIRTUAL_SERVICE: "IstioVirtualService",
    **{kind: IDLE for kind in kinds.IDLE_KINDS if kind.group != "serving.kserve.io"},
}


class Field(NamedTuple):
    """The type of a field, whether an object is invalid without it, and its values where only some are allowed."""

    type: str
    required: bool
    choices: tuple[str, ...] = ()


def type_of_kind(kind: Kind) -> str | None:
    """The name of the type that objects of a kind have, None for kinds that are never served."""
    if kind.internal:
        return None
    if kind == kinds.EVENT:
        return "CoreV1Event"
    return _ROOTS.get(kind) or kind.version.capitalize() + kind.kind


@cache
def fields_of(type_name: str) -> dict[str, Field]:
    """The fields of a composite type, by name."""
    declared = _types()[type_name]
    assert isinstance(declared, dict), f"{type_name} is another name of {declared}"
    return {name.rstrip("*"): _field(type_, required=name.endswith("*")) for name, type_ in declared.items()}


def resolve(type_: str) -> str:
    """The type itself where `type_` is another name of it."""
    prefix, name = _split(type_)
    target = _types().get(name)
    return prefix + (resolve(target) if isinstance(target, str) else name)


def go_name(type_name: str) -> str:
    """`V1beta1ModelSpec` → `ModelSpec`: the name of a type in Go, as decoding errors say it."""
    return re.sub(r"^(Core|Knative)?(V\d+((alpha|beta)\d+)?)?(?=[A-Z])", "", type_name)


def _field(declared: str, *, required: bool) -> Field:
    type_, _, choices = declared.partition("=")
    return Field(resolve(type_), required, tuple(choices.split("|")) if choices else ())


def _split(type_: str) -> tuple[str, str]:
    name = type_.lstrip("[]{}")
    return type_[: len(type_) - len(name)], name


@cache
def _types() -> dict[str, dict[str, str] | str]:
    data = files("kserve_nb.clusters.embedded.api") / "data"
    types: dict[str, dict[str, str] | str] = json.loads((data / "sdk_types.json").read_text())
    for name, own in json.loads((data / "own_types.json").read_text()).items():
        types[name] = own if isinstance(own, str) else _corrected(types.get(name), own)
    return types


def _corrected(declared: dict[str, str] | str | None, own: dict[str, str | None]) -> dict[str, str]:
    changed = {name.rstrip("*") for name in own}
    kept = {n: t for n, t in declared.items() if n.rstrip("*") not in changed} if isinstance(declared, dict) else {}
    return kept | {name: type_ for name, type_ in own.items() if type_ is not None}
