"""Names of container images."""

from __future__ import annotations


def pull_policy(image: str) -> str:
    """The default imagePullPolicy: Always for the tag `latest` or no tag, IfNotPresent for other tags and for digests.

    Source: kubernetes pkg/apis/core/v1/defaults.go `SetDefaults_Container`.
    """
    last = image.rpartition("/")[2]
    if "@" in last:
        return "IfNotPresent"
    return "Always" if ":" not in last or last.endswith(":latest") else "IfNotPresent"
