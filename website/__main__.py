"""python -m website EXECUTED SITE: build the site from the folder with executed notebooks."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import click

from website import checking, staging
from website.executed import NotExecutedError

ROOT = Path(__file__).parents[1]
FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command(help=__doc__)
@click.argument("executed", type=FOLDER)
@click.argument("site", type=FOLDER, default=Path("build/site"))
@click.option("--links", is_flag=True, help="Instead of building, check the links to other hosts (needs a network).")
def main(executed: Path, site: Path, links: bool) -> None:
    began = time.monotonic()
    pages = site.with_name(f"{site.name}-pages").resolve()
    try:
        staging.stage(ROOT, executed, pages)
    except NotExecutedError as error:
        raise click.ClickException(str(error)) from None
    if build(pages, site, "linkcheck" if links else "html"):
        raise click.ClickException("Sphinx found errors. Each is listed above with its page.")
    if links:
        return
    found = checking.problems(site.resolve())
    for line in found:
        click.echo(f"✖ {line}", err=True)
    if found:
        raise click.ClickException(f"{len(found)} problems in {site}. Correct the pages, then run this command again.")
    click.echo(f"✔ {site / 'index.html'}: {len(list(site.rglob('*.html')))} pages in {time.monotonic() - began:.0f} s")


def build(pages: Path, site: Path, builder: str = "html") -> int:
    """Run Sphinx on a folder of pages, with warnings as errors; returns its exit code.

    Sphinx runs in its own process, because it changes the signatures of the functions that it documents.
    """
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-E", "-b", builder,
               "-c", str(Path(__file__).parent), "-d", str(pages.with_name(f"{pages.name}-trees")),
               str(pages.resolve()), str(site.resolve())]  # fmt: skip
    return subprocess.run(command, cwd=ROOT, env=os.environ | {"SITE_PAGES": str(pages)}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
