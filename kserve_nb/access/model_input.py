"""Rows for a model, and their right answers, as plain Python values: JSON has no arrays and data frames."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from kserve_nb.values.text.readable_error import ReadableError, short_repr

_EXAMPLE = "Pass a list of rows of the same length, for example [[5.1, 3.5], [6.2, 2.8]]."
_NUMBER = "number"  # int, float and bool are equal to each other


class InputError(ReadableError, ValueError):
    """Rows or labels that cannot be used; the message names the first value that is wrong."""


def plain_rows(rows: Any) -> list[list[Any]]:
    """The rows as lists of plain Python values. They are not checked.

    >>> plain_rows(((1.0, 2.0), [3, 4]))
    [[1.0, 2.0], [3, 4]]
    """
    return [[_value(cell) for cell in _listed(row)] for row in _listed(rows)]


def checked_rows(rows: Any) -> list[list[Any]]:
    """The rows of a list, an array or a data frame, as lists.

    Raises:
        InputError: they are not rows of the same length, or a value is neither a finite number nor a text.

    >>> checked_rows([[1.0, 2.0], [3.0, float("nan")]])
    Traceback (most recent call last):
    ...
    kserve_nb.access.model_input.InputError: Cannot use these rows: rows[1] has nan, which JSON cannot transport. ...
    """
    found = _list_of("rows", rows, _EXAMPLE)
    checked: list[list[Any]] = []
    for number, row in enumerate(found):
        if isinstance(row, str | bytes | dict) or not isinstance(row := _plain_list(row), list):
            raise InputError(f"Cannot use these rows: rows[{number}] is {short_repr(row)}, not a list of values. "
                             f"{_EXAMPLE}")
        if len(row) != len(checked[0] if checked else row) or not row:
            length = "is empty" if not row else f"has {len(row)} values, and rows[0] has {len(checked[0])}"
            raise InputError(f"Cannot use these rows: rows[{number}] {length}. {_EXAMPLE}")
        cells = [_value(cell) for cell in row]
        for cell in cells:
            _check_cell(number, cell)
        checked.append(cells)
    return checked


def checked_labels(labels: Any, count: int | None = None) -> list[Any]:
    """The labels of a list, an array or a series, as a list.

    Args:
        labels: the right answer to each row.
        count: the number of rows.

    Raises:
        InputError: they are not labels, or not as many as rows, or no answer can equal one of them.
    """
    found = [_value(label) for label in _list_of("labels", labels, "Pass the right answer to each row, as a list.")]
    for number, label in enumerate(found):
        cells = label if isinstance(label, list | tuple) else [label]
        if not all(isinstance(cell, int | float | str) and cell == cell for cell in cells):
            raise InputError(f"Cannot use these labels: labels[{number}] is {short_repr(label)}, which no answer of a "
                             "model equals. Pass numbers or texts, as the model answers them.")
    if count is not None and len(found) != count:
        raise InputError(f"Cannot use these labels: there are {len(found)} for {count} rows. Pass the right answer to "
                         "each row, in the same order.")
    return found


def kinds_of(values: Iterable[Any]) -> dict[str, str]:
    """The types of values by what they can equal: all numbers are one kind, and other types are kinds themselves.

    >>> kinds_of([1, 2.5, "a"])
    {'number': 'int', 'str': 'str'}
    """
    kinds: dict[str, str] = {}
    for value in values:
        name = type(value).__name__
        kinds.setdefault(_NUMBER if isinstance(value, int | float) else name, name)
    return kinds


def _check_cell(number: int, cell: Any) -> None:
    if isinstance(cell, float) and not math.isfinite(cell):
        raise InputError(f"Cannot use these rows: rows[{number}] has {cell}, which JSON cannot transport. Replace such "
                         "values, or leave these rows out.")
    if not isinstance(cell, int | float | str):
        raise InputError(f"Cannot use these rows: rows[{number}] has {short_repr(cell)}, which is neither a number nor "
                         f"a text. {_EXAMPLE}")


def _list_of(what: str, values: Any, remedy: str) -> list[Any]:
    found = None if isinstance(values, str | bytes | dict) else _plain_list(values)
    if not isinstance(found, list):
        raise InputError(f"Cannot use {short_repr(values)} as {what}: it is not a list. {remedy}")
    if not found:
        raise InputError(f"Cannot use these {what}: there are none. {remedy}")
    return found


def _plain_list(values: Any) -> Any:
    try:
        return _listed(values)
    except TypeError:  # it cannot be iterated over
        return values


def _listed(values: Any) -> Any:
    """A list of the values of an array, a data frame (whose iterator has its column names), or another iterable."""
    values = values.to_numpy() if hasattr(values, "to_numpy") else values
    return values.tolist() if hasattr(values, "tolist") else list(values)


def _value(value: Any) -> Any:
    """The Python number of a NumPy scalar, which is an array without dimensions."""
    return value.item() if getattr(value, "shape", None) == () and hasattr(value, "item") else value
