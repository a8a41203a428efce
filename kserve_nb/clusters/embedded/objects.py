"""What all parts of the embedded cluster share: the kinds it knows, the store's contract, small helpers for objects.

Objects are plain dicts in the shape of their JSON. The API server, the reconcilers, the node and the gateway meet
only through them: each gets an `Objects` and knows nothing of the others.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any, Literal, NamedTuple, Protocol

Object = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """What a cluster was started with, as its parts need it."""

    speed: float = 10  # divides the windows below; never pod start, ages or timestamps
    gateway: Literal["istio", "kourier"] = "istio"  # the form of the InferenceService's URLs
    ingress_host: str = "127.0.0.1"
    ingress_port: int = 8080
    domain: str = "example.com"
    node: str = "embedded"  # the node's name

    def window_s(self, real_s: float) -> float:
        """A waiting time of a real cluster (stable window, grace, drain, progress deadline, back-off) at this speed."""
        return real_s / self.speed


@dataclass(frozen=True)
class Kind:
    """One kind of object: its group, version, names and scope, as discovery tells them."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    internal: bool = False  # lives in the store alone: never served over HTTP
    has_status: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """`inferenceservices.serving.kserve.io`, `pods`: how messages of the API server name the kind."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def is_custom(self) -> bool:
        """Whether a CustomResourceDefinition defines the kind: its group has a domain that is not Kubernetes' own."""
        return "." in self.group and not self.group.endswith(".k8s.io")


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
#   status: {"address": "127.0.0.1:PORT" of the model server or absent while it does not listen,
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


class StatusError(Exception):
    """What an API server refuses with: an HTTP code, a reason and a message, as a `Status` object carries them."""

    def __init__(self, code: int, reason: str, message: str, details: Object | None = None):
        super().__init__(message)
        self.code, self.reason, self.message, self.details = code, reason, message, details or {}


class NotFoundError(StatusError):
    def __init__(self, kind: Kind, name: str):
        super().__init__(404, "NotFound", f'{kind.resource} "{name}" not found',
                         {"name": name, "group": kind.group, "kind": kind.plural})


class AlreadyExistsError(StatusError):
    def __init__(self, kind: Kind, name: str):
        super().__init__(409, "AlreadyExists", f'{kind.resource} "{name}" already exists',
                         {"name": name, "group": kind.group, "kind": kind.plural})


class ConflictError(StatusError):
    def __init__(self, kind: Kind, name: str):
        super().__init__(
            409, "Conflict",
            f'Operation cannot be fulfilled on {kind.resource} "{name}": the object has been modified; '
            "please apply your changes to the latest version and try again",
            {"name": name, "group": kind.group, "kind": kind.plural})


class ExpiredError(StatusError):
    """A watch asked to begin at a version that is no longer kept."""


class WatchEvent(NamedTuple):
    """A change of an object: what happened, and the object after it (before it, for DELETED)."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: Object


class Objects(Protocol):
    """The store as the other parts see it. Returned objects are theirs to change: they are copies.

    Calls do not block on anything but memory and a local database, so they are plain functions; every call but the
    reads runs admission (defaulting, validation) and bumps metadata.generation when the spec changed, exactly as a
    request over HTTP does.
    """

    def get(self, kind: Kind, namespace: str | None, name: str) -> Object:
        """The object. Raises NotFoundError."""

    def find(self, kind: Kind, namespace: str | None, name: str) -> Object | None:
        """The object, or None where there is none."""

    def list(self, kind: Kind, namespace: str | None = None, labels: Mapping[str, str] | None = None) -> list[Object]:
        """All objects of a kind, in a namespace or everywhere, that carry all of `labels`; by namespace and name."""

    def create(self, kind: Kind, body: Object, *, dry_run: bool = False) -> Object:
        """Store a new object (metadata.generateName is honoured). Raises AlreadyExistsError, StatusError.
        With `dry_run` all is done but the storing."""

    def update(self, kind: Kind, body: Object, *, dry_run: bool = False) -> Object:
        """Replace all but status. Where body carries a resourceVersion it must be the current one: ConflictError.
        Writes nothing, and sends no event, when nothing changes. With `dry_run` all is done but the storing."""

    def update_status(self, kind: Kind, body: Object) -> Object:
        """Replace status alone; otherwise as `update`."""

    def delete(self, kind: Kind, namespace: str | None, name: str, *, uid: str | None = None,
               grace_period_s: float | None = None) -> Object | None:
        """Mark for deletion, or remove at once where neither finalizers nor (pods) a grace period keep the object.
        For a pod that runs on a node, a first call sets metadata.deletionTimestamp and deletionGracePeriodSeconds, and
        the node ends it with `grace_period_s=0`. Returns what is left, None when it is gone. Raises NotFoundError."""

    def watch(self, *kinds: Kind) -> AsyncIterator[WatchEvent]:
        """First an ADDED for each object there is, then every change as it happens, until the iterator is closed."""


def utc(moment: float) -> str:
    """A POSIX time as the API writes times: whole seconds, UTC."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def key_of(obj: Mapping[str, Any]) -> tuple[str | None, str]:
    """Namespace and name of an object."""
    meta = obj["metadata"]
    return meta.get("namespace"), meta["name"]


def owner_reference(owner: Object) -> Object:
    """The controller reference that makes `owner` the object that a child goes away with."""
    meta = owner["metadata"]
    return {"apiVersion": owner["apiVersion"], "blockOwnerDeletion": True, "controller": True,
            "kind": owner["kind"], "name": meta["name"], "uid": meta["uid"]}


def condition(obj: Mapping[str, Any], type_: str) -> Object:
    """The condition of that type, or an empty dict."""
    conditions = (obj.get("status") or {}).get("conditions") or []
    return next((c for c in conditions if c["type"] == type_), {})


def is_true(obj: Mapping[str, Any], type_: str) -> bool:
    """Whether the condition of that type is True."""
    return condition(obj, type_).get("status") == "True"
