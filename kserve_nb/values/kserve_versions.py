"""What differs between KServe 0.11 and 0.21 for those who use it from outside. Nothing else asks for a version.

The lab never needs to know which KServe it is on: each difference is met by what holds for all of them.
"""

from __future__ import annotations

# Since 0.11 the model server reads a body as JSON only where the header says so, compared as it stands; older ones do
# not mind. Tutorials of before then leave it out, and get a 500 that speaks of a 2D array.
JSON_HEADERS = {"Content-Type": "application/json"}

# Since 0.16 `status.deploymentMode` says Standard; 0.11 to 0.15 have the annotation alone, and called it RawDeployment.
_WITHOUT_CANARY = ("Standard", "RawDeployment")


def knative_services(name: str) -> tuple[str, ...]:
    """The names that an InferenceService's Knative Service may have, the likeliest first.

    `NAME-predictor` since 0.11. What was created with 0.10 or before keeps `NAME-predictor-default` until 0.15.
    """
    return f"{name}-predictor", f"{name}-predictor-default"


def ignores_canary(deployment_mode: str) -> bool:
    """Whether canaryTrafficPercent does nothing in this mode; the field is empty before 0.16, where nobody can tell."""
    return deployment_mode in _WITHOUT_CANARY
