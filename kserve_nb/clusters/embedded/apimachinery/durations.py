"""Durations as Go writes them (`60s`, `1m30s`, `.5s`), and the time since an API timestamp."""

from __future__ import annotations

import re
from datetime import datetime

_UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")


def parse_duration_s(text: str | None) -> float | None:
    """The duration in seconds, or None if the text is missing or not a duration (Go's `time.ParseDuration`)."""
    sign, rest = (-1, text[1:]) if text and text[0] == "-" else (1, (text or "").removeprefix("+"))
    if rest == "0":
        return 0.0
    if not re.fullmatch(rf"(?:{_PART.pattern})+", rest):
        return None
    return sign * sum(float(number) * _UNITS_S[unit] for number, unit in _PART.findall(rest))


def seconds_since(time: str, now: float) -> float:
    """The seconds from an RFC 3339 timestamp to `now` (POSIX seconds)."""
    return now - datetime.fromisoformat(time).timestamp()
