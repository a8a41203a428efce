"""Kubernetes resource quantities: their values and their canonical form (`1000m` is stored as `1`, `1024Mi` as `1Gi`).

Source: apimachinery pkg/api/resource/quantity.go (`ParseQuantity`, `CanonicalizeBytes`). The canonical form has no
fraction and the largest suffix that keeps the value whole, decimal or binary as in the input. Binary numbers under 1024
become decimal ones.
"""

from __future__ import annotations

import re
from decimal import ROUND_UP, Context, Decimal, DecimalException, localcontext
from typing import Any

_PARTS = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+|)")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL = ("n", "u", "m", "", "k", "M", "G", "T", "P", "E")
_NANO = Decimal("1e-9")


def parse(value: Any) -> Decimal:
    """The value of a quantity. Raises ValueError if it is none.

    >>> parse("100m"), parse("1Ki"), parse(2)
    (Decimal('0.100'), Decimal('1024'), Decimal('2'))
    """
    number, suffix = _split(value)
    try:
        with localcontext(Context(prec=60)):
            return _value(number, suffix)
    except DecimalException as error:
        raise ValueError(f"{value!r} is beyond the range of a quantity") from error


def canonical(value: Any) -> Any:
    """The quantity as the API server stores it. A value that is not a quantity is returned unchanged."""
    try:
        number, suffix = _split(value)
        with localcontext(Context(prec=60)):
            return _text(_value(number, suffix), suffix)
    except (ValueError, DecimalException):  # no quantity, or an exponent out of range
        return value


def _split(value: Any) -> tuple[Decimal, str]:
    parts = _PARTS.fullmatch(str(value))
    if parts is None or isinstance(value, bool):
        raise ValueError(f"{value!r} is no quantity")
    return Decimal(parts[1]), parts[2]


def _value(number: Decimal, suffix: str) -> Decimal:
    if suffix in _BINARY[1:]:
        return number * Decimal(1024) ** _BINARY.index(suffix)
    if _is_exponent(suffix):
        return number.scaleb(int(suffix[1:]))
    return number.scaleb(3 * (_DECIMAL.index(suffix) - 3))


def _text(number: Decimal, suffix: str) -> str:
    if suffix in _BINARY[1:]:
        return _binary(number)
    return _exponent(number) if _is_exponent(suffix) else _decimal(number)


def _is_exponent(suffix: str) -> bool:
    return suffix[:1] in ("e", "E") and len(suffix) > 1


def _binary(number: Decimal) -> str:
    if abs(number) < 1024 or number != number.to_integral_value():
        return _decimal(number)
    power = 0
    while number % 1024 == 0 and power < len(_BINARY) - 1 and number:
        number, power = number / 1024, power + 1
    return f"{int(number)}{_BINARY[power]}"


def _decimal(number: Decimal) -> str:
    whole, power = _thousands(number)
    return f"{whole}{_DECIMAL[min(power, len(_DECIMAL) - 1)]}"


def _exponent(number: Decimal) -> str:
    whole, power = _thousands(number)
    return f"{whole}e{3 * (power - 3)}" if power != 3 else str(whole)


def _thousands(number: Decimal) -> tuple[int, int]:
    whole, power = int(number.quantize(_NANO, rounding=ROUND_UP).scaleb(9)), 0
    if not whole:
        return 0, 3
    while whole % 1000 == 0 and power < len(_DECIMAL) - 1:
        whole, power = whole // 1000, power + 1
    return whole, power
