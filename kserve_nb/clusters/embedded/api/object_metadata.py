"""What every object's metadata must be like, in the words of a Kubernetes API server."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from typing import NamedTuple

from kserve_nb.clusters.embedded.kinds import NAMESPACE, SERVICE
from kserve_nb.clusters.embedded.objects import Kind, Object, StatusError

SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # of generated names: no vowels, so no words

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE = f"({_QUALIFIED})?"

_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    f"end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')")
_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    f"an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')")
_LABEL_1035_TEXT = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    f"'{_LABEL_1035}')")
_NAME_PART_TEXT = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    f"character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_QUALIFIED}')")
_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    f"'{_VALUE}')")
_ANNOTATIONS_LIMIT = 256 * 1024


class Cause(NamedTuple):
    """One thing that is wrong with one field."""

    field: str
    reason: str
    message: str


def invalid(kind: Kind, name: str, causes: list[Cause]) -> StatusError:
    """The 422 that says what is wrong with an object's fields."""
    texts = [f"{cause.field}: {cause.message}" for cause in causes]
    detail = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    full_kind = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    details: Object = {"name": name, "group": kind.group, "kind": kind.kind,
                       "causes": [{"reason": c.reason, "message": c.message, "field": c.field} for c in causes]}
    return StatusError(422, "Invalid", f'{full_kind} "{name}" is invalid: {detail}', details)


def generate_name(base: str) -> str:
    """A name for metadata.generateName: the base, cut so that it stays a label, and five random characters."""
    return base[:58] + "".join(secrets.choice(SUFFIX_ALPHABET) for _ in range(5))


def check(kind: Kind, meta: Object) -> None:
    """Refuse metadata that a Kubernetes API server would refuse: name, labels, annotations, owners."""
    name = meta.get("name") or ""
    causes = [*_name(kind, name), *_labels(meta.get("labels") or {}), *_annotations(meta.get("annotations") or {}),
              *_owners(meta.get("ownerReferences") or [])]
    if causes:
        raise invalid(kind, name, causes)


def key_errors(key: str) -> Iterator[str]:
    """What is wrong with the key of a label or an annotation."""
    prefix, slash, part = key.rpartition("/")
    if slash and not re.fullmatch(_SUBDOMAIN, prefix):
        yield f"prefix part {_SUBDOMAIN_TEXT}" if prefix else "prefix part must be non-empty"
    if not part:
        yield "name part must be non-empty"
    elif len(part) > 63:
        yield "name part must be no more than 63 characters"
    if not re.fullmatch(_QUALIFIED, part):
        yield _NAME_PART_TEXT


def value_errors(value: str) -> Iterator[str]:
    """What is wrong with the value of a label."""
    if len(value) > 63:
        yield "must be no more than 63 characters"
    if not re.fullmatch(_VALUE, value):
        yield _VALUE_TEXT


def _invalid_value(field: str, value: str, text: str) -> Cause:
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')
    return Cause(field, "FieldValueInvalid", f'Invalid value: "{quoted}": {text}')


def _name(kind: Kind, name: str) -> Iterator[Cause]:
    if not name:
        yield Cause("metadata.name", "FieldValueRequired", "Required value: name or generateName is required")
        return
    pattern, text, most = _SUBDOMAIN, _SUBDOMAIN_TEXT, 253
    if kind == NAMESPACE:
        pattern, text, most = _LABEL, _LABEL_TEXT, 63
    elif kind == SERVICE:
        pattern, text, most = _LABEL_1035, _LABEL_1035_TEXT, 63
    if len(name) > most:
        yield _invalid_value("metadata.name", name, f"must be no more than {most} characters")
    if not re.fullmatch(pattern, name):
        yield _invalid_value("metadata.name", name, text)


def _labels(labels: Object) -> Iterator[Cause]:
    for key, value in labels.items():
        for text in key_errors(key):
            yield _invalid_value("metadata.labels", key, text)
        for text in value_errors(value):
            yield _invalid_value("metadata.labels", value, text)


def _annotations(annotations: Object) -> Iterator[Cause]:
    for key in annotations:
        for text in key_errors(key.lower()):
            yield _invalid_value("metadata.annotations", key, text)
    if sum(len(key) + len(value) for key, value in annotations.items()) > _ANNOTATIONS_LIMIT:
        yield Cause("metadata.annotations", "FieldValueTooLong",
                    f"Too long: may not be more than {_ANNOTATIONS_LIMIT} bytes")


def _owners(owners: list[Object]) -> Iterator[Cause]:
    for owner in owners:
        for field in ("apiVersion", "kind", "name", "uid"):
            if not isinstance(owner.get(field), str) or not owner[field]:
                text = "version must not be empty" if field == "apiVersion" else "must not be empty"
                yield _invalid_value(f"metadata.ownerReferences.{field}", "", text)
    controllers = [owner for owner in owners if owner.get("controller") is True]
    if len(controllers) > 1:
        yield Cause("metadata.ownerReferences", "FieldValueInvalid",
                    "Invalid value: only one reference can have Controller set to true")
