"""The rules for `metadata` that hold for every kind: name, labels, annotations, owners.

Source: k8s.io/apimachinery pkg/api/validation/objectmeta.go.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from kserve_nb.clusters.embedded.api.field_errors import Cause, invalid, invalid_value, required
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object
from kserve_nb.values import dns_names

_ANNOTATIONS_LIMIT = 256 * 1024
_NAME_RULES = {"subdomain": dns_names.subdomain_errors, "label": dns_names.label_errors,
               "label-1035": dns_names.label_1035_errors}


def generate_name(base: str) -> str:
    """A name for metadata.generateName: the base, cut so that the result is a label, and five random characters."""
    return base[:58] + "".join(secrets.choice(dns_names.SUFFIX_ALPHABET) for _ in range(5))


def check(kind: Kind, meta: Object) -> None:
    """Check the metadata of an object that is about to be stored. Raises StatusError 422."""
    name = meta.get("name") or ""
    causes = [*_name(kind, name), *_labels(meta.get("labels") or {}), *_annotations(meta.get("annotations") or {}),
              *_owners(meta.get("ownerReferences") or [])]
    if causes:
        raise invalid(kind, name, causes)


def _name(kind: Kind, name: str) -> Iterator[Cause]:
    if not name:
        yield required("metadata.name", "name or generateName is required")
        return
    for text in _NAME_RULES[kind.name_rule](name):
        yield invalid_value("metadata.name", name, text)


def _labels(labels: Object) -> Iterator[Cause]:
    for key, value in labels.items():
        for text in dns_names.qualified_name_errors(key):
            yield invalid_value("metadata.labels", key, text)
        for text in dns_names.label_value_errors(value):
            yield invalid_value("metadata.labels", value, text)


def _annotations(annotations: Object) -> Iterator[Cause]:
    for key in annotations:
        for text in dns_names.qualified_name_errors(key.lower()):
            yield invalid_value("metadata.annotations", key, text)
    if sum(len(key) + len(value) for key, value in annotations.items()) > _ANNOTATIONS_LIMIT:
        yield Cause("metadata.annotations", "FieldValueTooLong",
                    f"Too long: may not be more than {_ANNOTATIONS_LIMIT} bytes")


def _owners(owners: list[Object]) -> Iterator[Cause]:
    for owner in owners:
        for field in ("apiVersion", "kind", "name", "uid"):
            if not isinstance(owner.get(field), str) or not owner[field]:
                text = "version must not be empty" if field == "apiVersion" else "must not be empty"
                yield invalid_value(f"metadata.ownerReferences.{field}", "", text)
    if len([owner for owner in owners if owner.get("controller") is True]) > 1:
        yield Cause("metadata.ownerReferences", "FieldValueInvalid",
                    "Invalid value: only one reference can have Controller set to true")
