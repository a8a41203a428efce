"""Ages as kubectl prints them (k8s.io/apimachinery pkg/util/duration HumanDuration)."""

from __future__ import annotations

from datetime import UTC, datetime


def since(timestamp: str | None, now: float) -> str:
    """The age of an RFC 3339 time, such as `4m22s`; `<unknown>` without a time."""
    if not timestamp:
        return "<unknown>"
    try:
        moment = datetime.fromisoformat(timestamp)
    except ValueError:
        return "<invalid>"
    return human(now - (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def human(duration_s: float) -> str:
    """A duration in at most two units; the longer it is, the coarser the units."""
    seconds = int(duration_s)
    if seconds < -1:
        return "<invalid>"
    seconds = max(seconds, 0)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    years = days // 365
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return _two(minutes, "m", seconds % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if years < 2:
        return f"{days}d"
    return _two(years, "y", days % 365, "d") if years < 8 else f"{years}y"


def _two(first: int, unit: str, second: int, lesser: str) -> str:
    return f"{first}{unit}{second}{lesser}" if second else f"{first}{unit}"
