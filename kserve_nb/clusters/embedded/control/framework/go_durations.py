"""Durations as Go writes them (`60s`, `1m30s`, `500ms`), and how long ago an API object's time is."""

from __future__ import annotations

import re
from datetime import datetime

_UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")


def parse_duration_s(text: str | None) -> float | None:
    """The duration in seconds, or None where there is none or it cannot be read (Go's `time.ParseDuration`)."""
    if not text or not re.fullmatch(rf"(?:{_PART.pattern})+", text):
        return None
    return sum(float(number) * _UNITS_S[unit] for number, unit in _PART.findall(text))


def seconds_since(time: str, now: float) -> float:
    """How long before `now` (POSIX seconds) a time in RFC 3339 is."""
    return now - datetime.fromisoformat(time).timestamp()
