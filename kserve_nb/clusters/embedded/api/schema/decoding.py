"""Error messages of Go's JSON decoder about values of the wrong type.

KServe's and Knative's webhooks and the API server decode objects into Go structs, and users see the decoder's
messages. This module produces the same messages from the type tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kserve_nb.clusters.embedded.api.schema.kind_types import SCALARS, fields_of, go_name, resolve

QUANTITY = re.compile(r"([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)")
_QUANTITY_MESSAGE = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
_INTEGERS = {"int": 64, "int32": 32, "int64": 64}

# Structs that KServe embeds: since Go 1.24 encoding/json names them in the path. The API server's own decoder does not.
_EMBEDDED = {
    "V1beta1PredictorSpec": ("V1beta1ComponentExtensionSpec", "V1beta1PodSpec"),
    "V1beta1TransformerSpec": ("V1beta1ComponentExtensionSpec", "V1beta1PodSpec"),
    "V1beta1ExplainerSpec": ("V1beta1ComponentExtensionSpec", "V1beta1PodSpec"),
    "V1beta1PredictorExtensionSpec": ("V1Container",),
} | {
    f"V1beta1{framework}Spec": ("V1beta1PredictorExtensionSpec",)
    for framework in ("Model", "SKLearn", "XGBoost", "TFServing", "TorchServe", "Triton", "ONNXRuntime",
                      "HuggingFaceRuntime", "PMML", "LightGBM", "PaddleServer")
}
_OWN_FIELDS = {"V1beta1PredictorSpec": {"name"}, "V1beta1ModelSpec": {"modelFormat", "runtime"}}


def type_error(type_name: str, value: Any, *, embedded_names: bool = False) -> str | None:
    """The decoder's message about the first field of a wrong type, None if there is none."""
    return next(_errors(type_name, value, "", (), embedded_names), None)


_CONVERTED = re.compile(r"json: cannot unmarshal (\w+)[^\n]* of type (\S+)")
_GO_KINDS = {"number": "int64", "array": "slice", "object": "map"}


def conversion_error(type_name: str, value: Any) -> str | None:
    """What Go's converter of a patched object reports about the first field of a wrong type, None if there is none.

    Source: k8s.io/apimachinery pkg/runtime/converter.go (`fromUnstructured`).
    """
    error = type_error(type_name, value)
    found = _CONVERTED.match(error or "")
    if found is None:
        return error
    given, expected = _GO_KINDS.get(found[1], found[1]), found[2]
    if expected.startswith(("map[", "[]")):
        return f"cannot restore {'map' if expected[0] == 'm' else 'slice'} from {given}"
    if "." in expected:
        return f"cannot restore struct from: {given}"
    return f"cannot convert int64 to {expected}" if given == "int64" and expected == "string" else (
        f"unrecognized type: {expected}")


def _errors(type_: str, value: Any, struct: str, path: tuple[str, ...], embedded: bool) -> Iterator[str]:
    if value is None or type_ in ("any", "open"):
        return
    if type_ in SCALARS:
        yield from _scalar_errors(type_, value, struct, path)
    elif type_.startswith("[]") and isinstance(value, list):
        for item in value:
            yield from _errors(type_[2:], item, struct, path, embedded)
    elif type_.startswith("{}") and isinstance(value, dict):
        for key in sorted(value):
            yield from _errors(type_[2:], value[key], struct, path, embedded)
    elif not type_.startswith(("[]", "{}")) and isinstance(value, dict):
        yield from _field_errors(type_, value, path, embedded)
    else:
        yield _message(_go_value(value), struct, path, _go_type(type_))


def _field_errors(type_: str, value: dict[str, Any], path: tuple[str, ...], embedded: bool) -> Iterator[str]:
    for name in sorted(value):
        field = fields_of(type_).get(name)
        if field is not None:
            through = _embedding(type_, name) if embedded else ()
            yield from _errors(field.type, value[name], go_name(type_), (*path, *through, name), embedded)


def _embedding(type_: str, field: str) -> tuple[str, ...]:
    if field in _OWN_FIELDS.get(type_, ()):
        return ()
    for inner in _EMBEDDED.get(type_, ()):
        if field in fields_of(inner):
            return (go_name(inner), *_embedding(inner, field))
    return ()


def _scalar_errors(type_: str, value: Any, struct: str, path: tuple[str, ...]) -> Iterator[str]:
    if type_ == "quantity":
        if not isinstance(value, str | int | float) or isinstance(value, bool) or not QUANTITY.fullmatch(str(value)):
            yield _QUANTITY_MESSAGE
    elif type_ == "intstr":
        if not isinstance(value, str) and not _is_integer(value, 32):
            yield f"json: cannot unmarshal {_go_value(value, literal=True)} into Go value of type int32"
    elif type_ in _INTEGERS:
        if not _is_integer(value, _INTEGERS[type_]):
            yield _message(_go_value(value, literal=True), struct, path, type_)
    elif not isinstance(value, {"string": str, "time": str, "bool": bool, "number": int | float}[type_]):
        yield _message(_go_value(value), struct, path, "string" if type_ == "time" else type_)


def _is_integer(value: Any, bits: int) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return value == int(value) and -(2 ** (bits - 1)) <= value < 2 ** (bits - 1)


def _go_value(value: Any, *, literal: bool = False) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return f"number {value}" if literal else "number"
    return {"str": "string", "list": "array", "dict": "object"}.get(type(value).__name__, "null")


def _go_type(type_: str) -> str:
    if type_.startswith("[]"):
        return "[]" + _go_type(type_[2:])
    if type_.startswith("{}"):
        return "map[string]" + _go_type(type_[2:])
    if type_ in SCALARS:
        return {"quantity": "resource.Quantity", "intstr": "intstr.IntOrString"}.get(type_, type_)
    package = re.match(r"V\d+(?:(?:alpha|beta)\d+)?", resolve(type_))
    return f"{package[0].lower() if package else 'v1'}.{go_name(type_)}"


def _message(value: str, struct: str, path: tuple[str, ...], go_type: str) -> str:
    where = f"Go struct field {struct}.{'.'.join(path)}" if struct else "Go value"
    return f"json: cannot unmarshal {value} into {where} of type {go_type}"
