"""Read the value of a Prometheus query."""

from __future__ import annotations

import math

import requests

_TIMEOUT_S = 5


def query_value(url: str, query: str) -> float | None:
    """The value of an instant query with one result; None without one, or if Prometheus does not respond.

    Missing data is no reason to stop a rollout: the gate is inconclusive then.
    """
    try:
        response = requests.get(f"{url.rstrip('/')}/api/v1/query", params={"query": query}, timeout=_TIMEOUT_S)
        data = response.json()["data"]
        result = data["result"]
        sample = result if data["resultType"] == "scalar" else result[0]["value"]
        value = float(sample[1])
    except (requests.RequestException, ValueError, KeyError, IndexError, TypeError):
        return None
    return None if math.isnan(value) else value
