"""`kserve-nb page-drift`: KServe's page, compared with the executed notebooks."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from kserve_nb.cli.common_options import echo
from kserve_nb.runner.pages import drift_report
from kserve_nb.runner.pages.executed_cells import executed_cells
from kserve_nb.runner.pages.known_blocks import known_blocks
from kserve_nb.runner.pages.markdown_page import page_commands
from kserve_nb.runner.pages.page_drift import PageDrift, compare, known_commands, known_page
from kserve_nb.runner.pages.page_source import PageError, page_text


@click.command("page-drift")
@click.argument("page", metavar="FILE|URL")
@click.option("--executed", type=click.Path(path_type=Path, file_okay=False), default=Path("build/notebooks"),
              show_default=True, help="The folder of the notebooks that `kserve-nb run` has executed.")
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), default=Path("build/page-drift.md"),
              show_default=True, help="The Markdown file for the report.")
def page_drift(page: str, executed: Path, report: Path) -> None:
    """Compare the commands and outputs of KServe's canary page with the executed notebooks.

    FILE|URL is the page's Markdown or MDX source. The exit code is 0 if nothing differs, 1 if something does, and 2
    if the page or the notebooks cannot be read.
    """
    try:
        drift = _drift(page, executed)
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(drift_report.markdown(drift, page), encoding="utf-8")
    except PageError as error:
        echo(f"kserve-nb: {error}", err=True)
        sys.exit(2)
    except OSError as error:
        echo(f"kserve-nb: Cannot write the report {report}: {error.strerror}. Name another file: --report", err=True)
        sys.exit(2)
    echo(f"{drift_report.text(drift, page)}\n\nreport: {report}")
    sys.exit(1 if drift.drifted else 0)


def _drift(page: str, executed: Path) -> PageDrift:
    commands = page_commands(page_text(page))
    if not commands:
        raise PageError(f"Cannot compare {page}: it has no command blocks. "
                        "Name the Markdown source of KServe's canary page.")
    blocks = known_blocks()
    name = known_page(commands, blocks)
    known = known_commands(name, blocks)
    notebooks = dict.fromkeys(each.block.notebook for each in known if each.block.notebook)
    return compare(name, commands, known, executed_cells(executed, notebooks))
