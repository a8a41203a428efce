"""Decoding of protobuf bodies, in which `kubectl create namespace` and similar commands send Kubernetes' own kinds.

The envelope is apimachinery's `runtime.Unknown` after four magic bytes. data/protobuf_fields.json has the messages and
field numbers of the generated.proto files of k8s.io/api and k8s.io/apimachinery 1.36.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any

from kserve_nb.clusters.embedded.apimachinery.kinds import KINDS
from kserve_nb.clusters.embedded.apimachinery.objects import Object, StatusError

Message = Any  # google.protobuf has no annotations

MAGIC = b"k8s\x00"
_IDLE = {(kind.api_version, kind.kind) for kind in KINDS if kind.idle}  # refused later: only their metadata is decoded

# Embedded Go structs: separate messages in protobuf, whose fields JSON writes into the enclosing object.
_EMBEDDED = frozenset(("volumeSource", "handler", "localObjectReference", "ephemeralContainerCommon"))
# Protobuf sends zero for every absent field that is not a pointer. A zero counts only in these pointer fields.
_MEANS_ZERO = frozenset((
    "replicas", "gracePeriodSeconds", "terminationGracePeriodSeconds", "activeDeadlineSeconds", "revisionHistoryLimit",
    "progressDeadlineSeconds", "expirationSeconds", "tolerationSeconds", "runAsUser", "runAsGroup", "fsGroup",
    "optional", "immutable", "automountServiceAccountToken", "enableServiceLinks", "orphanDependents",
    "allowPrivilegeEscalation", "privileged", "readOnlyRootFilesystem", "runAsNonRoot", "blockOwnerDeletion",
    "controller", "allocateLoadBalancerNodePorts", "shareProcessNamespace", "setHostnameAsFQDN", "mode", "defaultMode"))
_MEANS_EMPTY = frozenset(("emptyDir", "securityContext", "labelSelector", "selector"))


def decode(body: bytes) -> Object:
    """The object in a protobuf envelope. Raises StatusError 400 for invalid bytes, 415 for a kind without messages."""
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    if not body.startswith(MAGIC):
        raise _invalid("it does not begin with k8s\\x00")
    try:
        unknown = _parse("runtime.Unknown", body[len(MAGIC):])
        type_meta = unknown.typeMeta
        name = _message_name(type_meta.apiVersion, type_meta.kind)
        decoded = _object(_parse(name, unknown.raw))
    except DecodeError as error:
        raise _invalid(str(error)) from None
    return {"apiVersion": type_meta.apiVersion, "kind": type_meta.kind} | decoded


def _invalid(reason: str) -> StatusError:
    return StatusError(400, "BadRequest", f"the body is not a Kubernetes object in protobuf: {reason}")


def _message_name(api_version: str, kind: str) -> str:
    if (api_version, kind) in _IDLE:
        return "meta.Idle"
    group, _, version = api_version.rpartition("/")
    package = "meta" if kind == "DeleteOptions" else group.partition(".")[0] or "core"
    name = f"{package}.{kind}"
    if version != "v1" or name not in _messages():
        raise StatusError(
            415, "UnsupportedMediaType",
            f"cannot decode {kind} in version {api_version!r} from protobuf: send it as application/json")
    return name


@cache
def _messages() -> dict[str, dict[str, str]]:
    messages: dict[str, dict[str, str]] = json.loads(
        (files("kserve_nb.clusters.embedded.api") / "data" / "protobuf_fields.json").read_text())
    return messages


def _parse(name: str, data: bytes) -> Message:
    message = _classes()[f"k8s.{name}"]()
    message.ParseFromString(data)
    return message


@cache
def _classes() -> dict[str, Any]:
    # Imported with the first protobuf body: most servers never receive one.
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # type: ignore[import-untyped]

    file = descriptor_pb2.FileDescriptorProto(name="k8s.proto", package="k8s", syntax="proto2")
    for name, fields in _messages().items():
        message = file.message_type.add(name=name.replace(".", "_"))
        for field, declared in fields.items():
            type_, _, number = declared.partition("@")
            _declare(message, field, type_, int(number))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {f"k8s.{name}": message_factory.GetMessageClass(
        pool.FindMessageTypeByName(f"k8s.{name.replace('.', '_')}")) for name in _messages()}


def _declare(message: Message, name: str, type_: str, number: int) -> None:
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Proto  # type: ignore[import-untyped]

    if type_.startswith("{}"):
        entry = message.nested_type.add(name=f"{name[0].upper()}{name[1:]}Entry")
        entry.options.map_entry = True
        _declare(entry, "key", "string", 1)
        _declare(entry, "value", type_[2:], 2)
        message.field.add(name=name, number=number, label=Proto.LABEL_REPEATED, type=Proto.TYPE_MESSAGE,
                          type_name=entry.name)
        return
    label = Proto.LABEL_REPEATED if type_.startswith("[]") else Proto.LABEL_OPTIONAL
    type_ = type_.removeprefix("[]")
    if "." in type_:
        message.field.add(name=name, number=number, label=label, type=Proto.TYPE_MESSAGE,
                          type_name=f".k8s.{type_.replace('.', '_')}")
    else:
        message.field.add(name=name, number=number, label=label, type=getattr(Proto, f"TYPE_{type_.upper()}"))


def _object(message: Message) -> Object:
    return dict(_fields(message))


def _fields(message: Message) -> Iterator[tuple[str, Any]]:
    for field, value in message.ListFields():
        if field.name in _EMBEDDED:
            yield from _fields(value)
            continue
        converted = _container(field, value)
        if _is_set(field.name, converted):
            yield field.name, converted


def _container(field: Any, value: Any) -> Any:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return {key: _value(value[key]) for key in sorted(value)}
    return [_value(item) for item in value] if field.is_repeated else _value(value)


def _value(value: Any) -> Any:
    descriptor = getattr(value, "DESCRIPTOR", None)
    if descriptor is None:
        return base64.b64encode(value).decode() if isinstance(value, bytes) else value
    match descriptor.name:
        case "meta_Time":
            return _time(value, "%Y-%m-%dT%H:%M:%SZ")
        case "meta_MicroTime":
            return _time(value, "%Y-%m-%dT%H:%M:%S.%fZ")
        case "resource_Quantity":
            return value.string
        case "intstr_IntOrString":
            return value.strVal if value.type else value.intVal
        case "meta_FieldsV1":
            return json.loads(value.Raw or b"{}")
    return _object(value)


def _time(value: Any, form: str) -> str | None:
    if not value.ListFields():
        return None
    return datetime.fromtimestamp(value.seconds + value.nanos / 1e9, UTC).strftime(form)


def _is_set(name: str, value: Any) -> bool:
    if isinstance(value, bool | int | float):
        return bool(value) or name in _MEANS_ZERO
    if value == {}:
        return name in _MEANS_EMPTY
    return value is not None and value not in ("", [])
