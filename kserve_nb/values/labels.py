"""Keys of the labels, annotations and finalizers that Kubernetes, Knative and KServe use.

Sources: knative.dev/serving pkg/apis/serving/register.go and pkg/apis/autoscaling/register.go, knative.dev/networking
pkg/apis/networking/register.go, kserve pkg/constants/constants.go.
"""

from __future__ import annotations

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

SERVING = "serving.knative.dev/"
CONFIGURATION_LABEL, CONFIGURATION_UID_LABEL = f"{SERVING}configuration", f"{SERVING}configurationUID"
CONFIGURATION_GENERATION_LABEL = f"{SERVING}configurationGeneration"
REVISION_LABEL, REVISION_UID_LABEL = f"{SERVING}revision", f"{SERVING}revisionUID"
ROUTE_LABEL, ROUTE_NAMESPACE_LABEL = f"{SERVING}route", f"{SERVING}routeNamespace"
ROUTING_STATE_LABEL = f"{SERVING}routingState"
SERVICE_LABEL, SERVICE_UID_LABEL = f"{SERVING}service", f"{SERVING}serviceUID"
VISIBILITY_LABEL, CLUSTER_LOCAL = "networking.knative.dev/visibility", "cluster-local"

CREATOR, LAST_MODIFIER = f"{SERVING}creator", f"{SERVING}lastModifier"
PROGRESS_DEADLINE = f"{SERVING}progress-deadline"
REVISION_PRESERVED = f"{SERVING}no-gc"
ROLLOUT, ROLLOUT_DURATION = "networking.internal.knative.dev/rollout", f"{SERVING}rollout-duration"
ROUTES = f"{SERVING}routes"
ROUTING_STATE_MODIFIED = f"{SERVING}routingStateModified"

AUTOSCALING = "autoscaling.knative.dev/"
INITIAL_SCALE = f"{AUTOSCALING}initial-scale"
MIN_SCALE, MAX_SCALE = f"{AUTOSCALING}min-scale", f"{AUTOSCALING}max-scale"
KPA_CLASS, HPA_CLASS = "kpa.autoscaling.knative.dev", "hpa.autoscaling.knative.dev"

INGRESS_FINALIZER = "ingresses.networking.internal.knative.dev"

INFERENCE_SERVICE_LABEL = "serving.kserve.io/inferenceservice"
DEPLOYMENT_MODE = "serving.kserve.io/deploymentMode"
TAG_ROUTING = "serving.kserve.io/enable-tag-routing"
KSERVE_INTERNAL = "internal.serving.kserve.io/"
SOURCE_URI = f"{KSERVE_INTERNAL}storage-initializer-sourceuri"  # on a pod: the storageUri of its model
