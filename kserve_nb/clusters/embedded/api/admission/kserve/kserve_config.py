"""The settings in ConfigMap kserve/inferenceservice-config that KServe's webhooks read.

Source: kserve 0.20 pkg/apis/serving/v1beta1/configmap.go.
"""

from __future__ import annotations

import json
from typing import Any

from kserve_nb.clusters.embedded.apimachinery.kinds import CONFIG_MAP
from kserve_nb.clusters.embedded.apimachinery.objects import Objects

LEGACY_MODES = {"Serverless": "Knative", "RawDeployment": "Standard"}


def section(objects: Objects, key: str) -> dict[str, Any]:
    """The JSON object under a key of the ConfigMap, empty if absent. Raises ValueError for a value that is not JSON."""
    config = objects.find(CONFIG_MAP, "kserve", "inferenceservice-config") or {}
    parsed: Any = json.loads((config.get("data") or {}).get(key) or "{}")
    return parsed if isinstance(parsed, dict) else {}


def default_deployment_mode(objects: Objects) -> str:
    """The deployment mode of InferenceServices without the annotation (`NewDeployConfig`). Raises ValueError."""
    mode = str(section(objects, "deploy").get("defaultDeploymentMode") or "")
    if not mode:
        return "Knative"
    mode = LEGACY_MODES.get(mode, mode)
    if mode not in ("Knative", "Standard", "ModelMesh"):
        raise ValueError("invalid deployment mode. Supported modes are Knative, Standard and ModelMesh")
    return mode


def default_resources(objects: Objects) -> dict[str, dict[str, str]]:
    """The requests and limits of a custom container that names none (`setResourceRequirementDefaults`)."""
    given = section(objects, "inferenceService").get("resource") or {}
    return {kind: {resource: str(given[f"{resource}{suffix}"]) for resource in ("cpu", "memory")
                   if given.get(f"{resource}{suffix}")}
            for kind, suffix in (("requests", "Request"), ("limits", "Limit"))}
