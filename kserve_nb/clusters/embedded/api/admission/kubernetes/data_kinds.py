"""Defaults and validation of Secrets and ConfigMaps.

Source: kubernetes 1.35 pkg/apis/core/v1/{conversion,defaults}.go (`stringData`, the type Opaque),
pkg/apis/core/validation/validation.go (`ValidateSecret`, `ValidateConfigMap` and their updates).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

from kserve_nb.clusters.embedded.api.admission.review import Review
from kserve_nb.clusters.embedded.api.field_errors import Cause, forbidden, invalid, invalid_value, required
from kserve_nb.clusters.embedded.apimachinery.kinds import SECRET
from kserve_nb.clusters.embedded.apimachinery.objects import Object, StatusError

_LIMIT = 2**20  # bytes in one object
_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_KEY_RULE = ("a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
             "'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')")
_IMMUTABLE = "field is immutable when `immutable` is set"
_KEYS_OF_TYPE = {
    "kubernetes.io/dockercfg": (".dockercfg",), "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",), "kubernetes.io/tls": ("tls.crt", "tls.key")}


def default_secret(review: Review) -> None:
    """Set a Secret's type, move `stringData` into `data`, base64-encoded, and drop the line breaks in base64."""
    new = review.new
    new.setdefault("type", "Opaque")
    for key, value in (new.get("data") or {}).items():
        new["data"][key] = str(value).replace("\n", "").replace("\r", "")  # Go's decoder ignores them
    texts = new.pop("stringData", None) or {}
    if texts:
        new["data"] = (new.get("data") or {}) | {
            key: base64.b64encode(str(value).encode()).decode() for key, value in texts.items()}


def validate_data(review: Review) -> None:
    """Refuse a ConfigMap or Secret with too much data, invalid keys or, if it is immutable, another content.

    A Secret's data is base64 and, for some types, has certain keys.
    """
    new = review.new
    data, binary = new.get("data") or {}, new.get("binaryData") or {}
    size = sum(len(str(value).encode()) for value in data.values())
    size += sum(len(str(value)) for value in binary.values()) * 3 // 4
    if review.kind == SECRET:
        for value in data.values():
            _check_base64(str(value))
        size = size * 3 // 4
    causes = [invalid_value(f"{field}[{key}]", key, _KEY_RULE)
              for field in ("data", "binaryData") for key in new.get(field) or {} if not _KEY.fullmatch(key)]
    if size > _LIMIT:
        causes.append(Cause("data" if review.kind == SECRET else "[]", "FieldValueTooLong",
                            f"Too long: may not be more than {_LIMIT} bytes"))
    causes += [required(f"data[{key}]") for key in _KEYS_OF_TYPE.get(new.get("type", ""), ()) if key not in data]
    if review.old is not None:
        causes += _changes(new, review.old)
    if causes:
        raise invalid(review.kind, review.name, causes)


def _changes(new: Object, old: Object) -> Iterator[Cause]:
    """Fields that may not change: the type of a Secret, and everything in an immutable object."""
    if new.get("type") != old.get("type"):
        yield invalid_value("type", new.get("type"), "field is immutable")
    if not old.get("immutable"):
        return
    if not new.get("immutable"):
        yield forbidden("immutable", _IMMUTABLE)
    for field in ("data", "binaryData"):
        if (new.get(field) or {}) != (old.get(field) or {}):
            yield forbidden(field, _IMMUTABLE)


def _check_base64(value: str) -> None:
    try:
        base64.b64decode(value, validate=True)
    except ValueError:
        bad = re.search(r"[^A-Za-z0-9+/=]", value)
        offset = bad.start() if bad else len(value) // 4 * 4
        raise StatusError(400, "BadRequest", 'Secret in version "v1" cannot be handled as a Secret: illegal base64 '
                                             f"data at input byte {offset}") from None
