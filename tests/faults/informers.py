"""Clients that follow all ConfigMaps of a namespace through restarts of the server, as controllers do (informers)."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from types import TracebackType
from typing import Self

import kr8s.asyncio
import urllib3
from kubernetes import client, config, watch
from kubernetes.client.rest import ApiException

TIMEOUT_S = 10
Versions = dict[str, str]  # the resourceVersion of each object, by its name


class OfficialInformer:
    """List and watch with the official Python client: a watch that breaks continues where it was."""

    def __init__(self, kubeconfig: str, namespace: str):
        configuration = client.Configuration()
        config.load_kube_config(kubeconfig, client_configuration=configuration)
        self._api = client.CoreV1Api(client.ApiClient(configuration))
        self._namespace = namespace
        self.versions: Versions = {}
        self.breaks = 0  # how often a watch or a list failed
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._stopped.set()
        self._thread.join(60)

    def _run(self) -> None:
        version = ""
        while not self._stopped.is_set():
            try:
                version = self._watch(version or self._list())
            except ApiException as error:
                self.breaks += 1
                version = "" if error.status == 410 else version
            except (urllib3.exceptions.HTTPError, ValueError):  # in the middle of an answer
                self.breaks += 1

    def _list(self) -> str:
        found = self._api.list_namespaced_config_map(self._namespace, _request_timeout=TIMEOUT_S)
        self.versions = {item.metadata.name: item.metadata.resource_version for item in found.items}
        return str(found.metadata.resource_version)

    def _watch(self, version: str) -> str:
        stream = watch.Watch()
        for event in stream.stream(self._api.list_namespaced_config_map, self._namespace, resource_version=version,
                                   timeout_seconds=2, _request_timeout=TIMEOUT_S):
            meta = event["object"].metadata
            apply(self.versions, event["type"], meta.name, meta.resource_version)
            version = meta.resource_version
        return version


class Kr8sInformer:
    """Watch with kr8s; a watch that breaks is started again."""

    def __init__(self, kubeconfig: str, namespace: str):
        self._kubeconfig, self._namespace = kubeconfig, namespace
        self.versions: Versions = {}
        self.breaks = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),), daemon=True)
        self._stop = asyncio.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)

    async def _run(self) -> None:
        task = asyncio.create_task(self._follow())
        await self._stop.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def _follow(self) -> None:
        while True:
            with contextlib.suppress(Exception):  # kr8s raises what httpx raises when the server is killed
                api = await kr8s.asyncio.api(kubeconfig=self._kubeconfig)
                self.versions = {}  # a new watch begins with all existing objects
                async for event, item in api.watch("configmaps", namespace=self._namespace):
                    apply(self.versions, event, item.name, item.metadata.resourceVersion)
            self.breaks += 1
            await asyncio.sleep(0.05)


def apply(versions: Versions, event: str, name: str, version: str) -> None:
    """Apply a watch event to the objects of an informer."""
    if event == "DELETED":
        versions.pop(name, None)
    elif event in ("ADDED", "MODIFIED"):
        versions[name] = version
