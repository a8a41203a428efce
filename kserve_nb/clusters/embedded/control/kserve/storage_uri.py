"""Which storage URIs KServe accepts.

Sources: kserve pkg/controller/v1beta1/inferenceservice/utils/utils.go `ValidateStorageURI`,
pkg/webhook/admission/pod/storage_initializer_injector.go `GetContainerSpecForStorageUri`.
"""

from __future__ import annotations

import re

from kserve_nb.clusters.embedded.control.kserve.serving_runtime import PredictorError
from kserve_nb.clusters.embedded.kinds import CLUSTER_STORAGE_CONTAINER
from kserve_nb.clusters.embedded.objects import Objects

_SCHEMES = ("gs://", "s3://", "pvc://", "file://", "https://", "http://", "hdfs://", "webhdfs://", "oci://",
            "oci+native://", "hf://")
_AZURE_BLOB = re.compile(r"https://(.+?).blob.core.windows.net/(.+)")


def check_storage_uri(uri: str, view: Objects) -> None:
    """Raise PredictorError for a URI that no storage container supports."""
    for container in view.list(CLUSTER_STORAGE_CONTAINER):
        for known in container["spec"].get("supportedUriFormats") or []:
            prefix, regex = known.get("prefix"), known.get("regex")
            if (prefix and uri.startswith(prefix)) or (not prefix and regex and re.search(regex, uri)):
                return
    supported = _AZURE_BLOB.match(uri) if "blob.core.windows.net" in uri else uri.startswith(_SCHEMES)
    if supported or not re.search(r"\w+?://", uri):
        return
    raise PredictorError(
        f"StorageURI not supported: storageUri, must be one of: [{', '.join(_SCHEMES)}] or match "
        "https://{}.blob.core.windows.net/{}/{} or be an absolute or relative local path. "
        f"StorageUri [{uri}] is not supported")
