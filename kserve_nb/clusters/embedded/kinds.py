"""The table of kinds: everything that the embedded cluster serves or stores, one row a kind."""

from __future__ import annotations

import json
from importlib.resources import files

from kserve_nb.clusters.embedded.objects import Kind

_KNATIVE = ("all", "knative", "serving")

NAMESPACE = Kind("", "v1", "Namespace", "namespaces", False, ("ns",))
NODE = Kind("", "v1", "Node", "nodes", False, ("no",))
POD = Kind("", "v1", "Pod", "pods", True, ("po",), ("all",))
SERVICE = Kind("", "v1", "Service", "services", True, ("svc",), ("all",))
ENDPOINTS = Kind("", "v1", "Endpoints", "endpoints", True, ("ep",), has_status=False)
ENDPOINT_SLICE = Kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", has_status=False)
LEASE = Kind("coordination.k8s.io", "v1", "Lease", "leases", has_status=False)
EVENT = Kind("", "v1", "Event", "events", True, ("ev",), has_status=False)
CONFIG_MAP = Kind("", "v1", "ConfigMap", "configmaps", True, ("cm",), has_status=False)
SECRET = Kind("", "v1", "Secret", "secrets", True, has_status=False)
SERVICE_ACCOUNT = Kind("", "v1", "ServiceAccount", "serviceaccounts", True, ("sa",), has_status=False)
PERSISTENT_VOLUME_CLAIM = Kind("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", True, ("pvc",))
DEPLOYMENT = Kind("apps", "v1", "Deployment", "deployments", True, ("deploy",), ("all",))
REPLICA_SET = Kind("apps", "v1", "ReplicaSet", "replicasets", True, ("rs",), ("all",))
INFERENCE_SERVICE = Kind("serving.kserve.io", "v1beta1", "InferenceService", "inferenceservices", True, ("isvc",))
CLUSTER_SERVING_RUNTIME = Kind(
    "serving.kserve.io", "v1alpha1", "ClusterServingRuntime", "clusterservingruntimes", False)
SERVING_RUNTIME = Kind("serving.kserve.io", "v1alpha1", "ServingRuntime", "servingruntimes")
CLUSTER_STORAGE_CONTAINER = Kind(
    "serving.kserve.io", "v1alpha1", "ClusterStorageContainer", "clusterstoragecontainers", False, has_status=False)
KNATIVE_SERVICE = Kind("serving.knative.dev", "v1", "Service", "services", True, ("kservice", "ksvc"), _KNATIVE)
CONFIGURATION = Kind("serving.knative.dev", "v1", "Configuration", "configurations", True, ("config", "cfg"), _KNATIVE)
REVISION = Kind("serving.knative.dev", "v1", "Revision", "revisions", True, ("rev",), _KNATIVE)
ROUTE = Kind("serving.knative.dev", "v1", "Route", "routes", True, ("rt",), _KNATIVE)
POD_AUTOSCALER = Kind(
    "autoscaling.internal.knative.dev", "v1alpha1", "PodAutoscaler", "podautoscalers", True,
    ("kpa", "pa"), ("knative-internal", "autoscaling"))
INGRESS = Kind(
    "networking.internal.knative.dev", "v1alpha1", "Ingress", "ingresses", True,
    ("kingress", "king"), ("knative-internal", "networking"))
SERVERLESS_SERVICE = Kind(
    "networking.internal.knative.dev", "v1alpha1", "ServerlessService", "serverlessservices", True,
    ("sks",), ("knative-internal", "networking"))
VIRTUAL_SERVICE = Kind("networking.istio.io", "v1", "VirtualService", "virtualservices", True, ("vs",))
# Of a real cluster and never used by an InferenceService: they can be listed, and nothing makes one.
IDLE_KINDS = tuple(
    Kind(row["group"], row["version"], row["kind"], row["plural"], row["namespaced"], tuple(row["short"]),
         tuple(row["categories"]), has_status=row["has_status"])
    for row in json.loads((files(__package__) / "idle_kinds.json").read_text()))
CUSTOM_RESOURCE_DEFINITION = Kind(
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", False, ("crd", "crds"))

# Where a pod really runs: written by the node, read by the gateway (address) and the API server (logs, exec,
# port-forward, top). Named like its Pod, in the same namespace, owned by it.
#   spec:   {"podUID": uid}
#   status: {"address": where the model server listens (`addresses.py`), absent while it does not,
#            "containers": {NAME: {"pids": [int], "log": path of the current log, "previousLog": path or None}}}
#   The log files are in the CRI format, as a kubelet's: each line is
#   `<RFC 3339 time with nanoseconds, UTC> stdout F <text>`.
SANDBOX = Kind("embedded.kserve-nb.dev", "v1", "Sandbox", "sandboxes", internal=True)

# What went through the gateway for one revision: written by the gateway, read by the autoscaler. Named like its
# Revision.
#   status: {"requests": total since the gateway first saw it, "concurrency": mean over the last observation,
#            "rps": mean over the last observation, "waiting": requests held for a pod,
#            "lastRequestTime": RFC 3339 or absent}
REVISION_TRAFFIC = Kind("embedded.kserve-nb.dev", "v1", "RevisionTraffic", "revisiontraffics", internal=True)

# What the autoscaler remembers of a revision between two looks, as Knative's keeps it in memory. Named like its
# PodAutoscaler, owned by it.
#   status: {"samples": [[POSIX time, concurrency, rps]], "requests": total at the last look,
#            "panicSince": POSIX time or absent, "panicPods": most pods asked for in this panic,
#            "active": status of the condition Active, "activeSince": POSIX time}
DECIDER = Kind("embedded.kserve-nb.dev", "v1", "Decider", "deciders", internal=True)

# What the scheduler knows of a pod: its queue and its cache in one, small enough to read them all for every pod. Named
# like its Pod.
#   status: {"podUID": uid, "waiting": whether it has no node yet, "requests": {"cpu": cores, "memory": bytes}}
RESERVATION = Kind("embedded.kserve-nb.dev", "v1", "Reservation", "reservations", internal=True)

KINDS: tuple[Kind, ...] = (*(value for value in list(globals().values()) if isinstance(value, Kind)), *IDLE_KINDS)
