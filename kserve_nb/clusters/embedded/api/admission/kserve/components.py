"""The components of an InferenceService and their implementations, as KServe's webhooks find them.

Source: kserve 0.20 pkg/apis/serving/v1beta1/{predictor,transformer,explainer}.go (`GetImplementations`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kserve_nb.clusters.embedded.apimachinery.objects import Object

# In the order in which the defaulter looks for them.
FRAMEWORKS = ("sklearn", "tensorflow", "xgboost", "pytorch", "triton", "onnx", "huggingface", "pmml", "lightgbm",
              "paddle")
COMPONENTS = ("predictor", "transformer", "explainer")
SERVER = "kserve-container"
CUSTOM = "containers"


def implementations(component: str, body: Object) -> list[str]:
    """The fields of a component that implement it; `containers` for each custom implementation."""
    containers = body.get("containers") or []
    if component != "predictor":
        named = ["art"] if component == "explainer" and "art" in body else []
        return [*named, CUSTOM] if containers else named
    named = [name for name in (*FRAMEWORKS, "model") if name in body]
    custom = [CUSTOM for container in containers if container.get("name") == SERVER]
    return [*named, *custom] or ([CUSTOM] if containers else [])


def storage_uri(component: str, body: Object) -> str | None:
    """The storage URI of a component's first implementation (`GetStorageUri`)."""
    found = implementations(component, body)
    if not found:
        return None
    if found[0] != CUSTOM:
        uri: str | None = body[found[0]].get("storageUri")
        return None if component == "explainer" and uri == "" else uri
    return _custom_storage_uri(component, body["containers"])


def variable(container: Object, name: str) -> Any:
    """The value of a container's environment variable, None if it is not set."""
    return next((env.get("value", "") for env in container.get("env") or [] if env.get("name") == name), None)


def containers_of(component: str, body: Object) -> Iterator[Object]:
    """The containers of a component: of its frameworks, and those that it names."""
    yield from (body[name] for name in ("model", *FRAMEWORKS, "art") if name in body)
    for field in ("containers", "initContainers"):
        yield from body.get(field) or []


def _custom_storage_uri(component: str, containers: list[Object]) -> str | None:
    if component == "predictor":
        servers = [container for container in containers if container.get("name") == SERVER][:1]
    else:
        servers = containers[:1]
    uri: str | None = next((variable(container, "STORAGE_URI") for container in servers), None)
    return uri
