"""What a pasted curl command will meet, read before it is sent."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from kserve_nb.doctor.facts import Facts
from kserve_nb.doctor.finding import Finding
from kserve_nb.magics import command_line
from kserve_nb.magics.curl import CurlError, prepare

_DEFAULT = "-predictor-default"
_JSON = ("application/json", "application/cloudevents+json", "application/ld+json", "application/octet-stream")
_MODEL = re.compile(r"/v[12]/models/([^/:]+)(?P<rest>.*)")
_PROMPT = re.compile(r"^\s*(?:%%curl[ \t]*\n\s*|[$!]\s*|%%?)(?=curl\b)")  # pasted along with the command
_URL = re.compile(r"""https?://[^\s/'"]*""")
_HOST = re.compile(r"""-H\s*(['"])\s*host:.*?\1\s*""", re.IGNORECASE)
_CONTENT_TYPE = re.compile(r"""-H\s+(['"])content-type:.*?\1\s*""", re.IGNORECASE)
_INSIDE = ".svc.cluster.local"
_NAMED = re.compile(r"""host:\s*[^\s'"]""", re.IGNORECASE)
_ASKED = re.compile(r"/v1/models/[^/:]+:(predict|explain)|/v2/(models/[^/]+/(infer|generate)|repository/.*)")
_BODY = '{"instances": [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]}'
_BAD_URL, _NO_FILE = 3, 26  # curl's exit codes


@dataclass(frozen=True)
class Command:
    """A curl command, read: what it would send."""

    line: str
    method: str
    scheme: str
    address: str  # HOST:PORT that is dialled; empty where the URL has none
    host: str  # the Host header
    path: str
    headers: Mapping[str, str]
    body: str
    missing_file: str = ""

    @property
    def model(self) -> str:
        """The model that the path names; empty where it names none."""
        found = _MODEL.match(self.path)
        return found[1] if found else ""

    @property
    def content_type(self) -> str:
        """What the body is announced as."""
        return next((value for name, value in self.headers.items() if name.lower() == "content-type"), "")


def read(line: str, variables: Mapping[str, str], folder: Path) -> Command:
    """The command as %%curl reads it. Raises CommandError where it cannot be read."""
    line = _PROMPT.sub("", line).strip()
    words = list(command_line.read(line, variables).words)
    words = words[1:] if words[:1] == ["curl"] else words
    missing = ""
    try:
        request = prepare(words, folder)
    except CurlError as error:
        if error.code == _BAD_URL:
            return Command(line, "", "http", "", "", "", {}, "")
        if error.code != _NO_FILE:
            raise
        missing = str(error)
        request = prepare(["" if word.startswith("@") else word for word in words], folder)
    headers = dict(request.headers)
    body = request.body or b""
    url = urlsplit(request.url or "")
    return Command(
        line=line,
        method=request.method or "GET",
        scheme=url.scheme,
        address=url.netloc,
        host=headers.pop("Host", ""),
        path=request.path_url,
        headers=headers,
        body=body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body),
        missing_file=missing,
    )


def explain(command: Command, facts: Facts) -> Iterator[Finding]:
    """What is wrong with a command, in the order of its way: address, host, path, header, body."""
    if not command.address:
        yield Finding(
            "R01", "blocker", "command", "the URL", command.line, "INGRESS_HOST and INGRESS_PORT are empty, or it has "
            "no host and port: the gateway's address has to be found first.",
            _mended(command, facts, "" if _NAMED.search(command.line) else _nearest("", facts)),
        )  # fmt: skip
        return
    yield from _address(command, facts)
    yield from _host(command, facts)
    yield from _path(command, facts)
    yield from _body(command)
    yield from _proxy(command, facts)
    if "keep-alive" in " ".join(command.headers.values()).lower():
        yield Finding(
            "C03", "note", "rollout", "Connection: keep-alive", command.line,
            "One connection does not stay with one revision: the gateway draws for each request anew.", "nothing",
        )  # fmt: skip


