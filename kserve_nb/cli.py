"""The `kserve-nb` command: clusters up and down, the lab, and notebooks run without hands."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kserve_nb import clusters
from kserve_nb.clusters import attach, state
from kserve_nb.clusters import kind as kind_cluster
from kserve_nb.clusters.embedded import lifecycle
from kserve_nb.clusters.state import ClusterError, Record
from kserve_nb.values.cluster import Cluster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAME = click.option("--name", default=lambda: os.environ.get("KSERVE_NB_NAME", "default"), show_default="default",
                    help="Which cluster; several live side by side.")


class Times(click.FloatRange):
    """A number in a range; `nan` is in none, though every comparison with it lets it through."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        return self.fail(f"{value} is no number.", param, ctx) if math.isnan(number) else number


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
    kserve-nb doctor   name what is wrong, and what to do
    """


@main.command()
@NAME
@click.option("--cluster", "kind", type=click.Choice(["embedded", "kind", "attach"]), default="embedded",
              show_default=True,
              help="In processes of this machine, in this machine's Docker, or one that is already there.")
@click.option("--speed", type=Times(0.1, 1000), help="embedded: how much faster its windows (scale-down, "
              "drain, back-off) pass; 1 is real time.  [default: 10]")
@click.option("--gateway", type=click.Choice(["istio", "kourier"]),
              help="embedded, kind: the gateway, and the form of its URLs.  [default: istio]")
@click.option("--ingress-port", type=click.IntRange(1, 65535),
              help="embedded, kind: the gateway's port.  [default: a free one]")
@click.option("--idle-hours", type=Times(min=0, min_open=True), help="embedded: end after so long without "
              "use.  [default: 12]")
@click.option("--owner", type=int, metavar="PID", help="embedded: end when that process ends.")
@click.option("--manifests", type=click.Path(path_type=Path, exists=True, file_okay=False),
              help="kind: a folder with the manifests to install.  [default: from the network]")
@click.option("--kubeconfig", type=click.Path(path_type=Path), help="attach: how to reach it.  [default: $KUBECONFIG]")
@click.option("--context", help="attach: a context of the kubeconfig; one that looks like production must be named.  "
              "[default: its current one]")
@click.option("--ingress", metavar="HOST:PORT", help="attach: the address of its ingress gateway.  [default: found]")
@click.option("--namespace", default="kserve-test", show_default=True,
              help="The namespace of the kubeconfig's context.")
def up(name: str, kind: str, speed: float | None, gateway: str | None, ingress_port: int | None,
       idle_hours: float | None, owner: int | None, manifests: Path | None, kubeconfig: Path | None,
       context: str | None, ingress: str | None, namespace: str) -> None:
    """Start a cluster in the background and return when it answers. A second `up` finds the first one's cluster."""
    if kind == "attach":
        _refuse(kind, {"--speed": speed, "--gateway": gateway, "--ingress-port": ingress_port, "--owner": owner,
                       "--idle-hours": idle_hours, "--manifests": manifests})
        record = attach.up(name, source=kubeconfig, context=context, ingress=ingress, namespace=namespace)
    elif kind == "kind":
        _refuse(kind, {"--speed": speed, "--owner": owner, "--idle-hours": idle_hours, "--kubeconfig": kubeconfig,
                       "--context": context, "--ingress": ingress})
        record = kind_cluster.up(name, gateway=gateway, namespace=namespace, ingress_port=ingress_port,
                                 manifests=manifests, say=lambda text: click.echo(text, err=True))
    else:
        _refuse(kind, {"--kubeconfig": kubeconfig, "--context": context, "--ingress": ingress,
                       "--manifests": manifests})
        record = lifecycle.up(
            name, speed=speed, gateway=gateway, namespace=namespace, ingress_port=ingress_port, owner=owner,
            idle_s=None if idle_hours is None else idle_hours * 3600, say=lambda text: click.echo(text, err=True))
    _show(record)
    if record.cluster == "attach" and not _ready(record):  # the others were waited for
        raise Refusal(f"the cluster does not answer. See why: kserve-nb doctor --name {name}")


def _refuse(kind: str, options: dict[str, object]) -> None:
    for option, value in options.items():
        if value is not None:
            raise click.UsageError(f"{option} does not go with --cluster {kind}")


def _show(record: Record) -> None:
    how = f", {record.gateway} URLs, windows {record.speed:g} times as fast as real ones" if record.pid else ""
    click.echo(f"cluster     {record.name} ({record.cluster}{how})")
    ingress = record.ingress or "found by connect(): LoadBalancer, NodePort or port-forward"
    click.echo(f"kubeconfig  {record.kubeconfig}\ningress     {ingress}\nnamespace   {record.namespace}")


@main.command()
@NAME
def down(name: str) -> None:
    """End a cluster and forget its objects. A cluster that was attached is only forgotten here; it runs on."""
    try:
        record = state.read(name)
    except ClusterError:
        record = None  # a record that cannot be read is what `down` is for
    if record is not None and record.cluster == "embedded":
        lifecycle.down(record)
    elif record is not None and record.cluster == "kind":
        kind_cluster.down(record)
    elif state.folder(name).exists():
        with state.lock(name):
            state.forget(name)
    else:
        click.echo(f"cluster {name!r} is not up: nothing to end")
        return
    attached = record is not None and record.cluster == "attach"
    click.echo(f"cluster {name!r} is " + ("forgotten here; it runs on as it is" if attached else "down"))


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
    if record.cluster == "kind" and kind_cluster.missing(record):
        return (f"{kind_cluster.missing(record)} is not installed yet; "
                f"kserve-nb up --cluster kind --name {record.name} goes on from there")
    if record.alive:
        return "it does not answer"
    return f"it ended without `down`; kserve-nb up --name {record.name} resumes it"


