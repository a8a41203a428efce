"""Resource quantities: `1000m` is stored as `1`, `1024Mi` as `1Gi`.

Source: apimachinery pkg/api/resource/quantity.go (`CanonicalizeBytes`): no fraction, the largest suffix that keeps the
value whole, decimal or binary as it was written; binary numbers under 1024 are written as decimal ones.
"""

from __future__ import annotations

import re
from decimal import ROUND_UP, Context, Decimal, DecimalException, localcontext
from typing import Any

_PARTS = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+|)")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL = ("n", "u", "m", "", "k", "M", "G", "T", "P", "E")
_NANO = Decimal("1e-9")


def canonical(value: Any) -> Any:
    """The quantity as the API server writes it; what is none is returned as it is."""
    parts = _PARTS.fullmatch(str(value))
    if parts is None or isinstance(value, bool):
        return value
    try:
        with localcontext(Context(prec=60)):
            return _written(Decimal(parts[1]), parts[2])
    except DecimalException:  # an exponent beyond all bounds
        return value


def _written(number: Decimal, suffix: str) -> str:
    if suffix in _BINARY[1:]:
        return _binary(number * 1024 ** _BINARY.index(suffix))
    if suffix[:1] in ("e", "E") and len(suffix) > 1:
        return _exponent(number.scaleb(int(suffix[1:])))
    return _decimal(number.scaleb(3 * (_DECIMAL.index(suffix) - 3)))


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
