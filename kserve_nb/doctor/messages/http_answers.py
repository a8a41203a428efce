"""HTTP answers in a pasted text: the status, and whether the gateway or the model gave it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import yaml

from kserve_nb.doctor.finding import Finding, Hop, Severity
from kserve_nb.doctor.remedy import Remedy
from kserve_nb.doctor.rule import declare, rule_of
from kserve_nb.values.text.yaml_loader import YamlLoader

Origin = Literal["gateway", "model", "unknown"]
_STATUS = re.compile(
    r"""HTTP/[\d.]+"?[ ](\d{3})\b[^\n]*                                  # curl -v, -i, access logs
      | \b(\d{3})[ ](?:Client|Server)[ ]Error\b[^\n]*                    # requests
      | (?:Client|Server)[ ]error[ ]'(\d{3})[ ][^\n]*                    # httpx
      | The[ ]requested[ ]URL[ ]returned[ ]error:[ ](\d{3})[^\n]*        # curl -f
      | <Response[ ]\[(\d{3})[^\]]*\]>
      | (?:http|status|error|code|got|returned|returns|answered|with)\b[\s:="'(]{1,3}(\d{3})\b(?!\.\d)[^\n]*
      | \b(\d{3})[ ](?:Moved|Found|See[ ]Other|Temporary|Permanent|Bad[ ]Request|Unauthorized|Forbidden|Not[ ]Found|
          Method[ ]Not|Request[ ]Timeout|Payload|Request[ ]Entity|Content[ ]Too|Unsupported|Unprocessable|Upgrade|
          Too[ ]Many|Internal[ ]Server|Not[ ]Implemented|Bad[ ]Gateway|Service[ ](?:Temporarily[ ])?Unavailable|
          Gateway[ ]Time)[^\n]*
    """,
    re.IGNORECASE | re.VERBOSE,
)
_BY_MODEL = re.compile(
    r"^\s*\{|server:\s*uvicorn|x-envoy-upstream-service-time|\{\"(?:error|detail)\"", re.MULTILINE | re.IGNORECASE
)
_BY_GATEWAY = re.compile(r"server:\s*(?:istio-)?envoy|server:\s*(?:nginx|openresty|awselb|cloudflare)|<html", re.I)


@dataclass(frozen=True)
class HttpRow:
    """The meaning of a status that a certain component sends; see `MessageRow` for the other fields."""

    id: str
    hop: Hop
    statuses: Sequence[int]
    origins: Sequence[Origin]
    why: str
    do: str = ""
    command: str = ""
    title: str = ""
    severity: Severity = "blocker"


@dataclass(frozen=True)
class HttpAnswer:
    """A status in a text, with its place and the component that sent it."""

    status: int
    origin: Origin
    line: str
    start: int


def read_table(name: str) -> list[dict[str, Any]]:
    """The rows of a table in this folder, as its file has them."""
    text = (files(__package__) / f"{name}.yaml").read_text(encoding="utf-8")
    rows: list[dict[str, Any]] = yaml.load(text, Loader=YamlLoader)
    return rows


@cache
def http_rows() -> tuple[HttpRow, ...]:
    """All rows of the table; declares the rules that it names first."""
    rows = tuple(HttpRow(**row) for row in read_table("http"))
    for row in rows:
        if row.title:
            declare(row.id, row.title)
    return rows


def answer_in(text: str) -> HttpAnswer | None:
    """The last HTTP status of a text that is not a success; curl -L shows several. Probes' statuses do not count."""
    found: HttpAnswer | None = None
    for match in _STATUS.finditer(text):
        status = int(next(filter(None, match.groups())))
        if "probe failed" in text[text.rfind("\n", 0, match.start()) + 1 : match.start()]:
            continue
        if 300 <= status < 600 and status != 304:
            rest = text[match.start() :]
            found = HttpAnswer(status, _origin(rest), match[0].strip(), match.start())
    return found


def explain_answer(answer: HttpAnswer, fill: Mapping[str, str], where: str) -> Iterator[Finding]:
    """The finding about a status.

    Args:
        fill: values for the placeholders of commands.
        where: the object that printed the text.
    """
    for row in http_rows():
        if answer.status in row.statuses and answer.origin in row.origins:
            command = _command(row.command, fill)
            yield Finding(rule_of(row.id), row.severity, row.hop, where, answer.line, row.why, Remedy(row.do, command))
            return


def _command(command: str, fill: Mapping[str, str]) -> str:
    names = re.findall(r"\{([a-z]+)\}", command)
    if not all(name in fill for name in names):
        return ""
    return re.sub(r"\{([a-z]+)\}", lambda found: fill[found[1]], command)


def _origin(rest: str) -> Origin:
    """The component that sent an answer, from its body and headers."""
    if _BY_MODEL.search(rest):
        return "model"
    return "gateway" if _BY_GATEWAY.search(rest) else "unknown"
