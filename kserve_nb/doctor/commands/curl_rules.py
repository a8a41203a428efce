"""The faults of a curl command, in its address, host, path, method, headers and body, each with its correction."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from kserve_nb.doctor.commands.curl_command import CurlCommand
from kserve_nb.doctor.facts import Facts, ServiceFacts
from kserve_nb.doctor.finding import Finding, Hop
from kserve_nb.doctor.remedy import Remedy
from kserve_nb.doctor.rule import Rule, declare
from kserve_nb.doctor.rules.gateway_rules import CUT_OFF, FOREIGN_NAME, INSIDE_DOMAIN, NO_ADDRESS, NOT_FOUND
from kserve_nb.doctor.rules.rollout_rules import ONE_CONNECTION, TAG_HOSTS

OLD_HOST = declare("R05", "-default belongs to an older KServe")
NOT_JSON = declare("R07", "the body is not announced as JSON")
BAD_BODY = declare("R08", "the model cannot read the body")
PROXY = declare("R12", "a proxy from the environment receives the request")
CURLY_QUOTES = declare("R26", "the quotes of the command are typographic")
OPTIONS_IN_A_FILE = declare("R27", "the command reads options from a file, which the doctor does not read")
WRONG_METHOD = declare("R14", "the path does not accept this method")

Fix = Callable[[CurlCommand], CurlCommand]
_DEFAULT, _INSIDE = "-predictor-default", ".svc.cluster.local"
_JSON = ("application/json", "application/cloudevents+json", "application/ld+json", "application/octet-stream")
_MODEL = re.compile(r"/v[12]/models/([^/:?]+)(?P<rest>.*)")
_KNOWN_PATH = re.compile(r"/v1/models(/[^/:]+(:(predict|explain))?)?|/v2(/models/[^/]+(/(infer|generate|ready))?"
                         r"|/health/\w+|/repository/.*)?|/metrics|/openai/.*")  # fmt: skip
_ACTION = re.compile(r"/v1/models/[^/:]+:(predict|explain)|/v2/models/[^/]+/(infer|generate)")
_ROWS = '{"instances": [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]}'
_TENSOR = ('{"inputs": [{"name": "input-0", "shape": [1, 4], "datatype": "FP64", "data": [6.8, 2.8, 4.8, 1.4]}]}')
_MAX_FIXES = 10


@dataclass(frozen=True)
class CurlFault:
    """One fault of a command, and how to correct it; None when no other command helps."""

    rule: Rule
    where: str
    saw: str
    why: str
    fix: Fix | None
    do: str = ""
    hop: Hop = "command"


def explain(command: CurlCommand, facts: Facts) -> list[Finding]:
    """The faults of a command in the order of its path, each with a command without any fault; then notes."""
    better = corrected(command, facts)
    found = [Finding(fault.rule, "blocker", fault.hop, fault.where, fault.saw, fault.why,
                     Remedy(fault.do, better.shell(), better.cell()) if fault.fix else Remedy(fault.do))
             for fault in faults(command, facts)]  # fmt: skip
    return [*found, *_notes(command, facts)]


def corrected(command: CurlCommand, facts: Facts) -> CurlCommand:
    """The command with all of its faults corrected."""
    for _ in range(_MAX_FIXES):
        fix = next((fault.fix for fault in faults(command, facts) if fault.fix), None)
        if fix is None:
            break
        command = fix(command)
    return command


def faults(command: CurlCommand, facts: Facts) -> Iterator[CurlFault]:
    """The faults of a command, in the order of its path."""
    if command.curly:
        yield CurlFault(
            CURLY_QUOTES, "the command", command.line,
            "A word processor or a chat has replaced the quotes by typographic ones, which a shell does not read as "
            "quotes.", lambda c: replace(c, curly=False),
        )  # fmt: skip
    if not command.address:
        yield _no_address(command, facts)
        return
    if command.option_files:
        yield CurlFault(
            OPTIONS_IN_A_FILE, "the command", ", ".join(command.option_files),
            "The file can set the Host, the Content-Type and other headers. The doctor reads the command line only, so "
            "it cannot tell where this request goes.",
            None, "paste the command with the options and headers of the file on its line",
        )  # fmt: skip
        return
    yield from _address(command, facts)
    yield from _host(command, facts)
    yield from _path(command, facts)
    yield from _body(command, facts)


def not_sent(command: CurlCommand, facts: Facts) -> str:
    """Why the doctor does not send the command; empty when sending it changes nothing."""
    reads = command.method in ("GET", "POST") and command.path.startswith(("/v1/models", "/v2/models"))
    asleep = any(command.host in service.hosts and not service.has_serving_pods for service in facts.services)
    reasons = (
        (bool(facts.unreachable), "the API server does not answer"),
        (command.body_unknown, "its body comes from another program"),
        (bool(command.missing_file), f"the file {command.missing_file} is missing"),
        (command.has("form"), "it uploads a form"),
        (bool(command.option_files), "it reads options from a file"),
        (not reads, "it does not call a model"),
        (asleep, "it would start a pod of a model that is scaled to zero"),
        (command.scheme != "http", f"it uses {command.scheme}"),
        (_by_name(command, facts) or bool(command.values("proxy")), "it does not go to the gateway's address"),
        (not _plain_headers(command), "a header has characters outside Latin-1"),
    )
    return next((reason for holds, reason in reasons if holds), "")


def _plain_headers(command: CurlCommand) -> bool:
    """Whether the HTTP client of the doctor can send the headers."""
    text = "".join((command.host, *command.headers, *command.headers.values()))
    return text.isprintable() and all(ord(char) < 256 for char in text)


def unanswered(command: CurlCommand, facts: Facts, error: str) -> Finding:
    """The finding about a command to an address at which nothing answers."""
    known = facts.ingress not in ("", command.address)
    why = f"The gateway is at {facts.ingress}." if known else (
        "The gateway is not running, or the port-forward to it has ended.")  # fmt: skip
    better = corrected(command.with_address(facts.ingress), facts) if known else command
    remedy = Remedy("", better.shell(), better.cell()) if known else Remedy("start the gateway or its port-forward")
    return Finding(CUT_OFF, "blocker", "command", command.address, error, why, remedy)


def refused(command: CurlCommand, facts: Facts, status: int, text: str) -> Finding:
    """The finding about an answer that no rule explains."""
    better = corrected(command.with_json(_example(command)), facts)
    return Finding(
        BAD_BODY, "blocker", "model", command.path, f"{status} {text}",
        "The model was reached and does not accept this request. A request of its protocol looks like this:",
        Remedy("", better.shell(), better.cell()),
    )  # fmt: skip


def target(command: CurlCommand, facts: Facts) -> ServiceFacts | None:
    """The InferenceService that the command means: by host, else by the model in its path, else the nearest name."""
    host = command.host.removeprefix("latest-").removeprefix("prev-")
    model = _model(command)
    by_host = next((s for s in facts.services if command.host in s.hosts or host in s.hosts), None)
    by_model = next((s for s in facts.services if s.name == model), None)
    near = difflib.get_close_matches(host, facts.hosts, 1, 0)
    nearest = next((s for s in facts.services if near and near[0] in s.hosts), None)
    return by_host or by_model or nearest or next(iter(facts.services), None)


def _no_address(command: CurlCommand, facts: Facts) -> CurlFault:
    unset = f"not set: {', '.join(command.unset)}" if command.unset else ""
    service = target(command, facts)
    host = _best_host(command, service)
    return CurlFault(
        NO_ADDRESS, "the URL", unset or command.line,
        "INGRESS_HOST and INGRESS_PORT are empty, or the URL has no valid host and port, so curl cannot connect.",
        (lambda c: _to_gateway(c, facts, host)) if facts.ingress else None,
        "" if facts.ingress else "find the address of the gateway first",
    )  # fmt: skip


def _address(command: CurlCommand, facts: Facts) -> Iterator[CurlFault]:
    gateway = facts.ingress or command.address
    if command.scheme == "https" and command.address in (facts.ingress, f"{facts.ingress.partition(':')[0]}:443"):
        yield CurlFault(
            CUT_OFF, f"https://{command.address}", command.line,
            'The gateway speaks plain HTTP at this port: TLS fails with "wrong version number".',
            lambda c: c.with_address(gateway),
        )  # fmt: skip
    inside = command.host.endswith(_INSIDE)
    if facts.ingress and command.address != facts.ingress and _by_name(command, facts) and not inside:
        yield CurlFault(
            FOREIGN_NAME, command.address, "the URL has the model's host, which no DNS server knows",
            "curl has to connect to the gateway's address, and name the model in the Host header.",
            lambda c: c.with_address(facts.ingress).with_header("Host", c.host),
        )  # fmt: skip


def _by_name(command: CurlCommand, facts: Facts) -> bool:
    """Whether the command connects to a model's host, which only the gateway knows."""
    name = command.address.partition(":")[0]
    return name in facts.hosts or name.endswith(("example.com", _INSIDE))


