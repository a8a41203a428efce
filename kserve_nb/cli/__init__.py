"""The `kserve-nb` command: start and stop clusters, open the lab, run notebooks, examine a cluster.

Imports everything below it. Which kind of cluster it works on is decided in `clusters` alone.
"""

from kserve_nb.cli.command_group import main

__all__ = ["main"]
