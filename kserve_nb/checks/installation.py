"""Which Kubernetes and KServe a cluster has, and whether canaryTrafficPercent does anything on it."""

from __future__ import annotations

import json
import re
from typing import Any

from kserve_nb.access.api_client import (
    INFERENCE_SERVICE,
    KNATIVE_SERVICE,
    Client,
    Object,
    ObjectNotFoundError,
    RefusedError,
    Resource,
)
from kserve_nb.checks.check import CheckFailed, step
from kserve_nb.values.kserve_versions import ignores_canary

_CONFIG_MAP = Resource("", "v1", "configmaps")
_CONFIG, _HOME = "inferenceservice-config", "kserve"
_TAG = re.compile(r":v?(\d[\w.-]*)$")  # of an image


def check(client: Client, hint: bool) -> tuple[str, dict[str, Any]]:
    """The line of a passed check, and what was seen. Raises CheckFailed where a canary cannot work."""
    kubernetes = json.loads(client.raw("/version")).get("gitVersion") or "of no version"
    lacking = [kind.group for kind in (INFERENCE_SERVICE, KNATIVE_SERVICE) if not _serves(client, kind)]
    config = _config(client)
    mode, version = _entry(config, "deploy", "defaultDeploymentMode"), _version(config)
    if lacking:
        raise CheckFailed(
            "KServe in Knative mode is not installed here",
            f"the API groups {INFERENCE_SERVICE.group} and {KNATIVE_SERVICE.group}",
            f"Kubernetes {kubernetes} without {' and '.join(lacking)}",
            step("use a cluster that has them", "kserve-nb up, or kserve-nb up --cluster kind", hint),
        )
    if ignores_canary(mode):
        raise CheckFailed(
            f"KServe runs in {mode} mode: canaryTrafficPercent would be ignored",
            "Knative mode (Serverless, as its configuration may call it)",
            f"defaultDeploymentMode: {mode} in the config map {_CONFIG}",
            step("set the mode, or use another cluster", f"kubectl edit configmap -n {_HOME} {_CONFIG}", hint),
        )
    seen = {"kubernetes": kubernetes, "kserve": version, "mode": mode}
    return f"KServe{version and f' {version}'} in Knative mode, on Kubernetes {kubernetes}", seen


def _serves(client: Client, kind: Resource) -> bool:
    try:
        client.find_all(kind)
    except ObjectNotFoundError:
        return False
    except RefusedError as refused:
        if refused.reason != "Forbidden":  # what may not be read is there
            raise
    return True


def _config(client: Client) -> Object:
    """KServe's configuration; empty where it may not be read."""
    try:
        return client.find(_CONFIG_MAP, _CONFIG, _HOME) or {}
    except RefusedError:
        return {}


def _version(config: Object) -> str:
    """KServe's version: the tag of an image that is released with it."""
    found = _TAG.search(_entry(config, "storageInitializer", "image"))
    return found[1] if found else ""


def _entry(config: Object, key: str, name: str) -> str:
    """A value of one entry, which is JSON in a string."""
    loaded = json.loads((config.get("data") or {}).get(key) or "{}")
    return str(loaded.get(name) or "")