def may_be_sent(command: Command, facts: Facts) -> bool:
    """Whether sending it changes nothing: it asks a model, wakes none, and dials what may be a gateway."""
    asks = command.method in ("GET", "POST") and command.path.startswith(("/v1/models/", "/v2/models/"))
    asleep = any(command.host in service.hosts and not service.has_serving_pods for service in facts.services)
    dialled = command.scheme == "http" and not by_name(command, facts)
    return asks and dialled and not asleep and not facts.unreachable


def unanswered(command: Command, facts: Facts, error: str) -> Finding:
    """Nobody answers at the address that the command dials."""
    why = f"The gateway is at {facts.ingress}." if facts.ingress not in ("", command.address) else (
        "The gateway is down, or the port-forward that led there has ended.")
    return Finding("R09", "blocker", "command", command.address, error, why, _mended(command, facts))


def refused(command: Command, status: int, text: str) -> Finding:
    """The model was reached, and answers something that no rule knows."""
    return Finding(
        "R08", "blocker", "model", command.path, f"{status} {text}",
        "The model was reached, and does not take this. In the v1 protocol it is asked like this:",
        "POST /v1/models/NAME:predict with " + _BODY,
    )  # fmt: skip


def _address(command: Command, facts: Facts) -> Iterator[Finding]:
    if command.scheme == "https":
        yield Finding(
            "R09", "blocker", "command", f"https://{command.address}", command.line,
            "The gateway speaks plain HTTP at this port: TLS fails with \"wrong version number\".",
            command.line.replace("https://", "http://", 1),
        )  # fmt: skip
    inside = command.host.partition(":")[0].endswith(_INSIDE)
    if facts.ingress and command.address != facts.ingress and by_name(command, facts) and not inside:
        yield Finding(
            "R03", "blocker", "command", command.address, "the URL names the model's host, which no DNS has",
            "The gateway is dialled by its own address, and told the host by a header.",
            _mended(command, facts, command.host),
        )  # fmt: skip


def by_name(command: Command, facts: Facts) -> bool:
    """Whether the command dials a model's host, which only the gateway knows."""
    dialled = command.address.partition(":")[0]
    return dialled in facts.hosts or dialled.endswith(("example.com", _INSIDE))


def _host(command: Command, facts: Facts) -> Iterator[Finding]:
    host = command.host.partition(":")[0]
    if _DEFAULT in host and not any(_DEFAULT in known for known in facts.hosts):
        yield Finding(
            "R05", "blocker", "command", f"Host: {host}", _DEFAULT,
            "The published page is older than your KServe: since 0.11 it makes no names with -default.",
            command.line.replace(_DEFAULT, "-predictor"),
        )  # fmt: skip
    elif host.endswith(_INSIDE):
        yield Finding(
            "R06", "blocker", "command", f"Host: {host}", _INSIDE,
            "That name is for pods in the cluster; the gateway answers it 404 from outside.",
            _mended(command, facts, _nearest(host, facts)),
        )  # fmt: skip
    elif host.startswith("latest-") and _is_ours(host, facts) and host not in facts.hosts:
        yield Finding(
            "C13", "blocker", "command", f"Host: {host}", "tag routing is off",
            "prev- is always open, latest- only with the annotation serving.kserve.io/enable-tag-routing: \"true\".",
            "rollout.tag(); await rollout.wait()",
        )  # fmt: skip
    elif facts.hosts and host not in facts.hosts:
        yield Finding(
            "R04", "blocker", "command", f"Host: {host}", f"known: {', '.join(facts.hosts)}",
            "The gateway answers 404 with an empty body to a Host that it was not told.",
            _mended(command, facts, _nearest(host, facts)),
        )  # fmt: skip


