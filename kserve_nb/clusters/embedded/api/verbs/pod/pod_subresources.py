"""Subresources of pods: `log`, and the refusal of `exec` and `attach`."""

from __future__ import annotations

from aiohttp import web

from kserve_nb.clusters.embedded.api.store.store import Store
from kserve_nb.clusters.embedded.api.verbs.pod import pod_logs
from kserve_nb.clusters.embedded.api.wire import request_options
from kserve_nb.clusters.embedded.api.wire.request_paths import RequestTarget
from kserve_nb.clusters.embedded.api.wire.responses import headers
from kserve_nb.clusters.embedded.apimachinery.kinds import POD, SANDBOX
from kserve_nb.clusters.embedded.apimachinery.objects import Object, StatusError


async def log(request: web.Request, store: Store, target: RequestTarget) -> web.StreamResponse:
    """GET of a container's log, with `follow` until the container ends."""
    pod = store.get(POD, target.namespace, target.name or "")
    container = _container(pod, request.query.get("container", ""))
    options = pod_logs.LogOptions(
        follow=request_options.flag(request, "follow"), timestamps=request_options.flag(request, "timestamps"),
        tail_lines=request_options.integer(request, "tailLines"),
        limit_bytes=request_options.integer(request, "limitBytes"),
        since=pod_logs.since(request_options.integer(request, "sinceSeconds"), request.query.get("sinceTime", "")))
    previous = request_options.flag(request, "previous")
    path = _log_path(store, pod, container, previous=previous)

    def current() -> str | None:
        return None if request.transport is None else _log_path_now(store, pod, container)

    with pod_logs.open_log(path) as file:
        response = web.StreamResponse(headers=headers() | {"Content-Type": "text/plain"})
        await response.prepare(request)
        try:
            async for text in pod_logs.read(file, options, current, store.history):
                await response.write(text)
            await response.write_eof()
        except ConnectionError:
            pass  # the client has disconnected
    return response


async def refuse(request: web.Request, store: Store, target: RequestTarget) -> web.StreamResponse:
    """Refuse exec and attach, because pods have no file system to run a command in. Raises StatusError 405."""
    store.entry(POD, target.namespace, target.name or "")
    raise StatusError(
        405, "MethodNotAllowed",
        f'Cannot {target.subresource} into pod "{target.name}": the pods of the embedded cluster are processes of this '
        "machine without a root file system. Use kubectl logs or kubectl port-forward instead",
        {"name": target.name or "", "kind": "pods"})


def _containers(pod: Object, field: str) -> list[str]:
    return [container["name"] for container in (pod.get("spec") or {}).get(field) or []]


def _container(pod: Object, name: str) -> str:
    own, init, pod_name = _containers(pod, "containers"), _containers(pod, "initContainers"), pod["metadata"]["name"]
    if name in (*own, *init):
        return name
    if name:
        raise StatusError(400, "BadRequest", f"container {name} is not valid for pod {pod_name}")
    if len(own) == 1:
        return own[0]
    also = f" or one of the init containers: [{' '.join(init)}]" if init else ""
    raise StatusError(400, "BadRequest", f"a container name must be specified for pod {pod_name}, choose one of: "
                                         f"[{' '.join(own)}]{also}")


def _sandbox_container(store: Store, pod: Object, container: str) -> Object:
    """What the node reports of a container: its processes and log files; empty if the container has not started."""
    sandbox = store.find(SANDBOX, pod["metadata"]["namespace"], pod["metadata"]["name"]) or {}
    if (sandbox.get("spec") or {}).get("podUID") not in (None, pod["metadata"]["uid"]):
        return {}
    found: Object = ((sandbox.get("status") or {}).get("containers") or {}).get(container) or {}
    return found


def _log_path(store: Store, pod: Object, container: str, *, previous: bool) -> str:
    name = pod["metadata"]["name"]
    if not (pod.get("spec") or {}).get("nodeName"):
        raise StatusError(400, "BadRequest", f"pod {name} does not have a host assigned")
    path = _sandbox_container(store, pod, container).get("previousLog" if previous else "log")
    if path:
        return str(path)
    if previous:
        raise StatusError(400, "BadRequest", f'previous terminated container "{container}" in pod "{name}" not found')
    raise StatusError(400, "BadRequest",
                      f'container "{container}" in pod "{name}" is waiting to start: {_waiting_reason(pod, container)}')


def _log_path_now(store: Store, pod: Object, container: str) -> str | None:
    """The path of a running container's current log, or None if the container does not run."""
    now = store.find(POD, pod["metadata"]["namespace"], pod["metadata"]["name"])
    if now is None or now["metadata"]["uid"] != pod["metadata"]["uid"]:
        return None
    found = _sandbox_container(store, pod, container)
    return str(found["log"]) if found.get("log") and found.get("pids") else None


def _waiting_reason(pod: Object, container: str) -> str:
    status = pod.get("status") or {}
    for row in (*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())):
        if row.get("name") == container:
            return str(((row.get("state") or {}).get("waiting") or {}).get("reason") or "ContainerCreating")
    return "ContainerCreating"