def _ready(record: Record) -> bool:
    if record.cluster == "embedded":
        return record.alive and lifecycle.answers(record)
    if record.cluster == "kind" and kind_cluster.missing(record):
        return False
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
    exports = {"KUBECONFIG": record.kubeconfig, "KSERVE_NB_NAME": name}
    if record.ingress:  # the tutorial's variables, and the one that KServe's own tests read
        exports |= {"INGRESS_HOST": host, "INGRESS_PORT": port, "KSERVE_INGRESS_HOST_PORT": record.ingress}
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
    sys.stdout.flush()
    os.execve(sys.executable, argv, environment)  # Jupyter becomes this process, which owns the cluster


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
              help="Set a notebook's parameter; may be repeated. The value is read as YAML: 20 is a number.")
@click.option("--parallel", "workers", is_flag=False, flag_value=str(os.cpu_count() or 1),
              metavar="[N]", help="Run so many at a time, each on an embedded cluster of its own.  [default: one after "
              "the other; without N as many as there are processors]")
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), default=Path("build/notebooks"),
              show_default=True, help="Where the executed notebooks and report.html go.")
@click.option("--junit", type=click.Path(path_type=Path, dir_okay=False), help="Also write JUnit XML to this file.")
@click.argument("notebooks", nargs=-1, type=click.Path(path_type=Path, dir_okay=False))
def run(name: str, parameters: tuple[tuple[str, str], ...], workers: str | None, output: Path, junit: Path | None,
        notebooks: tuple[Path, ...]) -> None:
    """Run notebooks from top to bottom, without a browser; without arguments all of the tutorial, in order.

    Starts a cluster where none is up, and ends what it started. The exit code is 0 where all passed, and 1 otherwise.
    """
    from kserve_nb import runner as runner
    from kserve_nb.doctor import summary

    count, chosen = _chosen(workers, notebooks)
    try:
        values = runner.read(parameters, chosen)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    plan = runner.Plan(chosen, output.resolve(), summary.in_full, values, sys.stderr.isatty())
    with runner.reporting(plan, click.echo, junit) as said:
        if count:
            runner.run_parallel(plan, state.read(name), count, said)
        else:
            with _borrowed(name) as record:
                runner.run_all(plan, record, said)
    click.echo(f"report: {plan.report}\n{runner.verdict(said.runs)}")
    sys.exit(0 if all(done.passed for done in said.runs) else 1)


def _chosen(workers: str | None, notebooks: tuple[Path, ...]) -> tuple[int, tuple[Path, ...]]:
    """How many notebooks at a time (0: all on one cluster), and which; `--parallel` takes the word behind it."""
    if workers is not None and not workers.isdecimal():
        notebooks, workers = (Path(workers), *notebooks), str(os.cpu_count() or 1)
    missing = [str(path) for path in notebooks if not path.is_file()]
    if missing:
        raise click.UsageError(f"there is no notebook {', '.join(missing)}")
    twice = [name for name, count in Counter(path.name for path in notebooks).items() if count > 1]
    if twice:
        raise click.UsageError(f"two notebooks are named {twice[0]}, and would be executed into one file")
    if workers is not None and int(workers) < 1:
        raise click.UsageError("--parallel takes a number from 1 on")
    chosen = notebooks or tuple(sorted(notebooks_folder().glob("*.ipynb")))
    if not chosen:
        raise ClusterError("there is no notebook to run: name one, or run this in a clone of the project.")
    return min(int(workers or 0), len(chosen)), chosen


@contextmanager
def _borrowed(name: str) -> Iterator[Record]:
    """The named cluster, which ends afterwards where it was not up before."""
    started = state.read(name) is None
    record = _borrow(name, lambda text: click.echo(text, err=True))
    try:
        yield record
    finally:
        if started:
            lifecycle.down(record)


@main.command()
@NAME
@click.option("--curl", metavar="COMMAND", help="Explain this curl command first.")
@click.option("--error", metavar="TEXT", help="Explain this message first; - reads it from standard input.")
@click.option("-o", "output", type=click.Choice(["text", "json"]), default="text", help="How to print it.")
def doctor(name: str, curl: str | None, error: str | None, output: str) -> None:
    """Name what is wrong and what to do about it; changes nothing. Exit code 1 where something blocks the way."""
    from kserve_nb.doctor import examine
    from kserve_nb.magics.command_line import CommandError

    record = state.read(name)
    cluster = _nowhere(name) if record is None else clusters.of(record)
    try:
        report = examine(cluster, curl=curl, error=sys.stdin.read() if error == "-" else error)
    except CommandError as unread:
        raise Refusal(f"--curl: {unread} Copy it whole, with the lines that end in \\.") from None
    click.echo(report.to_json() if output == "json" else report.text)
    sys.exit(1 if report.blocked else 0)


def _nowhere(name: str) -> Cluster:
    """A cluster that is not up, for the doctor to say so."""
    return Cluster(state.folder(name) / "kubeconfig", "", name=name)
