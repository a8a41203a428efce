"""Differences between KServe 0.11 and 0.21 that concern clients.

The lab never checks the version: it does what works on all of these versions.
"""

from __future__ import annotations

# Since 0.11 the model server parses a body as JSON only if this header has exactly this value. Tutorials from before
# 0.11 leave it out; the response is then a 500 that mentions a 2D array.
JSON_HEADERS = {"Content-Type": "application/json"}

# Since 0.16 `status.deploymentMode` is Standard. 0.11 to 0.15 only have the annotation, with the value RawDeployment.
_WITHOUT_CANARY = ("Standard", "RawDeployment")


def ignores_canary(deployment_mode: str) -> bool:
    """Whether canaryTrafficPercent has no effect in this mode. Before 0.16 the mode is empty, and this is unknown."""
    return deployment_mode in _WITHOUT_CANARY