def _path(command: Command, facts: Facts) -> Iterator[Finding]:
    names = [service.name for service in facts.services if command.host.partition(":")[0] in service.hosts]
    if not names:
        return
    if command.model and command.model not in names:
        yield Finding(
            "R04", "blocker", "command", command.path, f"model {command.model}",
            f'Host is right, the path is not: "Model with name {command.model} does not exist."',
            command.line.replace(f"/models/{command.model}", f"/models/{names[0]}"),
        )  # fmt: skip
    elif command.method == "POST" and not _ASKED.fullmatch(command.path):
        yield Finding(
            "R04", "blocker", "command", command.path, "no such path in the v1 and v2 protocols",
            "A model is asked at /v1/models/NAME:predict.",
            command.line.replace(command.path, f"/v1/models/{names[0]}:predict"),
        )  # fmt: skip
    elif command.method == "GET" and command.path.endswith(":predict") and not command.missing_file:
        yield Finding(
            "R08", "blocker", "command", command.path, "GET, without a body", "A prediction needs rows to predict: "
            "without -d curl sends a GET.", f"{command.line} -d @./iris-input.json",
        )  # fmt: skip


def _body(command: Command) -> Iterator[Finding]:
    if command.missing_file:
        yield Finding(
            "R08", "blocker", "command", "-d @…", command.missing_file, "The file with the body is not in this folder.",
            f"%%writefile iris-input.json, with {_BODY} below it",
        )  # fmt: skip
    sends = bool(command.body or command.missing_file) and command.path.startswith("/v1/")
    if sends and command.content_type not in _JSON:
        yield Finding(
            "R07", "blocker", "command", f"Content-Type: {command.content_type}", command.line,
            "curl -d announces a form, and the header is compared to the letter: the model answers 500, "
            '"Expected 2D array, got scalar array instead".',
            _CONTENT_TYPE.sub("", command.line).replace("curl ", "curl -H 'Content-Type: application/json' ", 1),
        )  # fmt: skip
    if command.body and command.path.startswith("/v1/") and _misshapen(command.body):
        yield Finding(
            "R08", "blocker", "command", "the body", command.body, _misshapen(command.body),
            _BODY,
        )  # fmt: skip


def _misshapen(body: str) -> str:
    """Why this is no body of the v1 protocol; empty where it is one."""
    try:
        loaded = json.loads(body)
    except ValueError as error:
        return f"It is not JSON: {error}."
    rows = loaded.get("instances", loaded.get("inputs")) if isinstance(loaded, dict) else None
    if not isinstance(rows, list):
        return "It has no list of rows under instances."
    widths = {len(row) if isinstance(row, list) else 0 for row in rows}
    if not rows or widths == {0}:
        return "It has no rows: each is a list of numbers."
    return "" if len(widths) == 1 else f"Its rows differ in length: {', '.join(map(str, sorted(widths)))} numbers."


def _is_ours(host: str, facts: Facts) -> bool:
    return host.removeprefix("latest-") in facts.hosts


def _proxy(command: Command, facts: Facts) -> Iterator[Finding]:
    """curl in a terminal asks a proxy where the environment names one; neither %%curl nor the doctor does."""
    environ = facts.session.environ if facts.session else {}
    proxy = environ.get("http_proxy") or environ.get("all_proxy") or environ.get("ALL_PROXY") or ""  # as curl has it
    spared = re.split(r"[,\s]+", environ.get("no_proxy") or environ.get("NO_PROXY") or "")
    host = command.address.partition(":")[0]
    if proxy and "*" not in spared and not any(entry and host.endswith(entry) for entry in spared):
        yield Finding(
            "R09", "note", "command", "http_proxy", proxy,
            "In a terminal curl sends this to the proxy, which does not know your gateway. There: export "
            f"no_proxy={host}", f"export no_proxy={host}",
        )  # fmt: skip


def _nearest(host: str, facts: Facts) -> str:
    """The known host that is most like this one; a word to replace where none is known."""
    return (difflib.get_close_matches(host, facts.hosts, 1, 0) or ["SERVICE_HOSTNAME"])[0]


def _mended(command: Command, facts: Facts, host: str = "") -> str:
    """The command, sent to the gateway, with this Host where one is given."""
    line = _URL.sub(f"http://{facts.ingress}", command.line, count=1) if facts.ingress else command.line
    if not host:
        return line
    return _HOST.sub("", line).replace("curl ", f"curl -H 'Host: {host}' ", 1)
