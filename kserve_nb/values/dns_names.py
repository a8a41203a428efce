"""Kubernetes' rules for names, label keys and label values, with the API server's messages.

Source: k8s.io/apimachinery pkg/util/validation/validation.go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from kserve_nb.values.text.readable_error import short_repr

SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # for generated names: no vowels, so that they spell no words

LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE = f"({_QUALIFIED})?"
_LONGEST_LABEL, _LONGEST_SUBDOMAIN = 63, 253

_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    f"end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')")
_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    f"an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')")
_LABEL_1035_TEXT = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    f"'{LABEL_1035}')")
_NAME_PART_TEXT = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    f"character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_QUALIFIED}')")
_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    f"'{_VALUE}')")


def subdomain_errors(name: str) -> Iterator[str]:
    """The rules that a name of most kinds breaks (`IsDNS1123Subdomain`)."""
    return _errors(name, _SUBDOMAIN, _SUBDOMAIN_TEXT, _LONGEST_SUBDOMAIN)


def label_errors(name: str) -> Iterator[str]:
    """The rules that the name of a namespace, container or volume breaks (`IsDNS1123Label`)."""
    return _errors(name, _LABEL, _LABEL_TEXT, _LONGEST_LABEL)


def label_1035_errors(name: str) -> Iterator[str]:
    """The rules that the name of a Service, a revision or a tag breaks (`IsDNS1035Label`)."""
    return _errors(name, LABEL_1035, _LABEL_1035_TEXT, _LONGEST_LABEL)


def qualified_name_errors(key: str) -> Iterator[str]:
    """The rules that the key of a label or an annotation breaks (`IsQualifiedName`)."""
    prefix, slash, part = key.rpartition("/")
    if slash and not re.fullmatch(_SUBDOMAIN, prefix):
        yield f"prefix part {_SUBDOMAIN_TEXT}" if prefix else "prefix part must be non-empty"
    if not part:
        yield "name part must be non-empty"
    elif len(part) > _LONGEST_LABEL:
        yield f"name part must be no more than {_LONGEST_LABEL} characters"
    if not re.fullmatch(_QUALIFIED, part):
        yield _NAME_PART_TEXT


def label_value_errors(value: str) -> Iterator[str]:
    """The rules that the value of a label breaks (`IsValidLabelValue`)."""
    return _errors(value, _VALUE, _VALUE_TEXT, _LONGEST_LABEL)


def problem(kind: str, name: Any, errors: Callable[[str], Iterator[str]]) -> str:
    """The sentence for a user about a name that is not valid, with the rules that it breaks; empty if it is valid.

    >>> problem("a namespace", 7, label_errors)
    '7 is not a valid name of a namespace: it is not a text. '
    """
    reasons = list(errors(name)) if isinstance(name, str) else ["it is not a text"]
    return f"{short_repr(name)} is not a valid name of {kind}: {'; '.join(reasons)}. " if reasons else ""


def _errors(text: str, pattern: str, message: str, longest: int) -> Iterator[str]:
    if len(text) > longest:
        yield f"must be no more than {longest} characters"
    if not re.fullmatch(pattern, text):
        yield message
