"""The `kserve-nb` command: clusters up and down, the lab, and notebooks run without hands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kserve_nb.clusters import attach, state
from kserve_nb.clusters.embedded import lifecycle
from kserve_nb.clusters.state import ClusterError, Record

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = click.option("--name", default=lambda: os.environ.get("KSERVE_NB_NAME", "default"), show_default="default",
                    help="Which cluster; several live side by side.")


class Refusal(click.ClickException):
    """A failure that the learner can mend: its message alone, exit code 1."""

    def show(self, file: object = None) -> None:
        click.echo(f"kserve-nb: {self.message}", err=True)


class Group(click.Group):
    """Turns what our parts refuse into a message without a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except ClusterError as error:
            raise Refusal(str(error)) from None


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="kserve-nb")
def main() -> None:
    """Learn KServe's canary rollout by doing it, on a cluster of your own.

    \b
    kserve-nb lab      open the tutorial (starts an embedded cluster where none is up)
    kserve-nb up       start a cluster in the background;  kserve-nb down  ends it
    eval "$(kserve-nb env)" && kubectl get pods    use it from a terminal
    """


@main.command()
@NAME
@click.option("--cluster", "kind", type=click.Choice(["embedded", "attach"]), default="embedded", show_default=True,
              help="A cluster in processes of this machine, or one that is already there.")
@click.option("--speed", type=click.FloatRange(0.1, 1000), help="embedded: how much faster its windows (scale-down, "
              "drain, back-off) pass; 1 is real time.  [default: 10]")
@click.option("--gateway", type=click.Choice(["istio", "kourier"]),
              help="embedded: whose form of URLs.  [default: istio]")
@click.option("--ingress-port", type=click.IntRange(1, 65535),
              help="embedded: the gateway's port.  [default: a free one]")
@click.option("--idle-hours", type=click.FloatRange(min=0, min_open=True), help="embedded: end after so long without "
              "use.  [default: 12]")
@click.option("--owner", type=int, metavar="PID", help="embedded: end when that process ends.")
@click.option("--kubeconfig", type=click.Path(path_type=Path), help="attach: how to reach it.  [default: $KUBECONFIG]")
@click.option("--context", help="attach: a context of the kubeconfig.  [default: its current one]")
@click.option("--ingress", metavar="HOST:PORT", help="attach: the address of its ingress gateway.")
@click.option("--namespace", default="kserve-test", show_default=True,
              help="The namespace of the kubeconfig's context.")
def up(name: str, kind: str, speed: float | None, gateway: str | None, ingress_port: int | None,
       idle_hours: float | None, owner: int | None, kubeconfig: Path | None, context: str | None, ingress: str | None,
       namespace: str) -> None:
    """Start a cluster in the background and return when it answers. A second `up` finds the first one's cluster."""
    if kind == "attach":
        _refuse(kind, {"--speed": speed, "--gateway": gateway, "--ingress-port": ingress_port, "--owner": owner,
                       "--idle-hours": idle_hours})
        record = attach.up(name, source=kubeconfig, context=context, ingress=ingress, namespace=namespace)
    else:
        _refuse(kind, {"--kubeconfig": kubeconfig, "--context": context, "--ingress": ingress})
        record = lifecycle.up(
            name, speed=speed, gateway=gateway, namespace=namespace, ingress_port=ingress_port, owner=owner,
            idle_s=None if idle_hours is None else idle_hours * 3600, say=lambda text: click.echo(text, err=True))
    _show(record)


def _refuse(kind: str, options: dict[str, object]) -> None:
    for option, value in options.items():
        if value is not None:
            raise click.UsageError(f"{option} does not go with --cluster {kind}")


def _show(record: Record) -> None:
    how = f", {record.gateway} URLs, windows {record.speed:g} times as fast as real ones" if record.pid else ""
    click.echo(f"cluster     {record.name} ({record.cluster}{how})")
    click.echo(f"kubeconfig  {record.kubeconfig}\ningress     {record.ingress}\nnamespace   {record.namespace}")


@main.command()
@NAME
def down(name: str) -> None:
    """End a cluster and forget its objects. Nothing happens to a cluster that was attached."""
    try:
        record = state.read(name)
    except ClusterError:
        record = None  # a record that cannot be read is what `down` is for
    if record is not None and record.cluster == "embedded":
        lifecycle.down(record)
    elif state.folder(name).exists():
        with state.lock(name):
            state.forget(name)
    else:
        click.echo(f"cluster {name!r} is not up: nothing to end")
        return
    click.echo(f"cluster {name!r} is down")


@main.command()
@NAME
@click.option("-o", "output", type=click.Choice(["text", "json"]), default="text", help="How to print it.")
def status(name: str, output: str) -> None:
    """Say whether a cluster is up and how to reach it. Exit code 1 where it does not answer."""
    record = state.read(name)
    ready = record is not None and _ready(record)
    if output == "json":
        shown = {key: getattr(record, key, None) for key in
                 ("cluster", "kubeconfig", "ingress", "namespace", "speed", "gateway", "pid")}
        click.echo(json.dumps({"name": name, "ready": ready, **shown}, indent=2))
    elif record is None:
        have = ", ".join(state.names()) or "none"
        click.echo(f"cluster {name!r} is not up (up: {have}). Start it: kserve-nb up --name {name}")
    else:
        _show(record)
        click.echo("ready       " + ("yes" if ready else f"no: {_why_not(record)}"))
    sys.exit(0 if ready else 1)


def _why_not(record: Record) -> str:
    if record.alive:
        return "it does not answer"
    return f"it ended without `down`; kserve-nb up --name {record.name} resumes it"


