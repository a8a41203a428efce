"""`kserve-nb drill`: a fault to find and repair in a terminal."""

from __future__ import annotations

import asyncio

import click

from kserve_nb.cli.common_options import NAME, echo, usable
from kserve_nb.clusters import cluster_of
from kserve_nb.lab import Lab

_HELP = ("Repair the cluster in another terminal, or paste the repaired curl command here. "
         "Enter shows the state, `doctor` runs the doctor, `q` ends the drill.")


@click.command()
@NAME
@click.option("--seed", type=int, help="The number of the fault.  [default: a random one]")
def drill(name: str, seed: int | None) -> None:
    """Cause one fault on your cluster, which you find and repair. Prints your time and the users affected.

    The doctor helps after your first attempt: type `doctor`. A hint comes after two minutes. At the end the cluster
    is brought back to a healthy canary of 10 %.
    """
    lab = Lab(cluster_of(usable(name)))
    card = asyncio.run(lab.drill(seed))
    echo(f"{card.text}\n{_HELP}")
    try:
        while not card.repaired:
            line = click.prompt("", default="", show_default=False, prompt_suffix="> ").strip()
            if line == "q":
                break
            if line == "doctor":
                echo(lab.doctor().text)
            elif line:
                card.try_curl(line)
            if line != "doctor":
                echo(card.text)
    finally:
        echo(repr(card.finish()))
        asyncio.run(lab.ensure("canary-10"))
