"""The difference between two revisions or templates, as Knative's webhook prints it.

Source: knative.dev/pkg kmp/{diff,reporters}.go (`ShortDiff`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from kserve_nb.clusters.embedded.apimachinery import quantity

_GO_NAMES = {"httpGet": "HTTPGet", "tcpSocket": "TCPSocket", "grpc": "GRPC", "httpHeaders": "HTTPHeaders",
             "dnsPolicy": "DNSPolicy", "dnsConfig": "DNSConfig", "hostIPC": "HostIPC", "hostPID": "HostPID",
             "csi": "CSI", "metadata": "ObjectMeta", "tcp": "TCP"}
_REVISION_FIELDS = ("containerConcurrency", "timeoutSeconds", "responseStartTimeoutSeconds", "idleTimeoutSeconds")
_MAPS = ("labels", "annotations", "limits", "requests", "nodeSelector")


def short_diff(type_: str, old: Any, new: Any) -> str:
    r"""The fields that differ, with their old and new values; empty if the values are equal.

    >>> short_diff("v1.RevisionSpec", {"timeoutSeconds": 1}, {"timeoutSeconds": 2})
    '{v1.RevisionSpec}.TimeoutSeconds:\n\t-: "1"\n\t+: "2"\n'
    """
    return "".join(_differences(f"{{{type_}}}", old, new, in_spec=type_.endswith("RevisionSpec")))


def _differences(path: str, old: Any, new: Any, *, in_spec: bool = False, in_map: bool = False) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            inner = f'{path}["{key}"]' if in_map else f"{path}.{_go_name(key, in_spec)}"
            yield from _differences(inner, old.get(key), new.get(key), in_spec=key == "spec", in_map=key in _MAPS)
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            place = f"?->{index}" if index >= len(old) else f"{index}->?" if index >= len(new) else index
            pair = (side[index] if index < len(side) else None for side in (old, new))
            yield from _differences(f"{path}[{place}]", *pair)
    elif not _are_equal(old, new):
        yield f"{path}:\n{_line('-', old)}{_line('+', new)}"


def _are_equal(old: Any, new: Any) -> bool:
    if (old or None) == (new or None):
        return True
    try:
        return quantity.parse(old) == quantity.parse(new)
    except ValueError:
        return False


def _go_name(field: str, in_spec: bool) -> str:
    name = _GO_NAMES.get(field) or field[:1].upper() + field[1:]
    return f"PodSpec.{name}" if in_spec and field not in _REVISION_FIELDS else name


def _line(sign: str, value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value)
    return f'\t{sign}: "{text}"\n'
