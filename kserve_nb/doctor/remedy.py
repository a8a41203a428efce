"""The remedy of a finding: a sentence, and one command for a terminal or a notebook cell."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_MAGICS = ("kubectl ", "curl ", "pip ")  # commands that a cell runs with a leading %


@dataclass(frozen=True)
class Remedy:
    """A sentence and a command; either may be empty. The command is complete: it runs as it is pasted.

    >>> fix = Remedy("delete the InferenceService", shell="kubectl delete isvc a -n b")
    >>> fix.shown()
    'delete the InferenceService: kubectl delete isvc a -n b'
    >>> fix.shown(notebook=True)
    'delete the InferenceService: %kubectl delete isvc a -n b'
    """

    text: str = ""
    shell: str = ""
    cell: str = ""  # for a notebook; by default the shell command as a magic

    def command(self, notebook: bool = False) -> str:
        """The command to paste; empty when there is none for this place."""
        if not notebook:
            return self.shell
        return self.cell or (f"%{self.shell}" if self.shell.startswith(_MAGICS) else "")

    def shown(self, notebook: bool = False) -> str:
        """The sentence and the command in one line."""
        command = self.command(notebook)
        text = self.text
        if notebook and not command and self.shell:
            command, text = self.shell, f"{text}, in a terminal" if text else "in a terminal"
        return ": ".join(filter(None, (text, command)))


def kubectl(verb: str, *words: str, namespace: str = "") -> str:
    """A kubectl command line; the namespace is always named, so that the line does not depend on the context."""
    scope = ("-n", namespace) if namespace else ()
    return shlex.join(("kubectl", verb, *words, *scope))


def merge_patch(kind: str, name: str, namespace: str, patch: Mapping[str, Any]) -> str:
    """A `kubectl patch` command that merges a patch into an object."""
    return kubectl("patch", kind, name, "--type", "merge", "-p", json.dumps(patch), namespace=namespace)


def percent_patch(name: str, namespace: str, percent: int | None) -> str:
    """A `kubectl patch` command that sets canaryTrafficPercent, or removes it (None), which promotes."""
    return merge_patch("isvc", name, namespace, {"spec": {"predictor": {"canaryTrafficPercent": percent}}})


def pod_log(pod: str, container: str, namespace: str) -> str:
    """A `kubectl logs` command for the end of one container's log."""
    return kubectl("logs", pod, "-c", container, "--tail=20", namespace=namespace)


def wait_ready(name: str, namespace: str) -> str:
    """A `kubectl wait` command that ends when an InferenceService is ready."""
    return kubectl("wait", f"isvc/{name}", "--for=condition=Ready", "--timeout=180s", namespace=namespace)
