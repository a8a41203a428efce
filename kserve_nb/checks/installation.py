"""The check of the cluster's installation: its Kubernetes and KServe versions, and whether canary percents work."""

from __future__ import annotations

import json
import re

from kserve_nb.access.api_client import (
    INFERENCE_SERVICE,
    KNATIVE_SERVICE,
    Client,
    Object,
    ObjectNotFoundError,
    RefusedError,
    Resource,
)
from kserve_nb.checks.check import CheckFailed, Outcome, step
from kserve_nb.values.kserve_versions import ignores_canary

_CONFIG_MAP = Resource("", "v1", "configmaps")
_CONFIG, _KSERVE_NAMESPACE = "inferenceservice-config", "kserve"
_TAG = re.compile(r":v?(\d[\w.-]*)$")  # of an image


def backend(client: Client, hint: bool) -> Outcome:
    """Pass on a cluster with KServe in Knative mode."""
    kubernetes = json.loads(client.raw("/version")).get("gitVersion") or "of unknown version"
    lacking = [kind.group for kind in (INFERENCE_SERVICE, KNATIVE_SERVICE) if not _serves(client, kind)]
    config = _config(client)
    mode, version = _entry(config, "deploy", "defaultDeploymentMode"), _version(config)
    if lacking:
        raise CheckFailed(
            "KServe in Knative mode is not installed",
            f"the API groups {INFERENCE_SERVICE.group} and {KNATIVE_SERVICE.group}",
            f"Kubernetes {kubernetes} without {' and '.join(lacking)}",
            step("use a cluster that has them", "kserve-nb up, or kserve-nb up --cluster kind", hint),
        )
    if ignores_canary(mode):
        raise CheckFailed(
            f"KServe runs in {mode} mode: canaryTrafficPercent would be ignored",
            "Knative mode (its older name is Serverless)",
            f"defaultDeploymentMode: {mode} in the ConfigMap {_CONFIG}",
            step(
                "set the mode, or use another cluster", f"kubectl edit configmap -n {_KSERVE_NAMESPACE} {_CONFIG}", hint
            ),
        )
    seen = {"kubernetes": kubernetes, "kserve": version, "mode": mode}
    return f"KServe{version and f' {version}'} in Knative mode, on Kubernetes {kubernetes}", seen


def _serves(client: Client, kind: Resource) -> bool:
    try:
        client.find_all(kind)
    except ObjectNotFoundError:
        return False
    except RefusedError as refused:
        if refused.reason != "Forbidden":  # a forbidden kind is served: RBAC refuses it after routing
            raise
    return True


def _config(client: Client) -> Object:
    """KServe's ConfigMap; empty when it is missing or forbidden."""
    try:
        return client.find(_CONFIG_MAP, _CONFIG, _KSERVE_NAMESPACE) or {}
    except RefusedError:
        return {}


def _version(config: Object) -> str:
    """KServe's version, read from the tag of an image that is released with it."""
    found = _TAG.search(_entry(config, "storageInitializer", "image"))
    return found[1] if found else ""


def _entry(config: Object, key: str, name: str) -> str:
    """One value of a ConfigMap entry that is JSON in a string."""
    loaded = json.loads((config.get("data") or {}).get(key) or "{}")
    return str(loaded.get(name) or "")
