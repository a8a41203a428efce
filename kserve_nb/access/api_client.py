"""Get, create, patch, delete and watch objects as plain dicts, through the official Kubernetes client."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import urllib3
from kubernetes import client as kubernetes
from kubernetes import config

from kserve_nb.access import kube_context
from kserve_nb.values.cluster import Cluster

# What urllib3 tries again it says on stderr, in whatever cell is running; who gives up is told here what happened.
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)

Object = dict[str, Any]
_MANAGER = "kserve-nb"
UNREACHABLE = "Unreachable"  # the reason of a refusal that no API server wrote
_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_TIMEOUT_S = 15  # for one answer; a watch has its own
_CONTACT_S = 3  # for one that says no more than that the cluster is there
_UNPROXIED = ("localhost", "127.0.0.1", "[::1]")


class Resource(NamedTuple):
    """Where the API serves one kind of object."""

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


class RefusedError(RuntimeError):
    """The API server did not do what was asked; `reason` is its own word for why."""

    def __init__(self, message: str, reason: str = ""):
        super().__init__(message)
        self.reason = reason


class ObjectNotFoundError(RefusedError):
    """There is no such object, or no such namespace."""


class ReadOnlyError(RefusedError):
    """A change was asked for where nothing may be changed; nothing was asked of the cluster."""


class Client:
    """A namespace of a cluster, as its API serves it."""

    def __init__(self, cluster: Cluster):
        configuration = kubernetes.Configuration()
        # The Go clients never send loopback addresses through HTTP_PROXY; neither do we.
        configuration.no_proxy = ",".join(filter(None, (configuration.no_proxy, *_UNPROXIED)))
        self.namespace = cluster.namespace
        self.read_only = cluster.read_only
        self._api = config.new_client_from_config(str(cluster.kubeconfig), client_configuration=configuration)
        for header, value in kube_context.current(cluster.kubeconfig).impersonation.items():
            self._api.set_default_header(header, value)

    @property
    def server(self) -> str:
        """HOST:PORT of the API server."""
        return urlsplit(str(self._api.configuration.host)).netloc

    def require_contact(self) -> None:
        """Ask for no more than an answer. Raises RefusedError where none comes in time."""
        try:
            self._send("GET", "/version", None, [], "", _CONTACT_S).close()
        except RefusedError as refused:
            if refused.reason == UNREACHABLE:
                raise

    def log(self, pod: str, container: str, lines: int) -> str:
        """The last lines of a container's log."""
        query = [("container", container), ("tailLines", lines)]
        path = f"{POD.path(self.namespace, pod)}/log"
        return self._send("GET", path, None, query, "", _TIMEOUT_S).data.decode(errors="replace")

    def find(self, kind: Resource, name: str, namespace: str | None = None) -> Object | None:
        """The object, or None where there is none."""
        try:
            return self._call("GET", kind.path(namespace or self.namespace, name))
        except ObjectNotFoundError:
            return None

    def get(self, kind: Resource, name: str) -> Object:
        """The object. Raises ObjectNotFoundError that says what to create: the namespace or the object."""
        found = self.find(kind, name)
        if found is None:
            self.require_namespace()
            raise ObjectNotFoundError(
                f"{name}: there is none among the {kind.plural} of {self.namespace}. "
                "Create it with rollout.deploy(model) or kubectl apply.",
                "NotFound",
            )
        return found

    def require_namespace(self) -> Object:
        """The namespace object. Raises ObjectNotFoundError that says how to create it."""
        found = self.find(NAMESPACE, self.namespace)
        if found is None:
            raise ObjectNotFoundError(
                f"{self.namespace}: there is no such namespace. Create it: %kubectl create namespace {self.namespace}",
                "NotFound",
            )
        return found

    def find_all(self, kind: Resource, labels: str = "", namespace: str | None = None) -> list[Object]:
        """The objects that a label selector picks, ordered by name."""
        answer = self._call("GET", kind.path(namespace or self.namespace), query=_selector(labels))
        return sorted(answer.get("items") or [], key=lambda item: str(item["metadata"]["name"]))

    def forbidden(self) -> str:
        """Why InferenceServices of this namespace may only be looked at, as the cluster's RBAC says; empty otherwise.

        A cluster that does not answer such questions is taken to allow it: it refuses each write by itself.
        """
        group, _, plural, _ = INFERENCE_SERVICE
        for verb in ("create", "patch"):
            wanted = {"namespace": self.namespace, "verb": verb, "group": group, "resource": plural}
            try:
                review = self._call("POST", _REVIEWS, {"kind": "SelfSubjectAccessReview", "spec": {
                    "resourceAttributes": wanted}, "apiVersion": "authorization.k8s.io/v1"})
            except RefusedError:
                return ""
            if (review.get("status") or {}).get("allowed") is False:
                return f"RBAC does not let you {verb} {plural} in namespace {self.namespace}"
        return ""

    def create(self, kind: Resource, body: Mapping[str, Any], *, dry_run: bool = False) -> Object:
        """Create the object. Raises RefusedError with reason AlreadyExists where there is one.

        With `dry_run` all is done but the storing: admission is asked.
        """
        if not dry_run:
            self._require_rights()
        query = [("dryRun", "All")] if dry_run else []
        return self._call("POST", kind.path(self.namespace), body, query=query)

    def raw(self, path: str, timeout_s: float = _TIMEOUT_S) -> str:
        """The body that a path answers with, as `kubectl get --raw` prints it."""
        body: bytes = self._send("GET", path, None, [], "", timeout_s).data
        return body.decode("utf-8", "replace")

    def patch(self, kind: Resource, name: str, body: Mapping[str, Any], *, dry_run: bool = False) -> Object:
        """Merge-patch the object: what is None goes away, what is absent stays. With `dry_run` nothing is stored."""
        if not dry_run:
            self._require_rights()
        query = [("fieldManager", _MANAGER), *([("dryRun", "All")] if dry_run else [])]  # others are told who wrote it
        path = kind.path(self.namespace, name)
        return self._call("PATCH", path, body, query=query, content="application/merge-patch+json")

    def delete(self, kind: Resource, name: str) -> None:
        """Delete the object; a second time does nothing."""
        self._require_rights()
        try:
            self._call("DELETE", kind.path(self.namespace, name), {"propagationPolicy": "Background"})
        except ObjectNotFoundError:
            return

    @contextmanager
    def watch(self, kind: Resource, labels: str, version: str, timeout_s: int) -> Iterator[urllib3.HTTPResponse]:
        """An open watch from a resourceVersion on: feed it to `events`, and shut it down to end it early."""
        query = [*_selector(labels), ("watch", "true"), ("resourceVersion", version), ("timeoutSeconds", timeout_s)]
        answer = self._send("GET", kind.path(self.namespace), None, query, "", timeout_s + _TIMEOUT_S)
        try:
            yield answer
        finally:
            answer.close()

    def snapshot(self, kind: Resource, labels: str) -> tuple[list[Object], str]:
        """The objects and the resourceVersion of the list: where a watch begins."""
        answer = self._call("GET", kind.path(self.namespace), query=_selector(labels))
        return answer.get("items") or [], answer["metadata"]["resourceVersion"]

    def _require_rights(self) -> None:
        if self.read_only:
            raise ReadOnlyError(
                f"nothing is changed, this lab is read-only: {self.read_only}. You can still look: status(), pods(), "
                "predict(). To change something, ask for the role `edit` in that namespace, or learn on "
                'a cluster of your own: connect("embedded").',
                "Forbidden",
            )

    def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: list[tuple[str, Any]] | None = None,
        content: str = "application/json",
    ) -> Object:
        answer = self._send(method, path, body, query or [], content, _TIMEOUT_S)
        found: Object = json.loads(answer.data)
        return found

    def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        query: list[tuple[str, Any]],
        content: str,
        timeout_s: float,
    ) -> urllib3.HTTPResponse:
        headers = {"Accept": "application/json"} | ({"Content-Type": content} if body else {})
        try:
            answer: urllib3.HTTPResponse = self._api.call_api(
                path,
                method,
                query_params=query,
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _request_timeout=timeout_s,
            )
        except kubernetes.ApiException as error:
            raise _refused(error) from None
        except urllib3.exceptions.HTTPError as error:
            raise RefusedError(
                f"{self._api.configuration.host}: the cluster does not respond ({_cause(error)}). "
                "See whether it is up: kserve-nb status.",
                UNREACHABLE,
            ) from None
        return answer


def events(answer: urllib3.HTTPResponse) -> Iterator[tuple[str, Object]]:
    """Type and object of each event of a watch, until the server or a shutdown ends it."""
    rest = b""
    for chunk in answer.stream(amt=None):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            event = json.loads(line)
            yield event["type"], event["object"]


def _selector(labels: str) -> list[tuple[str, Any]]:
    return [("labelSelector", labels)] if labels else []


def _cause(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return str(reason).rpartition(": ")[2]


def _refused(error: Any) -> RefusedError:
    """The exception for an answer that is not a success, in the API server's own words."""
    try:
        status = json.loads(error.body)
    except (TypeError, ValueError):
        status = {}
    message = status.get("message") or f"HTTP {error.status} {error.reason}"
    reason = status.get("reason") or ""
    if error.status == HTTPStatus.NOT_FOUND:
        return ObjectNotFoundError(message, reason)
    return RefusedError(message, reason)
