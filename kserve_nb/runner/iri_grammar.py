"""Leaves out a slow import of jsonschema: the grammar of international addresses (IRIs).

jsonschema imports `rfc3987_syntax` if it is installed, and building its grammar takes 2.5 s at every start. The schemas
of notebooks and of Jupyter's events contain no IRIs.
"""

import sys


def omit() -> None:
    """Make later imports of the grammar fail, as if it were not installed. Call it before nbformat is imported."""
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
