"""Labels, annotations and states of the Kubernetes, Knative and KServe APIs that several folders use."""

from __future__ import annotations

INFERENCE_SERVICE_LABEL = "serving.kserve.io/inferenceservice"  # on what KServe creates: the owner's name
REVISION_LABEL = "serving.knative.dev/revision"  # on a pod: the name of its revision
TAG_ROUTING = "serving.kserve.io/enable-tag-routing"  # annotation of an InferenceService: adds the `latest-` host
SOURCE_URI = "internal.serving.kserve.io/storage-initializer-sourceuri"  # annotation of a revision: its storageUri
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

UNKNOWN_HOST = "no-such-model.example.com"  # a Host that no route matches: the gateway answers with an empty 404
