"""The doctor: rules with ids that name the first broken hop of a cluster or a request, its cause and a remedy.

It reads and changes nothing. May import `magics`, `rollout`, `access` and `values`.
"""

from __future__ import annotations

from kserve_nb.doctor.examination import diagnose, examine
from kserve_nb.doctor.facts import Facts
from kserve_nb.doctor.finding import Finding
from kserve_nb.doctor.messages.http_answers import http_rows
from kserve_nb.doctor.messages.message_table import explain, rows
from kserve_nb.doctor.remedy import Remedy
from kserve_nb.doctor.report import Report
from kserve_nb.doctor.rule import Rule, declared
from kserve_nb.doctor.session import Session

__all__ = ["Facts", "Finding", "Remedy", "Report", "Rule", "Session", "diagnose", "examine", "explain", "titles"]


def titles() -> dict[str, str]:
    """The titles of all rules by id."""
    rows()
    http_rows()  # both declare the rules of their tables
    return {id_: rule.title for id_, rule in declared().items()}
