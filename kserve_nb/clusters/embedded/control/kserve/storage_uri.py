"""Which storage URIs KServe accepts.

Source: kserve pkg/controller/v1beta1/inferenceservice/utils/utils.go `ValidateStorageURI`.
"""

from __future__ import annotations

import re

from kserve_nb.clusters.embedded.apimachinery.kinds import CLUSTER_STORAGE_CONTAINER
from kserve_nb.clusters.embedded.apimachinery.objects import Objects
from kserve_nb.clusters.embedded.control.kserve.serving_runtime import PredictorError
from kserve_nb.clusters.embedded.storage_initializer import find_storage_container

_SCHEMES = ("gs://", "s3://", "pvc://", "file://", "https://", "http://", "hdfs://", "webhdfs://", "oci://",
            "oci+native://", "hf://")
_AZURE_BLOB = re.compile(r"https://(.+?).blob.core.windows.net/(.+)")


def check_storage_uri(uri: str, view: Objects) -> None:
    """Raise PredictorError for a URI that no storage container supports."""
    if find_storage_container(uri, None, view.list(CLUSTER_STORAGE_CONTAINER)) is not None:
        return
    supported = _AZURE_BLOB.match(uri) if "blob.core.windows.net" in uri else uri.startswith(_SCHEMES)
    if supported or not re.search(r"\w+?://", uri):
        return
    raise PredictorError(
        f"StorageURI not supported: storageUri, must be one of: [{', '.join(_SCHEMES)}] or match "
        "https://{}.blob.core.windows.net/{}/{} or be an absolute or relative local path. "
        f"StorageUri [{uri}] is not supported")
