"""Run the commands that the doctor prints, as a person would paste them into a terminal or a cell."""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
import selectors
import shlex
import subprocess
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kserve_nb.access.api_client import Resource
from kserve_nb.cli import main
from kserve_nb.doctor import Finding
from kserve_nb.lab import Lab
from kserve_nb.magics import command_line
from kserve_nb.magics.magics import LabMagics

TIMEOUT_S = 30
_CHANGES = re.compile(r"kubectl (?:patch|label|annotate|create|delete) ")
# Deployments of a real cluster; an embedded one has their controllers without them.
_REAL_ONLY = re.compile(r"deployment/(?:kserve-controller-manager|activator)\b")
_NODES = Resource("", "v1", "nodes", namespaced=False)
_POD = re.compile(r"[\w-]+-predictor-\d{5}-deployment-[0-9a-f]+-\w{5}")
_ISVC = re.compile(r"\b(isvc[ /])[\w-]+(?= -| --)")


@dataclass(frozen=True)
class Place:
    """The values that replace the recorded names in a command: those of a running model in the middle of a canary."""

    lab: Lab
    folder: Path

    def adapted(self, command: str) -> str:
        """The command with the names, the namespace and the addresses of the running cluster."""
        lab, pods = self.lab, self.lab.rollout().pods()
        command = _POD.sub(pods[-1].name, command)
        command = re.sub(r"\bkserve-test\b", lab.cluster.namespace, command).replace("node-1", _node(lab))
        command = re.sub(r"send\(\d+\)", "send(20)", command)
        command = re.sub(r"Host: [\w.-]+", f"Host: {lab.rollout().host()}", command)
        return _ISVC.sub(r"\1sklearn-iris", command).replace("127.0.0.1:8080/", f"{lab.ingress.address}/")

    @property
    def environ(self) -> dict[str, str]:
        """The variables that `kserve-nb env` sets in a terminal."""
        host, _, port = self.lab.ingress.address.partition(":")
        kubeconfig = str(self.lab.cluster.kubeconfig)
        return {**os.environ, "KUBECONFIG": kubeconfig, "INGRESS_HOST": host, "INGRESS_PORT": port}


def _node(lab: Lab) -> str:
    return str(lab.client.find_all(_NODES)[0]["metadata"]["name"])


def commands_of(findings: Iterable[Finding]) -> tuple[set[str], set[str]]:
    """The commands of findings: those for a terminal, and those for a cell."""
    rows = tuple(findings)
    shells, cells = ({finding.remedy.command(notebook) for finding in rows} for notebook in (False, True))
    return shells - {""}, cells - {""}


def failures(place: Place, shells: set[str], cells: set[str]) -> list[str]:
    """The commands that fail, each with its error."""
    adapted = sorted({place.adapted(command) for command in shells})
    with ThreadPoolExecutor(3) as pool:
        found = [*pool.map(lambda command: _in_terminal(place, command), adapted)]
    return [*filter(None, found), *_in_notebook(place, sorted({place.adapted(cell) for cell in cells}))]


def _in_terminal(place: Place, command: str) -> str:
    """Why a command fails in a terminal; empty when it works."""
    program = command.partition(" ")[0]
    if program in ("kserve-nb", "eval"):
        return _of_ours(command)
    if program == "pip":
        return "" if _run(place, f"bash -n -c {shlex.quote(command)}") == "" else command
    if "port-forward" in command:
        return _forwards(place, command.replace(" 8080:", " :"))
    if _CHANGES.match(command):
        command += " --dry-run=server"
    if program == "curl":
        command = f"{command} --silent --show-error --fail --max-time 10"
    error = _run(place, command)
    return "" if _REAL_ONLY.search(command) and "NotFound" in error else error


def _run(place: Place, command: str) -> str:
    """Run a line in bash, where a pattern without a match is an error as in zsh."""
    argv = ["bash", "-O", "failglob", "-c", command]
    try:
        done = subprocess.run(argv, env=place.environ, cwd=place.folder, capture_output=True, text=True,
                              timeout=TIMEOUT_S)  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"{command}: did not end within {TIMEOUT_S} s"
    return "" if done.returncode == 0 else f"{command}: exit code {done.returncode}: {done.stderr.strip()}"


def _of_ours(command: str) -> str:
    """Why the command line of kserve-nb does not accept a command; empty when it does. The command is not executed."""
    words = shlex.split(re.sub(r'^eval "\$\((.*)\)"$', r"\1", command))
    context = main.make_context("kserve-nb", words[1:2])
    found = main.get_command(context, words[1])
    try:
        assert found is not None, "there is no such command"
        found.make_context(words[1], words[2:], parent=context)
    except Exception as error:
        return f"{command}: {error!r}"
    return ""


def _forwards(place: Place, command: str) -> str:
    """Why `kubectl port-forward` does not begin to forward; empty when it does."""
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(shlex.split(command), env=place.environ, **streams) as forward:
        assert forward.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(forward.stdout, selectors.EVENT_READ)
            line = forward.stdout.readline() if selector.select(TIMEOUT_S) else "nothing was printed"
        forward.terminate()
    return "" if line.startswith("Forwarding from") else f"{command}: {line}"


def _in_notebook(place: Place, cells: Iterable[str]) -> Iterator[str]:
    """The cells that fail, each with its error. A cell that would start or reach another cluster is compiled only."""
    names: dict[str, Any] = {"lab": place.lab, "rollout": place.lab.rollout()}
    magics = LabMagics(place.lab.cluster, names)
    for cell in cells:
        try:
            if cell.startswith("%curl "):
                magics.curl(cell.removeprefix("%curl "))
            elif cell.startswith("%"):
                assert command_line.read(cell[1:], {}).words == tuple(shlex.split(cell[1:])), "read in another way"
            else:
                code = compile(cell, "cell", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
                _execute(code, names) if "connect(" not in cell else None
        except Exception as error:
            yield f"{cell}: {error!r}"


def _execute(code: Any, names: dict[str, Any]) -> None:
    """Execute a cell as IPython does."""
    found = eval(code, names)
    if inspect.iscoroutine(found):
        asyncio.run(found)
