"""KServe's rules for `storageUris` and for confidential models.

Source: kserve 0.20 pkg/apis/serving/v1beta1/inference_service_validation.go (`validateMultipleStorageURIs`,
`validateConfidential`), pkg/validation/confidential.go, pkg/utils/storage.go (`FindCommonParentPath`).
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator

from kserve_nb.clusters.embedded.api.admission.kserve.components import FRAMEWORKS, implementations, storage_uri
from kserve_nb.clusters.embedded.api.admission.review import Review
from kserve_nb.clusters.embedded.apimachinery.objects import Object

_RESOURCE_ID = r"kbs:///[a-zA-Z0-9_.-]+/[a-zA-Z0-9_.-]+/[a-zA-Z0-9_.-]+"
_NO_STORAGE = "confidential model serving requires storageUri to be set"
_WITHOUT_EFFECT = {
    "oci://": "confidential has no effect with OCI URIs; OCI image decryption is handled by the container runtime via "
              "runtimeClassName",
    "pvc://": "confidential has no effect with PVC URIs; the storage-initializer is not injected for PVC volumes"}


def storage_uris_problems(component: str, body: Object) -> Iterator[str]:
    """The problems of a component's `storageUris`."""
    uris = body.get("storageUris")
    if uris is None:
        return
    if storage_uri(component, body) is not None:
        yield "Setting both StorageURI and StorageURIs is not supported."
    for uri in uris:
        yield from _uri_problems(uri.get("uri") or "", uri.get("mountPath") or "")
    claims = [uri["mountPath"] for uri in uris if uri["uri"].startswith("pvc://")]
    paths = [uri["mountPath"] for uri in uris if not uri["uri"].startswith("pvc://")]
    if len(paths) <= 1:
        return
    if len(set(claims)) < len(claims):
        yield "PVC storage paths must be unique"
    if posixpath.commonpath([f"/{path.strip('/')}" for path in paths]) == "/":
        yield (f"storage paths must have a common parent directory. Current paths: [{' '.join(paths)}] have no common "
               "parent beyond root")


def confidential_problems(review: Review, predictor: Object) -> Iterator[str]:
    """The problems of a predictor whose model is confidential, and warnings."""
    body: Object = next((predictor[name] for name in (*FRAMEWORKS, "model") if name in predictor), {})
    confidential = body.get("confidential") or {}
    if not confidential.get("enabled"):
        return
    uri = storage_uri("predictor", predictor) if implementations("predictor", predictor) else None
    if not uri:
        yield _NO_STORAGE
        return
    review.warnings += [text for prefix, text in _WITHOUT_EFFECT.items() if uri.startswith(prefix)]
    resource_id = confidential.get("resourceId")
    if resource_id and not re.fullmatch(_RESOURCE_ID, resource_id):
        yield (f"spec.predictor.confidential.resourceId: Invalid value: {json.dumps(resource_id)}: must be in the "
               "format kbs:///<repo>/<type>/<tag>")


def _uri_problems(uri: str, path: str) -> Iterator[str]:
    if not uri:
        yield "storage URI cannot be empty"
    if path == "/":
        yield "storage path cannot be empty"
    if not path.startswith("/"):
        yield f"storage path must be absolute: {path}"
    if ".." in path:
        yield f"storage path cannot contain '..' for security reasons: {path}"