def _host(command: CurlCommand, facts: Facts) -> Iterator[CurlFault]:
    host, service = command.host, target(command, facts)
    where, better = f"Host: {host}", _best_host(command, service)
    if _DEFAULT in host and not any(_DEFAULT in known for known in facts.hosts):
        yield CurlFault(
            OLD_HOST, where, _DEFAULT, "The page is older than your KServe: since 0.11 no name has -default.",
            _host_fix(better or host.replace(_DEFAULT, "-predictor")),
        )  # fmt: skip
    elif host.endswith(_INSIDE):
        yield CurlFault(
            INSIDE_DOMAIN, where, _INSIDE, "That name works inside the cluster. From outside the gateway answers 404.",
            (lambda c: _to_gateway(c, facts, better)) if better and facts.ingress else None,
            "" if better else "use the host of status.url",
        )  # fmt: skip
    elif host.startswith("latest-") and host.removeprefix("latest-") in facts.hosts and host not in facts.hosts:
        yield CurlFault(
            TAG_HOSTS, where, "tag routing is off",
            'The prev- host always exists, the latest- host only with the annotation '
            'serving.kserve.io/enable-tag-routing: "true". This sends the request to the main host.',
            _host_fix(host.removeprefix("latest-")),
        )  # fmt: skip
    elif facts.hosts and host not in facts.hosts:
        yield CurlFault(
            NOT_FOUND, where, f"known: {', '.join(facts.hosts)}",
            "The gateway answers 404 with an empty body when it has no route for the Host.", _host_fix(better),
        )  # fmt: skip


