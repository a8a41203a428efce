"""Label and field selectors (`-l` and `--field-selector`): parser, matching, and error messages.

Grammar and messages: k8s.io/apimachinery pkg/labels/selector.go and pkg/fields/selector.go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from kserve_nb.clusters.embedded.api.entry import Entry
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object, StatusError
from kserve_nb.values import dns_names

_TOKEN = re.compile(r"\s*(==|!=|[=!<>(),]|[^\s=!<>(),]+)")
_OPERATORS = "in, notin, =, ==, !=, gt, lt"
_END = ""


@dataclass(frozen=True)
class Requirement:
    """One requirement of a label selector, for example `app=web` or `!canary`."""

    key: str
    holds: Callable[[str | None], bool]


@dataclass(frozen=True)
class Selector:
    """The label and field requirements of a list or a watch."""

    labels: tuple[Requirement, ...] = ()
    fields: tuple[tuple[str, bool, str], ...] = ()  # path, whether it must be equal, value

    @property
    def selects_all(self) -> bool:
        return not self.labels and not self.fields

    def matches(self, entry: Entry) -> bool:
        """Whether an object meets all requirements."""
        if not all(requirement.holds(entry.labels.get(requirement.key)) for requirement in self.labels):
            return False
        body: Object | None = None
        for path, equal, wanted in self.fields:
            if path == "metadata.name":
                value = entry.name
            elif path == "metadata.namespace":
                value = entry.namespace or ""
            else:
                body = entry.copy() if body is None else body
                value = _field(body, path)
            if (value == wanted) is not equal:
                return False
        return True


def parse(kind: Kind, labels: str, fields: str) -> Selector:
    """The selector in a request's parameters. Raises StatusError 400 if it cannot be parsed."""
    return Selector(tuple(_Parser(labels).requirements()), tuple(_fields(kind, fields)))


def _field(obj: Object, path: str) -> str:
    value: object = obj
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if isinstance(value, Mapping):  # an Event's source: its component
        value = value.get("component")
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _fields(kind: Kind, text: str) -> Iterator[tuple[str, bool, str]]:
    common = ("metadata.name", "metadata.namespace") if kind.namespaced else ("metadata.name",)
    for term in filter(None, text.split(",")):
        match = re.fullmatch(r"([^=!]*)(==|=|!=)(.*)", term, re.DOTALL)
        if match is None:
            raise StatusError(400, "BadRequest", f"invalid selector: '{text}'; can't understand '{term}'")
        path, operator, value = match.groups()
        if path not in (*common, *kind.selectable_fields):
            raise StatusError(400, "BadRequest", f"field label not supported: {path}")
        yield path, operator != "!=", value


class _Parser:
    def __init__(self, text: str):
        self._tokens: list[str] = []
        position = 0
        while match := _TOKEN.match(text, position):
            self._tokens.append(match[1])
            position = match.end()
        self._next = 0

    def requirements(self) -> Iterator[Requirement]:
        while self._peek() != _END:
            yield self._requirement()
            token = self._take()
            if token == _END:
                return
            if token != ",":
                raise _error(token, "',' or 'end of string'")
            if not _is_word(self._peek()) and self._peek() != "!":
                raise _error(self._peek(), "identifier after ','")

    def _peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else _END

    def _take(self) -> str:
        token = self._peek()
        self._next += 1
        return token

    def _requirement(self) -> Requirement:
        if self._peek() == "!":
            self._take()
            return Requirement(self._key(), lambda value: value is None)
        if not _is_word(self._peek()):
            raise _error(self._peek(), "!, identifier, or 'end of string'")
        key = self._key()
        if self._peek() in (_END, ","):
            return Requirement(key, lambda value: value is not None)
        return Requirement(key, self._condition(key))

    def _key(self) -> str:
        key = self._take()
        if not _is_word(key):
            raise _error(key, "identifier")
        _check("key", dns_names.qualified_name_errors(key), key)
        return key

    def _condition(self, key: str) -> Callable[[str | None], bool]:
        operator = self._take()
        if operator in ("in", "notin"):
            values = self._values(key)
            return (lambda value: value in values) if operator == "in" else (lambda value: value not in values)
        if operator not in ("=", "==", "!=", ">", "<"):
            raise _error(operator, _OPERATORS)
        wanted = self._value(key)
        if operator in (">", "<"):
            return _comparison(key, operator, wanted)
        return (lambda value: value != wanted) if operator == "!=" else (lambda value: value == wanted)

    def _value(self, key: str) -> str:
        if self._peek() in (_END, ","):
            return ""
        value = self._take()
        if not _is_word(value):
            raise _error(value, "identifier")
        _check(f"values[0][{key}]", dns_names.label_value_errors(value), value)
        return value

    def _values(self, key: str) -> set[str]:
        if self._take() != "(":
            self._next -= 1
            raise _error(self._peek(), "'('")
        values = {""} if self._peek() in (",", ")") else set()
        while (token := self._take()) != ")":
            if token == ",":
                if self._peek() in (",", ")"):
                    values.add("")
            elif _is_word(token):
                _check(f"values[0][{key}]", dns_names.label_value_errors(token), token)
                values.add(token)
                if self._peek() not in (",", ")"):
                    raise _error(self._peek(), "',' or ')'")
            else:
                raise _error(token, "',', ')' or identifier")
        return values


def _is_word(token: str) -> bool:
    return token != _END and token not in ("==", "!=", "=", "!", "<", ">", "(", ")", ",")


def _comparison(key: str, operator: str, wanted: str) -> Callable[[str | None], bool]:
    if not re.fullmatch(r"[+-]?\d{1,19}", wanted):
        _check(f"values[0][{key}]", iter(["for 'Gt', 'Lt' operators, the value must be an integer"]), wanted)
    limit = int(wanted)

    def holds(value: str | None) -> bool:
        if value is None or not re.fullmatch(r"[+-]?\d{1,19}", value):
            return False
        return int(value) > limit if operator == ">" else int(value) < limit

    return holds


def _check(place: str, texts: Iterator[str], value: str) -> None:
    text = next(texts, None)
    if text is not None:
        raise StatusError(400, "BadRequest", f'unable to parse requirement: {place}: Invalid value: "{value}": {text}')


def _error(found: str, expected: str) -> StatusError:
    return StatusError(400, "BadRequest", f"found '{found}', expected: {expected}")
