"""Get, create, patch, delete and watch objects as plain dicts, through the official Kubernetes client.

Every failure of the network, of TLS, of a response's body or of its JSON leaves this module as a RefusedError with the
reason UNREACHABLE.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import urllib3

from kserve_nb.access import kube_context
from kserve_nb.values import kubeconfig
from kserve_nb.values.cluster import Cluster
from kserve_nb.values.text.foreign_text import safe
from kserve_nb.values.text.readable_error import ReadableError

if TYPE_CHECKING:
    from kubernetes.client import ApiException

# urllib3 would log every retry to stderr, in whatever cell runs. The error raised here tells what happened.
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)

Object = dict[str, Any]
Query = Sequence[tuple[str, Any]]
_MANAGER = "kserve-nb"
UNREACHABLE = "Unreachable"  # the reason of an error that no API server reported
_TRANSIENT = (UNREACHABLE, "ServiceUnavailable", "TooManyRequests", "Timeout", "ServerTimeout")
_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_TIMEOUT_S = 15  # for a response; a watch has its own
_CONTACT_S = 3  # for a response that only shows that the API server is running
_UNPROXIED = ("localhost", "127.0.0.1", "[::1]")


class Resource(NamedTuple):
    """One kind of object, as it appears in the API's paths.

    >>> POD.path("kserve-test", "my-pod")
    '/api/v1/namespaces/kserve-test/pods/my-pod'
    """

    group: str
    version: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str, name: str = "") -> str:
        """The path of the collection, or of one object."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        scope = f"/namespaces/{namespace}" if self.namespaced else ""
        return f"{root}{scope}/{self.plural}" + (f"/{name}" if name else "")


INFERENCE_SERVICE = Resource("serving.kserve.io", "v1beta1", "inferenceservices")
KNATIVE_SERVICE = Resource("serving.knative.dev", "v1", "services")
REVISION = Resource("serving.knative.dev", "v1", "revisions")
ROUTE = Resource("serving.knative.dev", "v1", "routes")
POD = Resource("", "v1", "pods")
EVENT = Resource("", "v1", "events")
SERVICE = Resource("", "v1", "services")
NAMESPACE = Resource("", "v1", "namespaces", namespaced=False)


class RefusedError(ReadableError, RuntimeError):
    """A request that failed; `reason` is the API server's own, or UNREACHABLE if none responded."""

    def __init__(self, message: str, reason: str = ""):
        super().__init__(message)
        self.reason = reason

    @property
    def transient(self) -> bool:
        """Whether the same request can succeed later, because the API server is restarting or overloaded."""
        return self.reason in _TRANSIENT


class ObjectNotFoundError(RefusedError):
    """The object or its namespace does not exist."""


class ReadOnlyError(RefusedError):
    """A change that was not even sent, because the lab is read-only."""


@dataclass(frozen=True)
class _Request:
    """One request to the API server."""

    method: str
    path: str
    body: Mapping[str, Any] | None = None
    query: Query = ()
    content: str = "application/json"
    timeout_s: float = _TIMEOUT_S