def _host_fix(host: str) -> Fix | None:
    return (lambda c: c.with_header("Host", host)) if host else None


def _to_gateway(command: CurlCommand, facts: Facts, host: str) -> CurlCommand:
    moved = command.with_address(facts.ingress)
    replaceable = not command.header("host") or command.host.endswith(_INSIDE)
    return moved.with_header("Host", host) if host and replaceable else moved


def _best_host(command: CurlCommand, service: ServiceFacts | None) -> str:
    """The main host of the InferenceService; of its known hosts, the one that is most like the command's."""
    if service is None or not service.hosts:
        return ""
    near = difflib.get_close_matches(command.host, service.hosts, 1, 0.9)
    return near[0] if near else service.hosts[0]


def _path(command: CurlCommand, facts: Facts) -> Iterator[CurlFault]:
    service = next((s for s in facts.services if command.host in s.hosts), None)
    if service is None:
        return
    path, model = command.path, _model(command)
    predict = f"/v1/models/{service.name}:predict"
    if model and model != service.name:
        yield CurlFault(
            NOT_FOUND, path, f"model {model}", f'The Host is right and the path is not: "Model with name {model} does '
            'not exist."', lambda c: c.with_path(c.path.replace(f"/models/{model}", f"/models/{service.name}", 1)),
        )  # fmt: skip
    elif not _KNOWN_PATH.fullmatch(command.url.path) or (command.method == "POST" and not _ACTION.fullmatch(path)):
        yield CurlFault(
            NOT_FOUND, path, "no such path in the v1 and v2 protocols",
            "A prediction is a POST to /v1/models/NAME:predict.", lambda c: c.with_path(predict),
        )  # fmt: skip
    elif command.method != "POST" and _ACTION.fullmatch(path):
        if command.sends_body:
            yield CurlFault(
                WRONG_METHOD, f"-X {command.method}", path,
                "A prediction is a POST. curl sends one when it has -d and no -X.",
                lambda c: c.with_method("POST"),
            )  # fmt: skip
        else:
            yield CurlFault(
                BAD_BODY, path, f"{command.method}, without a body",
                "A prediction needs rows: without -d curl sends a GET.",
                lambda c: c.with_json(_example(c)),
            )  # fmt: skip


