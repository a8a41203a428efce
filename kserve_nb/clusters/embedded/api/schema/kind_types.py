"""The fields of every kind's objects and their types: the tables behind validation, decoding errors and OpenAPI.

`data/sdk_types.json` is generated from the installed SDKs (see generate_schemas.py). `data/own_types.json` adds what
they lack, Knative's kinds above all, and corrects them where KServe 0.20 differs. There, null removes a field,
`string=a|b` is a string with those two allowed values, and an OpenAPI schema limits a field further:
`{"type": "int64", "minimum": 0}`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from kserve_nb.clusters.embedded.apimachinery.objects import Kind

SCALARS = frozenset(("string", "bool", "int", "int32", "int64", "number", "any", "time", "quantity", "intstr", "open"))
OPEN_OBJECT = "OpenObject"  # metadata of a known type; any spec and status


class Field(NamedTuple):
    """A field's type, whether its object is invalid without it, and what its OpenAPI schema adds to the type."""

    type: str
    required: bool
    limits: Mapping[str, Any]


def type_of_kind(kind: Kind) -> str:
    """The name of the type of a kind's objects."""
    return kind.type_name if kind.type_name in _types() else OPEN_OBJECT


@cache
def fields_of(type_name: str) -> dict[str, Field]:
    """The fields of a composite type, by name."""
    declared = _types()[type_name]
    assert isinstance(declared, dict), f"{type_name} is another name of {declared}"
    return {name.rstrip("*"): _field(type_, required=name.endswith("*")) for name, type_ in declared.items()}


def resolve(type_: str) -> str:
    """The type itself if `type_` is another name of it."""
    prefix, name = _split(type_)
    target = _types().get(name)
    return prefix + (resolve(target) if isinstance(target, str) else name)


@cache
def go_name(type_name: str) -> str:
    """The name of a type in Go, as decoding errors print it: `V1beta1ModelSpec` → `ModelSpec`."""
    return re.sub(r"^(Core|Knative)?(V\d+((alpha|beta)\d+)?)?(?=[A-Z])", "", type_name)


def _field(declared: str | Mapping[str, Any], *, required: bool) -> Field:
    if not isinstance(declared, str):
        limits = {key: value for key, value in declared.items() if key != "type"}
        return Field(resolve(declared["type"]), required, limits)
    type_, _, choices = declared.partition("=")
    return Field(resolve(type_), required, {"enum": choices.split("|")} if choices else {})


def _split(type_: str) -> tuple[str, str]:
    name = type_.lstrip("[]{}")
    return type_[: len(type_) - len(name)], name


@cache
def _types() -> dict[str, dict[str, Any] | str]:
    data = files("kserve_nb.clusters.embedded.api") / "data"
    types: dict[str, dict[str, Any] | str] = json.loads((data / "sdk_types.json").read_text())
    for name, own in json.loads((data / "own_types.json").read_text()).items():
        types[name] = own if isinstance(own, str) else _corrected(types.get(name), own)
    return types


def _corrected(declared: dict[str, Any] | str | None, own: dict[str, Any]) -> dict[str, Any]:
    changed = {name.rstrip("*") for name in own}
    kept = {n: t for n, t in declared.items() if n.rstrip("*") not in changed} if isinstance(declared, dict) else {}
    return kept | {name: type_ for name, type_ in own.items() if type_ is not None}