def _ready(record: Record) -> bool:
    if record.cluster == "embedded":
        return record.alive and lifecycle.answers(record)
    asked = subprocess.run(
        [_kubectl(), "--kubeconfig", record.kubeconfig, "--request-timeout=5s", "get", "--raw", "/version"],
        capture_output=True, check=False)
    return asked.returncode == 0


def _kubectl() -> str:
    """The kubectl of this installation, also where its folder is not on PATH."""
    beside = Path(sys.executable).with_name("kubectl")
    return str(beside) if beside.exists() else "kubectl"


@main.command()
@NAME
def env(name: str) -> None:
    """Print shell exports that make kubectl and the tutorial's curl lines work: eval "$(kserve-nb env)"."""
    record = _up(name)
    host, _, port = record.ingress.rpartition(":")
    exports = {"KUBECONFIG": record.kubeconfig, "INGRESS_HOST": host, "INGRESS_PORT": port, "KSERVE_NB_NAME": name}
    asked = subprocess.run(
        [_kubectl(), "--kubeconfig", record.kubeconfig, "-n", record.namespace, "--request-timeout=5s", "get", "isvc",
         "sklearn-iris", "-o", "jsonpath={.status.url}"], capture_output=True, text=True, check=False)
    if asked.returncode == 0 and "//" in asked.stdout:
        exports["SERVICE_HOSTNAME"] = asked.stdout.split("/")[2]
    for key, value in exports.items():
        click.echo(f"export {key}='" + value.replace("'", "'\\''") + "'")
    if not _on_path():
        click.echo(f"export PATH='{Path(sys.executable).parent}':\"$PATH\"")


def _on_path() -> bool:
    return str(Path(sys.executable).parent) in os.environ.get("PATH", "").split(os.pathsep)


def _up(name: str) -> Record:
    record = state.read(name)
    if record is None:
        raise ClusterError(f"cluster {name!r} is not up. Start it: kserve-nb up --name {name}")
    if not record.alive:
        raise ClusterError(f"cluster {name!r} ended without `down`. Resume it: kserve-nb up --name {name}")
    return record


def _borrow(name: str, say: Callable[[str], None]) -> Record:
    """The named cluster; where none is up, one that ends with this process."""
    record = state.read(name)
    if record is None:
        return lifecycle.up(name, owner=os.getpid(), say=say)
    if record.cluster == "embedded" and not record.alive:
        return lifecycle.up(name, say=say)
    return record


@main.command(context_settings={"ignore_unknown_options": True})
@NAME
@click.option("--browser/--no-browser", default=True, help="Open a browser, or only print the address.")
@click.argument("jupyter_options", nargs=-1, type=click.UNPROCESSED)
def lab(name: str, browser: bool, jupyter_options: tuple[str, ...]) -> None:
    """Open the tutorial in JupyterLab. A cluster that this command had to start ends with it.

    Options after `--` go to `jupyter lab`.
    """
    record = _borrow(name, lambda text: click.echo(text, err=True))
    _show(record)
    folder = notebooks_folder()
    argv = [sys.executable, "-m", "jupyter", "lab", "--ServerApp.ip=127.0.0.1", f"--ServerApp.root_dir={folder}",
            "--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
            f"--LabApp.app_settings_dir={Path(__file__).with_name('lab_settings')}",  # widgets are kept when saved
            "--LabApp.default_url=/lab/tree/" + _first(folder), *([] if browser else ["--no-browser"]),
            *(["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []), *jupyter_options]
    environment = {**os.environ, "KSERVE_NB_NAME": name, "KUBECONFIG": record.kubeconfig,
                   "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    try:
        code = subprocess.run(argv, env=environment, check=False).returncode
    except KeyboardInterrupt:
        code = 0
    sys.exit(code)


def notebooks_folder() -> Path:
    """Where the tutorial's notebooks are: in the checkout that this package is installed from, or in `./notebooks`."""
    for base in (Path(__file__).resolve().parent.parent, Path.cwd()):
        if (base / "notebooks").is_dir():
            return base / "notebooks"
    raise ClusterError("the notebooks are not here: run this in a clone of the project, or name them: "
                       "kserve-nb run FOLDER/00_setup.ipynb")


def _first(folder: Path) -> str:
    return next((path.name for path in sorted(folder.glob("*.ipynb"))), "")


@main.command()
@NAME
@click.option("-p", "--parameter", "parameters", nargs=2, multiple=True, metavar="NAME VALUE",
              help="Set a notebook's parameter; may be repeated.")
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), help="Where the executed notebooks go.  "
              "[default: build/notebooks]")
@click.argument("notebooks", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
def run(name: str, parameters: tuple[tuple[str, str], ...], output: Path | None, notebooks: tuple[Path, ...]) -> None:
    """Run notebooks from top to bottom, without a browser; without arguments all of the tutorial, in order.

    Starts a cluster where none is up, and ends what it started.
    """
    from kserve_nb import notebooks as runner

    chosen = list(notebooks) or sorted(notebooks_folder().glob("*.ipynb"))
    if not chosen:
        raise ClusterError("there is no notebook to run: name one, or run this in a clone of the project.")
    started = state.read(name) is None
    record = _borrow(name, lambda text: click.echo(text, err=True))
    try:
        reports = runner.run_all(chosen, record, dict(parameters), output or Path("build/notebooks"), say=click.echo)
    finally:
        if started:
            lifecycle.down(record)
    failed = [report for report in reports if report.error]
    click.echo(f"{len(reports) - len(failed)} passed, {len(failed)} failed"
               + "".join(f"; {report.notebook.name}" for report in failed))
    sys.exit(1 if failed else 0)