def _body(command: CurlCommand, facts: Facts) -> Iterator[CurlFault]:
    if command.missing_file:
        yield CurlFault(
            BAD_BODY, f"-d @{command.missing_file}", command.missing_file,
            "The file with the body is not in this folder. This sends the tutorial's rows instead.",
            lambda c: c.with_json(_example(c)),
        )  # fmt: skip
    predicts = command.sends_body and _MODEL.match(command.path) is not None
    if predicts and command.content_type not in _JSON and command.path.startswith("/v1/"):
        yield CurlFault(
            NOT_JSON, f"Content-Type: {command.content_type}", command.line,
            'curl -d announces a form, and the model server compares the header literally: it answers 500, '
            '"Expected 2D array, got scalar array instead".',
            lambda c: c.with_header("Content-Type", "application/json"),
        )  # fmt: skip
    fault = "" if not predicts or command.body_unknown or not command.body else _misshapen(command)
    if fault:
        yield CurlFault(BAD_BODY, "the body", command.body, fault, lambda c: c.with_json(_example(c)))


def _misshapen(command: CurlCommand) -> str:
    """Why the body does not fit the protocol of the path; empty when it does."""
    try:
        loaded: Any = json.loads(command.body)
    except (ValueError, RecursionError) as error:
        return f"It is not JSON: {error}."
    if command.path.startswith("/v2/"):
        tensors = loaded.get("inputs") if isinstance(loaded, dict) else None
        good = isinstance(tensors, list) and all(isinstance(row, dict) and "data" in row for row in tensors)
        return "" if good else "The path is of the v2 protocol, which takes tensors under inputs, with name and shape."
    rows = loaded.get("instances", loaded.get("inputs")) if isinstance(loaded, dict) else None
    if not isinstance(rows, list):
        return "It has no list of rows under instances."
    if rows and all(isinstance(row, dict) for row in rows):
        return ""  # a row may also be an object of named values
    widths = {len(row) if isinstance(row, list) else 0 for row in rows}
    if not rows or widths == {0}:
        return "It has no rows: each is a list of numbers."
    return "" if len(widths) == 1 else f"Its rows differ in length: {', '.join(map(str, sorted(widths)))} numbers."


def _notes(command: CurlCommand, facts: Facts) -> Iterator[Finding]:
    yield from _proxy(command, facts)
    if "keep-alive" in " ".join(command.headers.values()).lower():
        yield Finding(
            ONE_CONNECTION, "note", "rollout", "Connection: keep-alive", command.line,
            "One connection does not stay with one revision: the gateway chooses for each request.",
            Remedy("nothing: keep the connection open if you like"),
        )  # fmt: skip


def _proxy(command: CurlCommand, facts: Facts) -> Iterator[Finding]:
    """The fault of a proxy in the environment, which curl in a terminal uses; %curl and the doctor do not."""
    environ = facts.session.environ if facts.session else {}
    proxy = next(iter(command.values("proxy")), "") or environ.get("http_proxy") or environ.get("all_proxy") or \
        environ.get("ALL_PROXY") or ""  # curl ignores HTTP_PROXY in upper case  # fmt: skip
    spared = re.split(r"[,\s]+", environ.get("no_proxy") or environ.get("NO_PROXY") or "")
    spared += [entry for value in command.values("noproxy") for entry in value.split(",")]
    host = command.address.partition(":")[0]
    if proxy and "*" not in spared and not any(entry and host.endswith(entry) for entry in spared):
        yield Finding(
            PROXY, "note", "command", "http_proxy", proxy,
            "In a terminal curl sends this request to the proxy, which does not know your gateway.",
            Remedy("exclude the gateway from the proxy", f"export no_proxy={host}"),
        )  # fmt: skip


def _model(command: CurlCommand) -> str:
    """The model that the path names; empty when it names none."""
    found = _MODEL.match(command.path)
    return found[1] if found else ""


def _example(command: CurlCommand) -> str:
    """A body that fits the protocol of the path."""
    return _TENSOR if command.path.startswith("/v2/") else _ROWS
