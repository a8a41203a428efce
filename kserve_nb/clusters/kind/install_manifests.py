"""The manifests of the public releases: from the network, or from a folder for machines without one."""

from __future__ import annotations

import hashlib
import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kserve_nb.clusters.kind.versions import Part
from kserve_nb.clusters.state import ClusterError

_TIMEOUT_S = 120
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the CRDs are megabytes
_BREAK = re.compile(r"^---[ \t]*$", re.MULTILINE)

# KServe's release file holds two more controllers, for language models and for models kept on nodes. The tutorial needs
# neither, and their webhooks and CRDs would only take memory.
_NOT_KSERVE = ("llmisvc", "llminference", "localmodel")


@dataclass(frozen=True)
class Manifests:
    """Where manifests come from, and where those that were fetched are kept."""

    kept: Path
    given: Path | None = None  # --manifests DIR

    def require(self, parts: tuple[Part, ...]) -> None:
        """Raises ClusterError that lists what the given folder lacks; without such a folder there is nothing to say."""
        if self.given is None:
            return
        absent = [url for part in parts for name, url in part.manifests if not (self.given / name).is_file()]
        if absent:
            listed = "\n".join(f"  curl -L -o {_name(url, parts)} {url}" for url in absent)
            raise ClusterError(f"--manifests {self.given} lacks files. Where there is a network, get them in it by\n"
                               f"{listed}")

    def file(self, name: str, url: str) -> Path:
        """The manifest as a file, reduced to what the tutorial needs."""
        ready = self.kept / hashlib.sha256(url.encode()).hexdigest()[:8] / name  # the URL holds the version
        if self.given is not None:
            text = (self.given / name).read_text()
        elif ready.exists():
            return ready
        else:
            text = fetch(url)
        ready.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = ready.with_suffix(".tmp")
        draft.write_text(needed(name, text))
        draft.replace(ready)
        return ready


def fetch(url: str) -> str:
    """The text at that address. Raises ClusterError that says how to do without the network."""
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:
            text: str = answer.read().decode()
            return text
    except (urllib.error.URLError, OSError) as error:
        why = getattr(error, "reason", None) or error
        raise ClusterError(
            f"{url} cannot be fetched: {why}. Behind a proxy, set HTTPS_PROXY; without a network, put the files of "
            "kserve_nb/clusters/kind/versions.json into a folder and say --manifests DIR.") from None


def needed(name: str, text: str) -> str:
    """Those of a manifest's objects that the tutorial needs, as they are written."""
    if not name.startswith("kserve"):
        return text
    return "---".join(part for part in _BREAK.split(text) if _wanted(name, part))


def _wanted(name: str, text: str) -> bool:
    found = yaml.load(text, Loader=_LOADER)
    if not found:
        return False
    meta = found["metadata"]
    if name == "kserve-cluster-resources.yaml":
        return bool(found["kind"] == "ClusterServingRuntime")
    return not any(word in f"{meta['name']} {meta.get('namespace', '')}" for word in _NOT_KSERVE)


def _name(url: str, parts: tuple[Part, ...]) -> str:
    return next(name for part in parts for name, address in part.manifests if address == url)
