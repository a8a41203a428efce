"""The magics %kubectl, %%kubectl, %curl and %%curl: the tutorial's commands as they are written. A failure raises.

Never use `!kubectl` in a notebook: it discards the exit code, so a broken step would pass.
"""

from __future__ import annotations

import os
import sys
from collections import ChainMap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import no_var_expand

from kserve_nb.magics import command_line, kubectl, kubectl_table
from kserve_nb.magics.curl import CurlError, curl
from kserve_nb.magics.kubectl import KubectlError
from kserve_nb.values.cluster import Cluster
from kserve_nb.values.text.foreign_text import safe

Publish = Callable[[dict[str, str]], object]  # shows one output in several forms, by MIME type

_ALLOW = "--allow"


class Output(str):
    """What a command printed, for `x = %kubectl …`. A cell that ends with it does not show it a second time."""

    __slots__ = ()

    def _ipython_display_(self) -> None:
        """Display nothing: the text was printed already."""


def load(shell: InteractiveShell, cluster: Cluster) -> None:
    """Make %kubectl and %curl of this session use that cluster."""
    is_notebook = hasattr(shell, "kernel")
    magics = LabMagics(cluster, shell.user_ns, shell.display_pub.publish if is_notebook else None)
    for name, magic in (("kubectl", magics.kubectl), ("curl", magics.curl)):
        shell.register_magic_function(magic, "line_cell", name)


class LabMagics:
    """The magics of a notebook that is connected to a cluster.

    Args:
        names: the notebook's variables.
        publish: shows an output as text and as HTML; None in a terminal, where text is printed.
    """

    def __init__(self, cluster: Cluster, names: Mapping[str, Any], publish: Publish | None = None):
        self._cluster = cluster
        self._names = names
        self._publish = publish

    @no_var_expand  # type: ignore[untyped-decorator]  # ours: `{.status.url}` of a jsonpath is not Python
    def kubectl(self, line: str, cell: str = "") -> Output:
        """Run the real kubectl: `%kubectl get isvc`, or `%%kubectl apply -f -` with YAML in the cell.

        `--allow REASON` in front tolerates one reason of a failure (AlreadyExists, NotFound), so that a cell can run
        twice. `| jq [filter]` at the end filters JSON. A command that follows something (`get -w`, `logs -f`,
        `port-forward`) shows its output as it comes, until you interrupt the kernel.
        """
        text, allowed = _allowed(line)
        command = command_line.read(text, self._variables())
        live = kubectl.follows(command.words)
        if live and command.jq is not None:
            raise KubectlError("Cannot filter output that does not end: remove `| jq`, or the option to follow.")
        done = (
            kubectl.follow(self._cluster, command.words, cell, _show)
            if live
            else kubectl.run(self._cluster, command.words, cell)
        )
        command_line.log(f"kubectl {line}", ("kubectl", *command.words), cell, done.code)
        if done.code and not (allowed and f"({allowed})" in done.stderr):
            raise KubectlError(kubectl.cause_first(safe(done.stderr)) or f"kubectl ended with exit code {done.code}")
        if live:
            return Output(done.stdout.rstrip("\n"))
        if done.stderr:
            print(safe(done.stderr), end="", file=sys.stderr)
        return self._show(command.shown(done.stdout) if done.stdout.strip() else done.stdout)

    @no_var_expand  # type: ignore[untyped-decorator]  # as above
    def curl(self, line: str, cell: str = "") -> Output:
        """Send the request of a curl line: `%curl -v -H "Host: …" http://…`, or the page's own line below `%%curl`."""
        text = "\n".join(filter(None, (line.strip(), cell.strip())))
        command = command_line.read(text, self._variables())
        words = command.words[1:] if command.words[:1] == ("curl",) else command.words
        try:
            head, body = curl(words, Path.cwd())
        except CurlError as error:
            command_line.log(text, ("curl", *words), "", error.code)
            raise
        command_line.log(text, ("curl", *words), "", 0)
        print(safe(head))
        return _print(command.shown(body))

    def _show(self, text: str) -> Output:
        """Print the text; in a notebook, kubectl's tables appear as HTML, and the text beside it is for programs."""
        table = kubectl_table.html(text) if self._publish else ""
        if not table or not self._publish:
            return _print(text)
        output = Output(text.rstrip("\n"))
        self._publish({"text/plain": safe(output), "text/html": table})
        return output

    def _variables(self) -> Mapping[str, Any]:
        """The values for $NAME: the notebook's own texts and numbers, then the environment."""
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


def _show(text: str) -> None:
    print(text, end="", flush=True)


def _print(text: str) -> Output:
    if text.strip():
        print(safe(text).rstrip("\n"))
    return Output(text.rstrip("\n"))
