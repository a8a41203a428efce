"""The table of kinds: each kind that the embedded cluster serves or stores is one row.

Discovery, OpenAPI, printed tables, the store, garbage collection, protobuf bodies and the CustomResourceDefinitions
that a cluster lists derive from these rows (see `objects.Kind`). To add a kind, add a row. Only columns whose values
no JSONPath can express need a function, in api/columns/printers.py.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from importlib.resources import files
from typing import Any

from kserve_nb.clusters.embedded.apimachinery.objects import Column, Kind

GROUP_ORDER = (
    "", "apiregistration.k8s.io", "apps", "authentication.k8s.io", "authorization.k8s.io", "autoscaling", "batch",
    "certificates.k8s.io", "networking.k8s.io", "policy", "rbac.authorization.k8s.io", "storage.k8s.io",
    "admissionregistration.k8s.io", "apiextensions.k8s.io", "scheduling.k8s.io", "coordination.k8s.io", "node.k8s.io",
    "discovery.k8s.io", "resource.k8s.io", "flowcontrol.apiserver.k8s.io", "metrics.k8s.io")
"""Groups in the order of discovery. Other groups, those of custom resources, follow by name."""

_CREATED = ".metadata.creationTimestamp"
_CREATED_TEXT = (
    "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed "
    "to be set in happens-before order across separate operations. Clients may not set this value. It is represented "
    "in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata")

# Columns of several kinds. Descriptions are those of kube-apiserver 1.35.
NAME = Column(
    "Name",
    "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a "
    "client to request the generation of an appropriate name automatically. Name is primarily intended for creation "
    "idempotence and configuration definition. Cannot be updated. More info: "
    "https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names", format="name")
AGE = Column("Age", _CREATED_TEXT)
CUSTOM_AGE = Column("Age", path=_CREATED, type="date")
_READY = Column("Ready", path=".status.conditions[?(@.type=='Ready')].status")
_REASON = Column("Reason", path=".status.conditions[?(@.type=='Ready')].reason")
_URL = Column("URL", path=".status.url")
_wide = partial(Column, priority=1)

# Kubernetes

NAMESPACE = Kind(
    "", "v1", "Namespace", "namespaces", False, ("ns",), has_generation=False, further_subresources=("finalize",),
    selectable_fields=("status.phase",), name_rule="label",
    columns=(
        Column("Status", "The status of the namespace"),
        AGE))
NODE = Kind(
    "", "v1", "Node", "nodes", False, ("no",), has_generation=False,
    selectable_fields=("spec.unschedulable",),
    columns=(
        Column("Status", "The status of the node"),
        Column("Roles", "The roles of the node"),
        AGE,
        Column("Version", "Kubelet Version reported by the node."),
        _wide("Internal-IP", "List of addresses reachable to the node."),
        _wide("External-IP", "List of addresses reachable to the node."),
        _wide("OS-Image", "OS Image reported by the node from /etc/os-release (e.g. Debian GNU/Linux 7 (wheezy))."),
        _wide("Kernel-Version", "Kernel Version reported by the node from 'uname -r' (e.g. 3.16.0-0.bpo.4-amd64)."),
        _wide("Container-Runtime",
              "ContainerRuntime Version reported by the node through runtime remote API (e.g. containerd://1.4.2).")))
POD = Kind(
    "", "v1", "Pod", "pods", True, ("po",), ("all",),
    further_subresources=("attach", "exec", "log", "portforward"), ownership="dependent", returned_on_delete=True,
    selectable_fields=("spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
                       "spec.hostNetwork", "status.phase", "status.podIP", "status.nominatedNodeName"),
    columns=(
        Column("Ready", "The aggregate readiness state of this pod for accepting traffic."),
        Column("Status", "The aggregate status of the containers in this pod."),
        Column("Restarts",
               "The number of times the containers in this pod have been restarted and when the last container in "
               "this pod has restarted."),
        AGE,
        _wide("IP",
              "podIP address allocated to the pod. Routable at least within the cluster. Empty if not yet allocated."),
        _wide("Node",
              "NodeName indicates in which node this pod is scheduled. If empty, this pod is a candidate for "
              "scheduling by the scheduler defined in schedulerName. Once this field is set, the kubelet for this "
              "node becomes responsible for the lifecycle of this pod. This field should not be used to express a "
              "desire for the pod to be scheduled on a specific node. "
              "https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#nodename"),
        _wide("Nominated Node",
              "nominatedNodeName is set only when this pod preempts other pods on the node, but it cannot be "
              "scheduled right away as preemption victims receive their graceful termination periods. This field "
              "does not guarantee that the pod will be scheduled on this node. Scheduler may decide to place the pod "
              "elsewhere if other nodes become available sooner. Scheduler may also decide to give the resources on "
              "this node to a higher priority pod that is created after preemption. As a result, this field may be "
              "different than PodSpec.nodeName when the pod is scheduled."),
        _wide("Readiness Gates",
              "If specified, all readiness gates will be evaluated for pod readiness. A pod is ready when all its "
              'containers are ready AND all conditions specified in the readiness gates have status equal to "True" '
              "More info: https://git.k8s.io/enhancements/keps/sig-network/580-pod-readiness-gates")))
SERVICE = Kind(
    "", "v1", "Service", "services", True, ("svc",), ("all",), has_generation=False, ownership="dependent",
    selectable_fields=("spec.clusterIP", "spec.type"), name_rule="label-1035", returned_on_delete=True,
    columns=(
        Column("Type", "type determines how the Service is exposed."),
        Column("Cluster-IP", "clusterIP is the IP address of the service and is usually assigned randomly."),
        Column("External-IP",
               "externalIPs is a list of IP addresses for which nodes in the cluster will also accept traffic for "
               "this service."),
        Column("Port(s)", "The list of ports that are exposed by this service."),
        AGE,
        _wide("Selector", "Route service traffic to pods with label keys and values matching this selector.")))
ENDPOINTS = Kind(
    "", "v1", "Endpoints", "endpoints", True, ("ep",), has_status=False, has_generation=False, ownership="dependent",
    columns=(
        Column("Endpoints", "The set of all endpoints is the union of all subsets."),
        AGE))
ENDPOINT_SLICE = Kind(
    "discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", has_status=False, ownership="dependent",
    type_prefixes=("EndpointSlice", "EndpointConditions", "EndpointHints", "Discovery", "ForZone", "ForNode"),
    columns=(
        Column("AddressType", "addressType specifies the type of address carried by this EndpointSlice."),
        Column("Ports", "ports specifies the list of network ports exposed by each endpoint in this slice."),
        Column("Endpoints", "endpoints is a list of unique endpoints in this slice."),
        AGE))
LEASE = Kind(
    "coordination.k8s.io", "v1", "Lease", "leases", has_status=False, has_generation=False, type_prefixes=("Lease",),
    columns=(
        Column("Holder", "holderIdentity contains the identity of the holder of a current lease."),
        AGE))
EVENT = Kind(
    "", "v1", "Event", "events", True, ("ev",), has_status=False, has_generation=False, ownership="none",
    type_name="CoreV1Event", selectable_fields=(
        *(f"involvedObject.{name}" for name in (
            "kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")),
        "reason", "reportingComponent", "source", "type"),
    columns=(
        Column("Last Seen", "The time at which the most recent occurrence of this event was recorded."),
        Column("Type", "Type of this event (Normal, Warning), new types could be added in the future"),
        Column("Reason",
               "This should be a short, machine understandable string that gives the reason for the transition into "
               "the object's current status."),
        Column("Object", "The object that this event is about."),
        _wide("Subobject",
              "If referring to a piece of an object instead of an entire object, this string should contain a valid "
              "JSON/Go field access statement, such as desiredState.manifest.containers[2]. For example, if the "
              "object reference is to a container within a pod, this would take on a value like: "
              '"spec.containers{name}" (where "name" refers to the name of the container that triggered the event) '
              'or if no container name is specified "spec.containers[2]" (container with index 2 in this pod). This '
              "syntax is chosen only to have some well-defined way of referencing a part of an object."),
        _wide("Source", "The component reporting this event. Should be a short machine understandable string."),
        Column("Message", "A human-readable description of the status of this operation."),
        _wide("First Seen",
              "The time at which the event was first recorded. (Time of server receipt is in TypeMeta.)"),
        _wide("Count", "The number of times this event has occurred."),
        replace(NAME, priority=1)))
CONFIG_MAP = Kind(
    "", "v1", "ConfigMap", "configmaps", True, ("cm",), has_status=False, has_generation=False, ownership="dependent",
    columns=(
        Column("Data", "Data contains the configuration data."),
        AGE))
SECRET = Kind(
    "", "v1", "Secret", "secrets", has_status=False, has_generation=False, selectable_fields=("type",),
    columns=(
        Column("Type", "Used to facilitate programmatic handling of secret data."),
        Column("Data", "Data contains the secret data."),
        AGE))
SERVICE_ACCOUNT = Kind(
    "", "v1", "ServiceAccount", "serviceaccounts", True, ("sa",), has_status=False, has_generation=False,
    further_subresources=("token",), ownership="dependent", returned_on_delete=True,
    columns=(
        Column("Secrets",
               "Secrets is a list of the secrets in the same namespace that pods running using this ServiceAccount "
               "are allowed to use."),
        AGE))
PERSISTENT_VOLUME_CLAIM = Kind(
    "", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", True, ("pvc",), has_generation=False,
    returned_on_delete=True,
    columns=(
        Column("Status", "phase represents the current phase of PersistentVolumeClaim."),
        Column("Volume", "volumeName is the binding reference to the PersistentVolume backing this claim."),
        Column("Capacity", "capacity represents the actual resources of the underlying volume."),
        Column("Access Modes", "accessModes contains the actual access modes the volume backing the PVC has."),
        Column("StorageClass", "storageClassName is the name of the StorageClass required by the claim."),
        Column("VolumeAttributesClass",
               "volumeAttributesClassName may be used to set the VolumeAttributesClass used by this claim."),
        AGE,
        _wide("VolumeMode", "volumeMode defines what type of volume is required by the claim.")))
DEPLOYMENT = Kind(
    "apps", "v1", "Deployment", "deployments", True, ("deploy",), ("all",), further_subresources=("scale",),
    type_prefixes=("Deployment", "RollingUpdate"),
    columns=(
        Column("Ready", "Number of the pod with ready state"),
        Column("Up-to-date",
               "Total number of non-terminating pods targeted by this deployment that have the desired template "
               "spec."),
        Column("Available",
               "Total number of available non-terminating pods (ready for at least minReadySeconds) targeted by this "
               "deployment."),
        AGE,
        _wide("Containers", "Names of each container in the template."),
        _wide("Images", "Images referenced by each container in the template."),
        _wide("Selector",
              "Label selector for pods. Existing ReplicaSets whose pods are selected by this will be the ones "
              "affected by this deployment.")))
REPLICA_SET = Kind(
    "apps", "v1", "ReplicaSet", "replicasets", True, ("rs",), ("all",), further_subresources=("scale",),
    type_prefixes=("ReplicaSet",), selectable_fields=("status.replicas",),
    columns=(
        Column("Desired", "Replicas is the number of desired pods.", type="integer"),
        Column("Current", "Replicas is the most recently observed number of non-terminating pods.", type="integer"),
        Column("Ready",
               "The number of non-terminating pods targeted by this ReplicaSet with a Ready "
               "Condition.", type="integer"),
        AGE,
        _wide("Containers", "Names of each container in the template."),
        _wide("Images", "Images referenced by each container in the template."),
        _wide("Selector", "Selector is a label query over pods that should match the replica count.")))
CUSTOM_RESOURCE_DEFINITION = Kind(
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", False, ("crd", "crds"),
    ("api-extensions",),
    type_prefixes=("CustomResource", "JSONSchemaProps", "ExternalDocumentation", "SelectableField", "Webhook",
                   "ValidationRule", "ServiceReference"),
    columns=(
        Column("Created At", _CREATED_TEXT, type="date"),))

CRD_FINALIZER = "customresourcecleanup.apiextensions.k8s.io"  # holds a definition until its objects are deleted

# KServe

_ISVC_TRAFFIC = ".status.components.predictor.traffic"
_PREV, _LATEST = f"{_ISVC_TRAFFIC}[?(@.tag=='prev')]", f"{_ISVC_TRAFFIC}[?(@.latestRevision==true)]"
_RUNTIME_COLUMNS = (
    Column("Disabled", path=".spec.disabled", type="boolean"),
    Column("ModelType", path=".spec.supportedModelFormats[*].name"),
    Column("Containers", path=".spec.containers[*].name"), CUSTOM_AGE)
INFERENCE_SERVICE = Kind(
    "serving.kserve.io", "v1beta1", "InferenceService", "inferenceservices", True, ("isvc",),
    columns=(
        _URL, _READY,
        Column("Prev", path=f"{_PREV}.percent", type="integer"),
        Column("Latest", path=f"{_LATEST}.percent", type="integer"),
        Column("PrevRolledoutRevision", path=f"{_PREV}.revisionName"),
        Column("LatestReadyRevision", path=f"{_LATEST}.revisionName"), CUSTOM_AGE))
CLUSTER_SERVING_RUNTIME = Kind(
    "serving.kserve.io", "v1alpha1", "ClusterServingRuntime", "clusterservingruntimes", False, has_status=False,
    columns=_RUNTIME_COLUMNS)
SERVING_RUNTIME = Kind(
    "serving.kserve.io", "v1alpha1", "ServingRuntime", "servingruntimes", has_status=False, columns=_RUNTIME_COLUMNS)
CLUSTER_STORAGE_CONTAINER = Kind(
    "serving.kserve.io", "v1alpha1", "ClusterStorageContainer", "clusterstoragecontainers", False, has_status=False,
    columns=(CUSTOM_AGE,))

# Knative and Istio

_KNATIVE = ("all", "knative", "serving")
_LATEST_REVISIONS = (
    Column("LatestCreated", path=".status.latestCreatedRevisionName"),
    Column("LatestReady", path=".status.latestReadyRevisionName"))
KNATIVE_SERVICE = Kind(
    "serving.knative.dev", "v1", "Service", "services", True, ("kservice", "ksvc"), _KNATIVE,
    type_name="KnativeService", columns=(_URL, *_LATEST_REVISIONS, _READY, _REASON))
CONFIGURATION = Kind(
    "serving.knative.dev", "v1", "Configuration", "configurations", True, ("config", "cfg"), _KNATIVE,
    type_name="KnativeConfiguration", columns=(*_LATEST_REVISIONS, _READY, _REASON))
REVISION = Kind(
    "serving.knative.dev", "v1", "Revision", "revisions", True, ("rev",), _KNATIVE, type_name="KnativeRevision",
    columns=(
        Column("Config Name", path=r".metadata.labels['serving\.knative\.dev/configuration']"),
        Column("Generation", path=r".metadata.labels['serving\.knative\.dev/configurationGeneration']"),
        _READY, _REASON,
        Column("Actual Replicas", path=".status.actualReplicas", type="integer"),
        Column("Desired Replicas", path=".status.desiredReplicas", type="integer")))
ROUTE = Kind(
    "serving.knative.dev", "v1", "Route", "routes", True, ("rt",), _KNATIVE, type_name="KnativeRoute",
    columns=(_URL, _READY, _REASON))
POD_AUTOSCALER = Kind(
    "autoscaling.internal.knative.dev", "v1alpha1", "PodAutoscaler", "podautoscalers", True, ("kpa", "pa"),
    ("knative-internal", "autoscaling"), type_name="KnativePodAutoscaler",
    columns=(
        Column("DesiredScale", path=".status.desiredScale", type="integer"),
        Column("ActualScale", path=".status.actualScale", type="integer"), _READY, _REASON))
INGRESS = Kind(
    "networking.internal.knative.dev", "v1alpha1", "Ingress", "ingresses", True, ("kingress", "king"),
    ("knative-internal", "networking"), type_name="KnativeIngress", columns=(_READY, _REASON))
SERVERLESS_SERVICE = Kind(
    "networking.internal.knative.dev", "v1alpha1", "ServerlessService", "serverlessservices", True, ("sks",),
    ("knative-internal", "networking"), type_name="KnativeServerlessService",
    columns=(
        Column("Mode", path=".spec.mode"),
        Column("Activators", path=".spec.numActivators", type="integer"),
        Column("ServiceName", path=".status.serviceName"),
        Column("PrivateServiceName", path=".status.privateServiceName"), _READY, _REASON))
VIRTUAL_SERVICE = Kind(
    "networking.istio.io", "v1", "VirtualService", "virtualservices", True, ("vs",), type_name="IstioVirtualService",
    columns=(Column("Gateways", path=".spec.gateways"), Column("Hosts", path=".spec.hosts"), CUSTOM_AGE))

# Kinds of a real cluster that no InferenceService uses: they can be listed, and creating one is refused.


def _idle(row: dict[str, Any]) -> Kind:
    columns = tuple(Column(**column) for column in row.pop("columns", ()))
    lists = {name: tuple(value) for name, value in row.items() if isinstance(value, list)}
    return Kind(**(row | lists), columns=columns, idle=True)


_IDLE = tuple(map(_idle, json.loads((files(__package__) / "idle_kinds.json").read_text())))

# Kinds of the embedded cluster itself, through which its parts exchange what a real cluster's keep elsewhere.

# Where a pod really runs. Written by the node; read by the gateway (address) and by the API server (logs, exec,
# port-forward, top). Named like its Pod and owned by it.
#   spec:   {"podUID": uid}
#   status: {"address": where the model server listens (`addresses.py`), absent while it does not,
#            "containers": {NAME: {"pids": [int], "log": path of the current log, "previousLog": path or None}}}
#   Log files have the CRI format, as a kubelet's: each line is `<RFC 3339 time with nanoseconds, UTC> stdout F <text>`.
SANDBOX = Kind(
    "embedded.kserve-nb.dev", "v1", "Sandbox", "sandboxes", internal=True, deleted_with="pod")

# What passed through the gateway for one revision. Written by the gateway, read by the autoscaler. Named like its
# Revision.
#   status: {"requests": total since the gateway first saw the revision, "concurrency": mean over the last observation,
#            "rps": mean over the last observation, "waiting": requests held for a pod,
#            "lastRequestTime": RFC 3339 or absent}
REVISION_TRAFFIC = Kind("embedded.kserve-nb.dev", "v1", "RevisionTraffic", "revisiontraffics", internal=True)

# What the autoscaler remembers of a revision between two passes; Knative's keeps it in memory. Named like its
# PodAutoscaler and owned by it.
#   status: {"samples": [[POSIX time, concurrency, rps]], "requests": total at the last pass,
#            "panicSince": POSIX time or absent, "panicPods": most pods desired in this panic,
#            "active": status of the condition Active, "activeSince": POSIX time}
DECIDER = Kind("embedded.kserve-nb.dev", "v1", "Decider", "deciders", internal=True)

# The scheduler's queue and cache of one pod, small enough to read all of them for each pod. Named like its Pod.
#   status: {"podUID": uid, "waiting": whether it has no node yet, "requests": {"cpu": cores, "memory": bytes}}
RESERVATION = Kind(
    "embedded.kserve-nb.dev", "v1", "Reservation", "reservations", internal=True, deleted_with="pod")

KINDS: tuple[Kind, ...] = (*(row for row in tuple(globals().values()) if isinstance(row, Kind)), *_IDLE)
"""All rows of the table."""
