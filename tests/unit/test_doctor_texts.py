"""The doctor on pasted messages, as programs print them."""

from __future__ import annotations

import logging
from typing import Any

import ipywidgets
import nbformat
import pytest
import yaml
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from nbclient.exceptions import CellTimeoutError
from papermill.parameterize import parameterize_notebook

from kserve_nb.doctor import explain, titles
from kserve_nb.doctor.finding import HOPS
from kserve_nb.doctor.messages.message_table import rows
from kserve_nb.rollout.sampling import Tally
from kserve_nb.values.split import Split
from tests.unit.doctor_fixtures import DATA

TEXTS: list[dict[str, str]] = yaml.safe_load((DATA / "texts.yaml").read_text(encoding="utf-8"))
_NAMES = [f"{row['rule']} {row['said_by']}" for row in TEXTS]


@pytest.mark.parametrize("row", TEXTS, ids=_NAMES)
def test_a_message_is_known_by_its_rule(row: dict[str, str]) -> None:
    found = list(explain(row["text"]))

    assert found and found[0].id == row["rule"], [finding.id for finding in found]
    assert found[0].saw in row["text"]


@pytest.mark.parametrize("row", TEXTS, ids=_NAMES)
def test_a_message_is_known_beside_another(row: dict[str, str]) -> None:
    other = "{\"error\":\"could not convert string to float: np.str_('a')\"}"

    found = {finding.id for finding in explain(f"{other}\n{row['text']}")}

    assert {row["rule"], "R08"} <= found


def test_a_404_with_a_body_is_not_the_gateways() -> None:
    head = "HTTP/1.1 404 Not Found\nserver: envoy\n\n"

    assert [finding.hop for finding in explain(head)] == ["host"]
    assert [finding.hop for finding in explain(head + '{"detail":"Not Found"}')] == ["model"]


def test_papermill_without_a_cell_for_parameters(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        parameterize_notebook(_notebook("x = 1"), {"x": 2})

    assert _first(caplog.text) == "J08"


def test_a_kernel_that_is_not_installed() -> None:
    with pytest.raises(NoSuchKernel) as raised:
        KernelSpecManager().get_kernel_spec("tutorial-env")

    assert _first(str(raised.value)) == "J09"


def test_a_cell_that_ran_into_its_timeout() -> None:
    cell = nbformat.v4.new_code_cell("input()")

    error = CellTimeoutError.error_from_timeout_and_cell("Cell execution timed out", 120, cell)

    assert _first(str(error)) == "J06"


def test_the_text_of_a_widget() -> None:
    assert _first(repr(ipywidgets.VBox([ipywidgets.IntSlider()]))) == "J02"


def test_a_sample_that_is_too_small() -> None:
    tally = Tally(Split({"a-00001": 10, "a-00002": 0}), "a-00002", 10, "by the models' answers")

    assert _first(repr(tally)) == "C02"


def test_unknown_words_are_nothing() -> None:
    assert not list(explain("Everything is fine."))


def test_every_row_has_a_rule_a_hop_and_a_cause() -> None:
    for row in rows():
        assert row.id in titles() and row.hop in HOPS and row.why, row


def _notebook(source: str) -> Any:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source, metadata={"tags": []})])
    notebook.metadata.kernelspec = {"name": "python3", "language": "python", "display_name": "Python 3"}
    notebook.metadata.papermill = {}
    return notebook


def _first(text: str) -> str:
    return next((finding.id for finding in explain(text)), "nothing")
