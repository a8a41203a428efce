"""Arguments that the command line refuses before it does anything."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from kserve_nb.cli import main


@pytest.mark.parametrize("words, expected", [
    (("--speed", "nan"), "'--speed': nan is not a number"),
    (("--speed", "0"), "'--speed': 0.0 is not in the range"),
    (("--idle-hours", "nan"), "'--idle-hours': nan is not a number"),
    (("--ingress-port", "70000"), "'--ingress-port': 70000 is not in the range"),
    (("--cluster", "attach", "--speed", "2"), "--speed does not go with --cluster attach"),
])
def test_values_without_a_meaning_are_refused_by_name(words: tuple[str, ...], expected: str) -> None:
    done = CliRunner().invoke(main, ["up", *words])

    assert (done.exit_code, expected in done.output) == (2, True), done.output
