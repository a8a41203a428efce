"""The manifests of the public releases: from the network, or from a folder for machines without one."""

from __future__ import annotations

import hashlib
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import yaml

from kserve_nb.clusters.kind.versions import Part
from kserve_nb.clusters.state import ClusterError
from kserve_nb.values.text.yaml_loader import YamlLoader

_TIMEOUT_S = 120
_BREAK = re.compile(r"^---[ \t]*$", re.MULTILINE)

# KServe's release file has two more controllers, for language models and for models that are stored on nodes. The
# tutorial needs neither, and their webhooks and CRDs would only take memory.
_NOT_NEEDED = ("llmisvc", "llminference", "localmodel")


def cache_folder() -> Path:
    """Where fetched manifests are kept, for all clusters of this user."""
    return Path(platformdirs.user_cache_dir("kserve-nb", appauthor=False)) / "manifests"


@dataclass(frozen=True)
class Manifests:
    """A source of manifests, each reduced to what the tutorial needs."""

    kept: Path  # where they are stored
    given: Path | None = None  # the folder of --manifests; None for the network
    edit: Callable[[str], str] = str  # a change to each text

    def fetch_all(self, parts: Iterable[Part]) -> list[str]:
        """The texts of all manifests of these parts, so that a missing one is found before anything is created.

        Raises:
            ClusterError: some are not in the given folder, or cannot be fetched; the message says what to do.
        """
        self._require(tuple(parts))
        return [self.file(name, url).read_text() for part in parts for name, url in part.manifests]

    def file(self, name: str, url: str) -> Path:
        """The path of the manifest of that name; it is fetched if it is not stored yet."""
        file = self.kept / hashlib.sha256(url.encode()).hexdigest()[:8] / name  # the URL contains the version
        if self.given is None and file.exists():
            text = file.read_text()
        else:
            text = needed(name, (self.given / name).read_text() if self.given else fetch(url))
            _write(file, text)
        edited = self.edit(text)
        if edited == text:
            return file
        changed = file.with_name(f"edited-{name}")
        _write(changed, edited)
        return changed

    def _require(self, parts: tuple[Part, ...]) -> None:
        if self.given is None:
            return
        absent = [(name, url) for part in parts for name, url in part.manifests if not (self.given / name).is_file()]
        if absent:
            listed = "\n".join(f"  curl -L -o {name} {url}" for name, url in absent)
            raise ClusterError(f"Cannot install from --manifests {self.given}: it lacks files. On a machine with a "
                               f"network, download them into that folder:\n{listed}")


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = file.with_suffix(".tmp")
    draft.write_text(text)
    draft.replace(file)


def fetch(url: str) -> str:
    """Download a text. Raises ClusterError, whose message explains how to install without a network."""
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:
            text: str = answer.read().decode()
            return text
    except (urllib.error.URLError, OSError) as error:
        why = getattr(error, "reason", None) or error
        raise ClusterError(
            f"Cannot fetch {url}: {why}. Behind a proxy, set HTTPS_PROXY. Without a network, put the files that "
            "kserve_nb/clusters/kind/versions.json lists into a folder and pass --manifests DIR.") from None


def needed(name: str, text: str) -> str:
    """Those of a manifest's objects that the tutorial needs, unchanged."""
    if not name.startswith("kserve"):
        return text
    return "---".join(part for part in _BREAK.split(text) if _is_needed(name, part))


def _is_needed(name: str, text: str) -> bool:
    found = yaml.load(text, Loader=YamlLoader)
    if not found:
        return False
    meta = found["metadata"]
    if name == "kserve-cluster-resources.yaml":
        return bool(found["kind"] == "ClusterServingRuntime")
    return not any(word in f"{meta['name']} {meta.get('namespace', '')}" for word in _NOT_NEEDED)
