"""Problems of fields as Knative's webhooks report them: all at once, those with the same message in one line.

Source: knative.dev/pkg apis/field_error.go (`FieldError`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple


class Problem(NamedTuple):
    """One problem of one field. A warning does not refuse the object."""

    message: str
    path: str = ""
    details: str = ""
    is_warning: bool = False


def via(prefix: str, problems: Iterable[Problem]) -> Iterator[Problem]:
    """The problems with their paths below a field (`ViaField`).

    >>> [problem.path for problem in via("spec.traffic", [Problem("bad", "[0].tag"), Problem("bad")])]
    ['spec.traffic[0].tag', 'spec.traffic']
    """
    for problem in problems:
        yield problem._replace(path=_joined(prefix, problem.path))


def lines(problems: Iterable[Problem]) -> list[str]:
    """The message of each group of problems with the same text, sorted (`Error`)."""
    paths: dict[tuple[str, str], set[str]] = {}
    for problem in problems:
        paths.setdefault((problem.message, problem.details), set()).add(problem.path)
    return [f"{message}: {', '.join(sorted(fields))}" + (f"\n{details}" if details else "")
            for (message, details), fields in sorted(paths.items())]


def missing(*paths: str) -> Iterator[Problem]:
    """The problem of a missing field (`ErrMissingField`)."""
    return (Problem("missing field(s)", path) for path in paths)


def disallowed(*paths: str) -> Iterator[Problem]:
    """The problem of a field that may not be set (`ErrDisallowedFields`)."""
    return (Problem("must not set the field(s)", path) for path in paths)


def invalid_value(value: Any, path: str, details: str = "") -> Problem:
    """The problem of an invalid value (`ErrInvalidValue`)."""
    return Problem(f"invalid value: {value}", path, details)


def invalid_key(key: str, path: str = "", details: str = "") -> Problem:
    """The problem of an invalid key (`ErrInvalidKeyName`)."""
    return Problem(f'invalid key name "{key}"', path, details)


def out_of_bounds(value: Any, lower: Any, upper: Any, path: str = "") -> Problem:
    """The problem of a value outside its bounds (`ErrOutOfBoundsValue`)."""
    return Problem(f"expected {lower} <= {value} <= {upper}", path)


def one_of(given: Iterable[str], choices: Iterable[str]) -> Iterator[Problem]:
    """The problem of fields of which exactly one must be set (`ErrMissingOneOf`, `ErrMultipleOneOf`)."""
    found = list(given)
    if not found:
        yield from (Problem("expected exactly one, got neither", path) for path in choices)
    elif len(found) > 1:
        yield from (Problem("expected exactly one, got both", path) for path in found)


def _joined(*parts: str) -> str:
    """A path of fields, to which indices such as `[0]` are appended without a dot (`flatten`)."""
    path: list[str] = []
    for part in ".".join(parts).split("."):
        if path and part.startswith("[") and part.endswith("]"):
            path[-1] += part
        elif part:
            path.append(part)
    return ".".join(path)
