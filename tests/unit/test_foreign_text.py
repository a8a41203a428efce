"""Nothing in a text from the cluster acts on a terminal or a browser."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from kserve_nb import cli
from kserve_nb.cli.command_group import CommandGroup
from kserve_nb.cli.common_options import echo
from kserve_nb.clusters import ClusterError
from kserve_nb.gates import run_report
from kserve_nb.gates.execution.run_state import RunState
from kserve_nb.gates.plan import RolloutPlan
from kserve_nb.runner.html_report import html
from kserve_nb.runner.run_result import Cell, Diagnosis, Run
from kserve_nb.values.cluster import Cluster
from kserve_nb.values.pods import Pod
from kserve_nb.values.rollout_status import RolloutStatus
from kserve_nb.values.split import Split
from kserve_nb.values.text import render
from kserve_nb.values.text.foreign_text import last_line, safe, safe_html, safe_json
from tests.fake_api import DATA, one

HOSTILE = "a\x1b[2J\x1b]8;;http://x\x07b\x1b]0;c\x1b\\d\x9b31me\x00\x08\x7f\u202ef\u2066g\u061ch</script><b onclick=1>"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bP+q544e\x1b\\after", "after"),
        ("\x9b2Jafter", "after"),
        ("\x9d0;title\x9cafter", "after"),
        ("\x1b(0after\x1bc", "after"),
        ("\x1b]0;never ends", ""),
        ("a\x1b", "a"),
        ("bell\x07 back\x08 null\x00 delete\x7f next\x85line", "bell back null delete nextline"),
        ("\u202eabc\u202c \u2066d\u2069 \u200ee\u200f \u061cf", "abc d e f"),
        ("lone \ud800 surrogate", "lone  surrogate"),
        ("a\r\nb\u2028c\rd", "a\nb\ncd"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("Größe 10 % → 👩‍🔬 日本語", "Größe 10 % → 👩‍🔬 日本語"),
    ],
)
def test_a_safe_text_is_only_shown(text: str, shown: str) -> None:
    assert safe(text) == shown


@given(st.text())
@pytest.mark.slow
def test_no_control_character_survives(text: str) -> None:
    kept = [char for char in safe(text) if char not in "\n\t"]

    assert not [char for char in kept if unicodedata.category(char) in ("Cc", "Cs")]
    assert not [char for char in kept if unicodedata.bidirectional(char) in ("RLE", "LRE", "RLO", "LRO", "PDF")]
    assert safe(safe(text)) == safe(text)


@given(st.text())
def test_html_has_no_markup_and_json_ends_no_script(text: str) -> None:
    assert not set("<>\"'") & set(safe_html(text))

    written = safe_json({"text": text})
    assert json.loads(written) == {"text": text} and "<" not in written and "\u2028" not in written


def test_all_lines_and_tables_are_safe() -> None:
    isvc = one("01-create", "isvc")
    isvc["metadata"]["name"] = isvc["status"]["components"]["predictor"]["traffic"][0]["revisionName"] = HOSTILE
    isvc["status"]["components"]["predictor"]["traffic"][0]["url"] = HOSTILE
    status = RolloutStatus.of(isvc)
    pod = Pod(HOSTILE, HOSTILE, 1, 1, HOSTILE, 0, HOSTILE)
    cluster = Cluster(DATA, HOSTILE, HOSTILE, HOSTILE, HOSTILE, read_only=HOSTILE)
    tables = [render.status_table(status), render.pod_table([pod])]

    texts = [render.status_line(status), render.pod_line(pod), render.split_line(Split({HOSTILE: 1})),
             render.cluster_line(cluster), render.row_line({"READY": HOSTILE}), *map(render.text, tables)]
    pages = [render.cluster_html(cluster), *map(render.html, tables)]

    assert all(safe(shown) == shown for shown in (*texts, *pages))
    assert all("<b onclick" not in page and "&lt;b onclick" in page for page in pages)


def test_reports_are_safe() -> None:
    cell = Cell(HOSTILE, HOSTILE, "failed", output=HOSTILE)
    failed = Run(Path("a.ipynb"), Path("out.ipynb"), 1.0, (cell,), HOSTILE, Diagnosis(HOSTILE, (HOSTILE,)))
    state = RunState(reason=HOSTILE, log=((1.0, HOSTILE),))

    for page in (html([failed], HOSTILE), run_report.html(HOSTILE, RolloutPlan(), state)):
        assert safe(page) == page and "<b onclick" not in page and "&lt;b onclick" in page


def test_commands_print_safe_text_only() -> None:
    group = CommandGroup("test")

    @group.command("shows")
    def shows() -> None:
        echo(HOSTILE)
        raise ClusterError(HOSTILE)

    group.get_command = lambda context, name: shows  # type: ignore[method-assign]
    done = CliRunner().invoke(group, ["shows"])

    assert done.exit_code == 1
    assert done.output == f"{safe(HOSTILE)}\nkserve-nb: {safe(HOSTILE)}\n"


def test_no_command_prints_by_other_means() -> None:
    """`env` prints paths as they are, and the progress of a rollout moves the cursor."""
    folder = Path(cli.__file__).parent
    found = {f"{file.name}: {line.strip()}" for file in folder.glob("*.py") for line in file.read_text().splitlines()
             if ("click.echo(" in line or "print(" in line) and "safe(" not in line}

    assert {line.partition(":")[0] for line in found} == {"cluster_commands.py", "rollout_command.py"}
    assert len(found) == 3


def test_a_cell_is_one_line() -> None:
    assert render.text(((("A", "B"),), [["x\ny", "z"]])) == "A     B\nx y   z"


def test_the_last_line_of_a_log_is_its_message() -> None:
    log = "Traceback\n2026-11-23 09:15:23.120 7 kserve ERROR [model.py:load():3] no model.joblib\n"

    assert last_line(log) == "no model.joblib"
    assert last_line("") == ""
