"""The command group `kserve-nb`, whose commands are imported when they are used."""

from __future__ import annotations

from importlib import import_module

import click

from kserve_nb import clusters
from kserve_nb.cli.kind_group import kind_group
from kserve_nb.clusters import ClusterError
from kserve_nb.values.text.foreign_text import safe

# The module of each command; the command is the attribute of its name there, with `_` in place of `-`.
_MODULES = {
    "up": "up_command",
    "down": "cluster_commands",
    "stop": "cluster_commands",
    "status": "cluster_commands",
    "ls": "list_command",
    "env": "cluster_commands",
    "lab": "lab_command",
    "run": "run_command",
    "doctor": "doctor_command",
    "progress": "learner_commands",
    "drill": "learner_commands",
    "rollout": "rollout_command",
    "load": "model_commands",
    "compare": "model_commands",
    "publish": "model_commands",
    "page-drift": "maintenance.page_drift_command",
}


class CommandFailure(click.ClickException):
    """A failure that the user can resolve: the message without a traceback, and exit code 1."""

    def show(self, file: object = None) -> None:
        """Print the message to standard error."""
        click.echo(f"kserve-nb: {safe(self.message)}", err=True)


class CommandGroup(click.Group):
    """A group that imports a command when it is used, and shows a ClusterError without a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands, in the order of the help."""
        return [*_MODULES, *(kind for kind in clusters.kinds() if clusters.backend(kind).commands)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        if cmd_name not in _MODULES:
            return kind_group(cmd_name) if cmd_name in clusters.kinds() else None
        found: click.Command = getattr(import_module(f"kserve_nb.cli.{_MODULES[cmd_name]}"), cmd_name.replace("-", "_"))
        return found

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except ClusterError as error:
            raise CommandFailure(str(error)) from None


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="kserve-nb")
def main() -> None:
    """Learn KServe's canary rollout by doing it, on a cluster of your own.

    \b
    kserve-nb lab      open the tutorial (starts an embedded cluster if none is running)
    kserve-nb up       start a cluster in the background;  stop  stops it,  down  deletes it
    eval "$(kserve-nb env)" && kubectl get pods    use the cluster from a terminal
    kserve-nb doctor   find out what is wrong, and what to do
    kserve-nb progress   show which tasks of the course you have done
    """
