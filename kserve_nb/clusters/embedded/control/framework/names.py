"""Label and annotation keys of Knative and KServe.

Sources: knative.dev/serving pkg/apis/serving/register.go, kserve pkg/constants/constants.go.
"""

from __future__ import annotations

_SERVING = "serving.knative.dev/"
CONFIGURATION_LABEL, CONFIGURATION_UID_LABEL = f"{_SERVING}configuration", f"{_SERVING}configurationUID"
CONFIGURATION_GENERATION_LABEL = f"{_SERVING}configurationGeneration"
REVISION_LABEL, REVISION_UID_LABEL = f"{_SERVING}revision", f"{_SERVING}revisionUID"
ROUTE_LABEL, ROUTE_NAMESPACE_LABEL = f"{_SERVING}route", f"{_SERVING}routeNamespace"
ROUTING_STATE_LABEL = f"{_SERVING}routingState"
SERVICE_LABEL, SERVICE_UID_LABEL = f"{_SERVING}service", f"{_SERVING}serviceUID"
VISIBILITY_LABEL, CLUSTER_LOCAL = "networking.knative.dev/visibility", "cluster-local"

CREATOR, LAST_MODIFIER = f"{_SERVING}creator", f"{_SERVING}lastModifier"
REVISION_PRESERVED = f"{_SERVING}no-gc"
ROLLOUT, ROLLOUT_DURATION = "networking.internal.knative.dev/rollout", f"{_SERVING}rollout-duration"
ROUTES = f"{_SERVING}routes"
ROUTING_STATE_MODIFIED = f"{_SERVING}routingStateModified"
