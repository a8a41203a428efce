"""The words of Go's JSON decoder, in which a Kubernetes API server reports a body that it cannot read."""

from __future__ import annotations

import json

_GO_TYPES = {bool: "bool", str: "string", list: "array", dict: "object", int: "number", float: "number"}
_QUOTED = {"'": "'\\''", '"': "'\"'", "\n": "'\\n'", "\r": "'\\r'", "\t": "'\\t'"}
_SUMMARY_LENGTH = 30


def syntax_error(data: bytes, error: ValueError) -> str:
    """The message of Go's decoder about bytes that are not JSON, derived from the error of our decoder."""
    try:
        json.loads(data)
    except json.JSONDecodeError as reason:
        if reason.pos >= len(reason.doc.rstrip()):
            return "unexpected end of JSON input"
        return f"invalid character {quoted_character(reason.doc[reason.pos])} looking for beginning of value"
    except (UnicodeDecodeError, RecursionError):
        pass
    return str(error)


def quoted_character(char: str) -> str:
    """A character as Go's `%q` writes it.

    >>> quoted_character("b")
    "'b'"
    """
    if char in _QUOTED:
        return _QUOTED[char]
    if char.isprintable():
        return f"'{char}'"
    return f"'\\u{ord(char):04x}'" if ord(char) > 127 else f"'\\x{ord(char):02x}'"


def type_name(value: object) -> str:
    """The decoder's name for the type of a JSON value.

    >>> type_name({})
    'object'
    """
    return "null" if value is None else _GO_TYPES[type(value)]


def printed(value: object) -> str:
    """A JSON value as Go's `%v` prints it.

    >>> printed({"metadata": {"labels": ["a", None, True]}})
    'map[metadata:map[labels:[a <nil> true]]]'
    """
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{printed(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(printed, value))}]"
    if value is None:
        return "<nil>"
    return str(value).lower() if isinstance(value, bool) else str(value)


def summary(data: bytes) -> str:
    """The beginning of a body, as error messages repeat it."""
    if not data:
        return "<empty>"
    start = data[:_SUMMARY_LENGTH]
    text = start.decode(errors="replace") if data[:1] == b"{" else start.hex()
    return text + (" ..." if len(data) > _SUMMARY_LENGTH else "")
