"""A fake of docker, kind and kubectl, and of the cluster that they create; its state is in a JSON file.

Run as a script it is one of these programs: `kind_world.py WORLD PROGRAM ARGUMENTS…`. It fails as the real ones do.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data" / "kind"
REFUSED = ("The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?")
WEBHOOK = ('Error from server (InternalError): error when creating "STDIN": Internal error occurred: failed calling '
           'webhook "inferenceservice.kserve-webhook-server.defaulter": failed to call webhook: Post '
           '"https://kserve-webhook-server-service.kserve.svc:443/mutate?timeout=10s": ')
RACES = [WEBHOOK + "dial tcp 10.96.143.15:443: connect: connection refused",
         WEBHOOK + 'no endpoints available for service "kserve-webhook-server-service"']
NO_KIND = ('error: resource mapping not found for name: "serving-cert" namespace: "kserve" from "kserve.yaml": no '
           'matches for kind "Certificate" in version "cert-manager.io/v1"\nensure CRDs are installed first')
TOO_LONG = ('The CustomResourceDefinition "inferenceservices.serving.kserve.io" is invalid: metadata.annotations: '
            "Too long: may not be more than 262144 bytes")


def new() -> dict[str, Any]:
    """A machine on which every command succeeds."""
    return {"docker": "", "cpus": 4, "memory": 8 * 2**30, "kind": "v0.31.0", "create": "", "containers": {},
            "namespaces": ["default", "kube-system"], "refusals": {}, "unready": {}, "events": [], "pods": [],
            "log": [], "config": _released_config(), "sizes": True, "loaded": [], "applied": [], "cgroup": "2",
            "volume": ""}


def _released_config() -> dict[str, str]:
    """The ConfigMap of KServe's release, restored from a recorded cluster that was set up for Kourier."""
    data: dict[str, str] = json.loads((DATA / "inferenceservice-config.json").read_text())["data"]
    ingress = json.loads(data["ingress"]) | {"disableIstioVirtualHost": False, "ingressClassName": "istio"}
    return data | {"ingress": json.dumps(ingress)}


class FailError(Exception):
    """The failure of a command: exit code 1 and a message."""


def docker(world: dict[str, Any], args: list[str], _stdin: str) -> str:
    if world["docker"]:
        raise FailError(world["docker"])
    if args[0] == "info":
        return json.dumps({"NCPU": world["cpus"], "MemTotal": world["memory"], "CgroupVersion": world["cgroup"]})
    if args[:2] == ["manifest", "inspect"]:
        if not world["sizes"]:
            raise FailError(f"no such manifest: {args[-1]}")
        return json.dumps({"Descriptor": {}, "OCIManifest": {"config": {"size": 1}, "layers": [{"size": 99_999_999}]}})
    if args[0] in ("pull", "tag"):
        return ""
    if args[0] == "save":
        return _save(Path(args[2]), args[3])
    if args[0] == "load":
        world["loaded"].append(Path(args[-1]).name)
        return "Loaded image\n"
    if args[0] == "stats":
        return "2.911GiB / 7.653GiB\n"
    if args[0] == "exec":
        return "6144\t/var\n"
    name = args[-1]
    if name not in world["containers"]:
        raise FailError(f"error: no such object: {name}")
    container = world["containers"][name]
    if args[0] in ("start", "stop"):
        container["running"] = args[0] == "start"
    return f"{container['id']} {str(container['running']).lower()}\n"


def _save(file: Path, tag: str) -> str:
    """Write an archive that has only the file that is read by the package."""
    index = json.dumps([{"RepoTags": [tag]}]).encode()
    with tarfile.open(file, "w") as archive:
        info = tarfile.TarInfo("manifest.json")
        info.size = len(index)
        archive.addfile(info, io.BytesIO(index))
    return ""


def kind(world: dict[str, Any], args: list[str], stdin: str) -> str:
    if args == ["version"]:
        return f"kind {world['kind']} go1.24.6 linux/amd64\n"
    node = args[args.index("--name") + 1] + "-control-plane"
    if args[:2] == ["load", "image-archive"]:
        world["loaded"].append(Path(args[2]).name)
        return ""
    if args[0] == "delete":
        world["containers"].pop(node, None)
        world["namespaces"] = new()["namespaces"]
        return ""
    assert "hostPort" in stdin
    world["kind config"] = stdin
    if node in world["containers"]:
        raise FailError(f'ERROR: failed to create cluster: node(s) already exist for a cluster with the name "{node}"')
    if world["create"]:
        raise FailError(world["create"])
    world["made"] = world.get("made", 0) + 1
    world["containers"][node] = {"id": f"id{world['made']}", "running": True}
    server = {"cluster": {"server": "https://127.0.0.1:1"}, "name": "k"}
    Path(args[args.index("--kubeconfig") + 1]).write_text(json.dumps({
        "clusters": [server], "users": [{"name": "k", "user": {}}], "current-context": "k",
        "contexts": [{"name": "k", "context": {"cluster": "k", "user": "k"}}]}))
    return ""