class Client:
    """The objects of one namespace of a cluster. Threads can share a client."""

    def __init__(self, cluster: Cluster):
        self.namespace = cluster.namespace
        self.read_only = cluster.read_only
        self.own_writes: set[tuple[str, int]] = set()  # uid and generation of InferenceServices after our own writes
        self._kubeconfig = cluster.kubeconfig
        self._connect()

    def _connect(self) -> None:
        """Read the kubeconfig."""
        from kubernetes import client, config  # takes half a second, and most commands send no request

        configuration = client.Configuration()
        # The Go clients never send loopback addresses through HTTP_PROXY; neither do we.
        configuration.no_proxy = ",".join(filter(None, (configuration.no_proxy, *_UNPROXIED)))
        file = str(self._kubeconfig)
        with _boundary(file), _valid_content(file):
            self._read_at = self._kubeconfig.stat().st_mtime_ns
            kubeconfig.parse(self._kubeconfig.read_text(encoding="utf-8"))
            api = config.new_client_from_config(file, client_configuration=configuration)
        for header, value in kube_context.impersonation(kube_context.current(self._kubeconfig)).items():
            api.set_default_header(header, value)
        self._api = api

    def _reconnect(self) -> bool:
        """Read the kubeconfig again if it was written since: a cluster that was created again has other credentials."""
        try:
            if self._kubeconfig.stat().st_mtime_ns == self._read_at:
                return False
            self._connect()
        except (OSError, ValueError, RefusedError):  # it is being written, or gone
            return False
        return True

    @property
    def server(self) -> str:
        """HOST:PORT of the API server."""
        return urlsplit(str(self._api.configuration.host)).netloc

    def require_contact(self) -> None:
        """Check that the API server responds. Raises RefusedError if it does not respond in time."""
        try:
            self._send(_Request("GET", "/version", timeout_s=_CONTACT_S)).close()
        except RefusedError as refused:
            if refused.reason == UNREACHABLE:
                raise

    def log(self, pod: str, container: str, lines: int) -> str:
        """The last lines of a container's log."""
        query = [("container", container), ("tailLines", lines)]
        request = _Request("GET", f"{POD.path(self.namespace, pod)}/log", query=query)
        return self._read(request).decode(errors="replace")

    def find(self, kind: Resource, name: str, namespace: str | None = None) -> Object | None:
        """The object; None if it does not exist."""
        try:
            return self._call(_Request("GET", kind.path(namespace or self.namespace, name)))
        except ObjectNotFoundError:
            return None

    def get(self, kind: Resource, name: str) -> Object:
        """The object. Raises ObjectNotFoundError that names what to create: the namespace or the object."""
        found = self.find(kind, name)
        if found is None:
            self.require_namespace()
            raise ObjectNotFoundError(
                f"There is no {kind.plural.removesuffix('s')} {name!r} in namespace {self.namespace}. "
                "Create it with rollout.deploy(model) or kubectl apply.",
                "NotFound",
            )
        return found

    def require_namespace(self) -> Object:
        """The namespace object. Raises ObjectNotFoundError that tells how to create it."""
        found = self.find(NAMESPACE, self.namespace)
        if found is None:
            raise ObjectNotFoundError(
                f"There is no namespace {self.namespace!r}. Create it: %kubectl create namespace {self.namespace}",
                "NotFound",
            )
        return found

    def find_all(self, kind: Resource, labels: str = "", namespace: str | None = None) -> list[Object]:
        """The objects that match a label selector, ordered by name."""
        found = self._call(_Request("GET", kind.path(namespace or self.namespace), query=_selector(labels)))
        return sorted(found.get("items") or [], key=lambda item: str(item["metadata"]["name"]))

    def forbidden(self) -> str:
        """Why RBAC does not let this user change InferenceServices in the namespace; empty if it does.

        Empty as well if the cluster does not review access: it then refuses each write itself.
        """
        group, _, plural, _ = INFERENCE_SERVICE
        for verb in ("create", "patch"):
            attributes = {"namespace": self.namespace, "verb": verb, "group": group, "resource": plural}
            try:
                review = self._call(_Request("POST", _REVIEWS, {
                    "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                    "spec": {"resourceAttributes": attributes}}))
            except RefusedError:
                return ""
            if (review.get("status") or {}).get("allowed") is False:
                return f"RBAC does not let you {verb} {plural} in namespace {self.namespace}"
        return ""

    def create(self, kind: Resource, body: Mapping[str, Any], *, dry_run: bool = False) -> Object:
        """Create the object. Raises RefusedError with the reason AlreadyExists if it exists.

        With `dry_run` the API server validates the object, admission included, and stores nothing.
        """
        if not dry_run:
            self._require_rights()
        query = [("dryRun", "All")] if dry_run else []
        return self._written(kind, self._call(_Request("POST", kind.path(self.namespace), body, query)))

    def raw(self, path: str, timeout_s: float = _TIMEOUT_S) -> str:
        """The response body of a path, as `kubectl get --raw` prints it."""
        return self._read(_Request("GET", path, timeout_s=timeout_s)).decode(errors="replace")

    def patch(self, kind: Resource, name: str, body: Mapping[str, Any], *, dry_run: bool = False) -> Object:
        """Send a merge patch: None removes a field, absent fields stay. With `dry_run` nothing is stored."""
        if not dry_run:
            self._require_rights()
        query = [("fieldManager", _MANAGER), *([("dryRun", "All")] if dry_run else [])]
        path = kind.path(self.namespace, name)
        return self._written(kind, self._call(_Request("PATCH", path, body, query, "application/merge-patch+json")))

    def delete(self, kind: Resource, name: str) -> None:
        """Delete the object. Does nothing if it does not exist."""
        self._require_rights()
        try:
            self._call(_Request("DELETE", kind.path(self.namespace, name), {"propagationPolicy": "Background"}))
        except ObjectNotFoundError:
            return

    @contextmanager
    def watch(self, kind: Resource, labels: str, version: str, timeout_s: int) -> Iterator[urllib3.HTTPResponse]:
        """An open watch from a resourceVersion on. Read it with `events`; its `shutdown()` ends it early."""
        query = [*_selector(labels), ("watch", "true"), ("resourceVersion", version), ("timeoutSeconds", timeout_s)]
        response = self._send(
            _Request("GET", kind.path(self.namespace), query=query, timeout_s=timeout_s + _TIMEOUT_S))
        try:
            yield response
        finally:
            response.close()

    def snapshot(self, kind: Resource, labels: str) -> tuple[list[Object], str]:
        """The objects, and the resourceVersion from which a watch continues."""
        found = self._call(_Request("GET", kind.path(self.namespace), query=_selector(labels)))
        return found.get("items") or [], found["metadata"]["resourceVersion"]

    def _require_rights(self) -> None:
        if self.read_only:
            raise ReadOnlyError(
                f"Cannot change anything, this lab is read-only: {self.read_only}. You can still read: status(), "
                "pods(), predict(). To change something, request the role `edit` in that namespace, or use a cluster "
                'of your own: connect("embedded").',
                "Forbidden",
            )

    def _written(self, kind: Resource, obj: Object) -> Object:
        """Remember that this client wrote an InferenceService."""
        if kind == INFERENCE_SERVICE:
            self.own_writes.add((obj["metadata"].get("uid") or "", obj["metadata"].get("generation") or 0))
        return obj

    def _call(self, request: _Request) -> Object:
        """The JSON object with which the API server responds."""
        data = self._read(request)
        with _boundary(self.server):
            found: Object = json.loads(data)
        return found

    def _read(self, request: _Request) -> bytes:
        """The response body."""
        response = self._send(request)
        with _boundary(self.server):
            data: bytes = response.data
        return data

    def _send(self, request: _Request) -> urllib3.HTTPResponse:
        """The response, its body still unread. If the cluster was created again, the request goes to the new one."""
        try:
            return self._send_once(request)
        except RefusedError as refused:
            if refused.reason not in (UNREACHABLE, "Unauthorized") or not self._reconnect():
                raise
        return self._send_once(request)

    def _send_once(self, request: _Request) -> urllib3.HTTPResponse:
        headers = {"Accept": "application/json"} | ({"Content-Type": request.content} if request.body else {})
        with _boundary(self.server):
            response: urllib3.HTTPResponse = self._api.call_api(
                request.path,
                request.method,
                query_params=list(request.query),
                header_params=headers,
                body=request.body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _request_timeout=request.timeout_s,
            )
        return response


def events(response: urllib3.HTTPResponse) -> Iterator[tuple[str, Object]]:
    """Type and object of each event of a watch, until the server or a shutdown ends it.

    Raises:
        RefusedError: the connection was lost; its reason is UNREACHABLE.
    """
    rest = b""
    with _boundary("the watch"):
        for chunk in response.stream(amt=None):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                event = json.loads(line)
                yield event["type"], event["object"]


@contextmanager
def _boundary(server: str) -> Iterator[None]:
    """Turn every error of the official client, urllib3, the operating system and JSON into a RefusedError."""
    from kubernetes.client import ApiException
    from kubernetes.config import ConfigException

    try:
        yield
    except ApiException as error:
        if error.status:
            raise _refused(error) from None
        raise _unreachable(server, error) from None  # status 0: TLS failed
    except (urllib3.exceptions.HTTPError, ConfigException, OSError, ValueError) as error:
        raise _unreachable(server, error) from None


@contextmanager
def _valid_content(file: str) -> Iterator[None]:
    """Turn every error about the content of a kubeconfig into a RefusedError. The official client does not check it."""
    from kubernetes.config import ConfigException

    try:
        yield
    except ConfigException:
        raise
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        why = safe(" ".join(str(error).split()))
        raise RefusedError(f"Cannot use the kubeconfig {file}: {why}. For an embedded cluster, write it again: "
                           "kserve-nb up", UNREACHABLE) from None


def _unreachable(server: str, error: Exception) -> RefusedError:
    cause = str(getattr(error, "reason", None) or error).rpartition(": ")[2]
    return RefusedError(
        f"{server}: the cluster does not respond ({safe(cause)}). See whether it is running: kserve-nb status",
        UNREACHABLE,
    )


def _refused(error: ApiException) -> RefusedError:
    """The exception for a response that is not a success, with the API server's own message."""
    try:
        status = json.loads(error.body)
    except (TypeError, ValueError):
        status = None
    if not isinstance(status, dict):
        status = {}
    message = safe(status.get("message") or f"HTTP {error.status} {error.reason}")
    reason = status.get("reason") or ""
    if error.status == HTTPStatus.NOT_FOUND:
        return ObjectNotFoundError(message, reason)
    return RefusedError(message, reason)


def _selector(labels: str) -> list[tuple[str, Any]]:
    return [("labelSelector", labels)] if labels else []