def kubectl(world: dict[str, Any], args: list[str], stdin: str) -> str:
    assert args[0] == "--kubeconfig"
    verb, *rest = [word for word in args[2:] if not word.startswith("--request-timeout")]
    if not any(container["running"] for container in world["containers"].values()):
        raise FailError(REFUSED)
    for words, messages in world["refusals"].items():
        if words in " ".join([verb, *rest]) and messages:
            raise FailError(messages.pop(0))
    return {"apply": _apply, "get": _get, "wait": _wait, "patch": _patch, "create": _nothing, "set": _nothing,
            "rollout": _nothing, "exec": _exec, "delete": _nothing}[verb](world, rest, stdin)


def _apply(world: dict[str, Any], args: list[str], stdin: str) -> str:
    file = args[args.index("-f") + 1]
    text = stdin if file == "-" else Path(file).read_text()
    world["applied"].append(text)
    if "--server-side" not in args and "CustomResourceDefinition" in text:
        raise FailError(TOO_LONG)
    found = re.findall(r"^kind: Namespace\nmetadata:\n  name: (\S+)", text, re.MULTILINE)
    world["namespaces"] += [name for name in found if name not in world["namespaces"]]
    return "applied\n"


def _get(world: dict[str, Any], args: list[str], _stdin: str) -> str:
    if args[0] == "namespaces":
        return "".join(f"namespace/{name}\n" for name in world["namespaces"])
    if args[0] in ("events", "pods"):
        return json.dumps({"items": world[args[0]]})
    if args[0] == "configmap":
        return json.dumps({"data": world["config"]})
    return "ok" if args[0] == "--raw" else (DATA / f"{args[0]}.json").read_text()


def _wait(world: dict[str, Any], args: list[str], _stdin: str) -> str:
    namespace = args[args.index("-n") + 1] if "-n" in args else ""
    if world["unready"].get(namespace, 0):
        world["unready"][namespace] -= 1
        raise FailError(f"error: timed out waiting for the condition on deployments/{namespace}-controller")
    if namespace and namespace not in world["namespaces"]:
        raise FailError("error: no matching resources found")
    return "met\n"


def _patch(world: dict[str, Any], args: list[str], _stdin: str) -> str:
    if args[:2] == ["configmap", "inferenceservice-config"]:
        world["config"] |= json.loads(args[-1])["data"]
    return "patched\n"


def _exec(world: dict[str, Any], args: list[str], stdin: str) -> str:
    """Run the command of a pod on this machine: the volume of the claim `models` is the folder of that name."""
    command = args[args.index("--") + 1:]
    assert command[0] == "python"
    words = [world["volume"] if word == "/models" else word for word in command[1:]]
    done = subprocess.run([sys.executable, *words], input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FailError(done.stderr + "command terminated with exit code 1")
    return done.stdout


def _nothing(_world: dict[str, Any], _args: list[str], _stdin: str) -> str:
    return ""


PROGRAMS: dict[str, Callable[[dict[str, Any], list[str], str], str]] = {
    "docker": docker, "nerdctl": docker, "kind": kind, "kubectl": kubectl}


def play(file: Path, program: str, args: list[str], stdin: str) -> tuple[int, str, str]:
    """Run one command: log it, change the world, and return its exit code, stdout and stderr."""
    world = json.loads(file.read_text())
    world["log"].append([program, *args])
    try:
        return 0, PROGRAMS[program](world, args, stdin), ""
    except FailError as failed:
        return 1, "", f"{failed}\n"
    finally:
        file.write_text(json.dumps(world))


class World:
    """The file, and a folder with the three programs for PATH."""

    def __init__(self, folder: Path):
        self.file = folder / "world.json"
        self.programs = folder / "bin"
        self.programs.mkdir()
        self.file.write_text(json.dumps(new()))
        for name in ("docker", "kind", "kubectl"):
            self.install(name)

    def install(self, name: str) -> None:
        script = self.programs / name
        script.write_text(f"#!/bin/sh\nexec {sys.executable} -S -E {__file__} {self.file} {name} \"$@\"\n")
        script.chmod(0o755)

    def run(self, *argv: str, stdin: str | None = None, timeout_s: float = 0) -> subprocess.CompletedProcess[str]:
        """Run a command in this process, as the program on PATH would."""
        code, out, err = play(self.file, argv[0], list(argv[1:]), stdin or "")
        return subprocess.CompletedProcess(argv, code, out, err)

    def __getitem__(self, key: str) -> Any:
        return json.loads(self.file.read_text())[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.file.write_text(json.dumps(json.loads(self.file.read_text()) | {key: value}))

    def commands(self, *but: str) -> list[str]:
        """The commands that were run, except those with any of these words. Paths are shortened to file names."""
        lines = [" ".join(Path(word).name if word.startswith("/") and not word.startswith("/ready") else word
                          for word in argv) for argv in self["log"]]
        return [line for line in lines if not any(word in line for word in but)]


if __name__ == "__main__":
    code, out, err = play(Path(sys.argv[1]), sys.argv[2], sys.argv[3:], sys.stdin.read() if "-" in sys.argv else "")
    sys.stdout.write(out)
    sys.stderr.write(err)
    sys.exit(code)
